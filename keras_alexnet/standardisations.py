"""The pixel standardisations that the networks' sources use."""

from keras_alexnet.rows import Standardisation

# The small initial weights and the LRN constants of the 2012 paper presume pixels of 0-255 with the
# mean taken off and never divided.
_IMAGENET_MEAN = (123.68, 116.779, 103.939)  # ILSVRC-2012 training set, as published with VGG
_CAFFE_MEAN = (122.679, 116.669, 104.007)  # the same, over Caffe's mean image of warped images
_CIFAR10_MEAN = (125.307, 122.950, 113.865)  # the 50,000 training images

MINUS_IMAGENET_MEAN = Standardisation(mean=_IMAGENET_MEAN, mean_of_training_set=True)
MINUS_CAFFE_MEAN = Standardisation(mean=_CAFFE_MEAN, mean_of_training_set=True, bgr=True)
MINUS_CIFAR10_MEAN = Standardisation(mean=_CIFAR10_MEAN, mean_of_training_set=True)
# torchvision: x / 255, mean .485 .456 .406, deviation .229 .224 .225
TORCHVISION = Standardisation(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))
MINUS_ONE_TO_ONE = Standardisation(mean=(127.5, 127.5, 127.5), std=(127.5, 127.5, 127.5))
