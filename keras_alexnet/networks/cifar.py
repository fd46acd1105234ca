"""Networks for CIFAR: cifar_v1, cifar_v2, cifar_v3, cifar_resized."""

import dataclasses

from keras_alexnet.networks.image_plan import ImagePlan, Standardization
from keras_alexnet.networks.imagenet import ALEXNET, pytorch_head
from keras_alexnet.networks.spec import (
    ClassifierSpec,
    ConvolutionSpec,
    DenseSpec,
    FlattenSpec,
    MaxPoolSpec,
    NetworkSpec,
    PyTorchNames,
)

CIFAR_PLAN = ImagePlan(square_size=32, crop_size=32, crop_padding=4, input_size=32)

# The mean is that of the 50,000 training images.
MINUS_CIFAR10_MEAN = Standardization((125.307, 122.950, 113.865), mean_of_training_set=True)

MINUS_ONE_TO_ONE = Standardization(mean=(127.5, 127.5, 127.5), std=(127.5, 127.5, 127.5))

CIFAR_V1 = NetworkSpec(
    name="cifar_v1",
    title="AlexNet's layers at CIFAR size",
    source="document 000, way 1 (code)",
    num_classes=10,
    features=(
        ConvolutionSpec("conv1", 64, kernel=3, stride=2, padding=(1, 1)),
        MaxPoolSpec("pool1", size=2, stride=2),
        ConvolutionSpec("conv2", 192, kernel=3, padding=(1, 1)),
        MaxPoolSpec("pool2", size=2, stride=2),
        ConvolutionSpec("conv3", 384, kernel=3, padding=(1, 1)),
        ConvolutionSpec("conv4", 256, kernel=3, padding=(1, 1)),
        ConvolutionSpec("conv5", 256, kernel=3, padding=(1, 1)),
        MaxPoolSpec("pool5", size=2, stride=2),
    ),
    head=pytorch_head(units=4096, rate=0.5),
    standardization=MINUS_ONE_TO_ONE,
    image_plan=CIFAR_PLAN,
    parameters=23_272_266,
    macs=62_742_528,
)

CIFAR_V2 = NetworkSpec(
    name="cifar_v2",
    title="Two convolutions and three dense layers for CIFAR",
    source="document 001 (code)",
    num_classes=10,
    features=(
        ConvolutionSpec("conv1", 64, kernel=5),
        MaxPoolSpec("pool1", size=3, stride=2),
        ConvolutionSpec("conv2", 64, kernel=5),
        MaxPoolSpec("pool2", size=3, stride=2),
    ),
    head=(
        FlattenSpec("flatten"),
        DenseSpec("fc3", 384),
        DenseSpec("fc4", 192),
        ClassifierSpec("logits"),
    ),
    standardization=MINUS_ONE_TO_ONE,
    image_plan=CIFAR_PLAN,
    parameters=576_778,
    macs=12_526_464,
    pytorch_names=(
        PyTorchNames(features="conv{number}.0", head="fc{number}.0", last="fc{number}"),
    ),
)

CIFAR_V3 = NetworkSpec(
    name="cifar_v3",
    title="Wide convolutions at full CIFAR resolution",
    source="document 002 (code)",
    num_classes=10,
    features=(
        ConvolutionSpec("conv1", 64, kernel=3, padding=(2, 2)),
        MaxPoolSpec("pool1", size=2, stride=2),
        ConvolutionSpec("conv2", 192, kernel=3, padding=(2, 2)),
        MaxPoolSpec("pool2", size=2, stride=2),
        ConvolutionSpec("conv3", 384, kernel=3, padding=(1, 1)),
        ConvolutionSpec("conv4", 256, kernel=3, padding=(1, 1)),
        ConvolutionSpec("conv5", 256, kernel=3, padding=(1, 1)),
        MaxPoolSpec("pool5", size=3, stride=2),
    ),
    head=pytorch_head(units=2048, rate=0.6),
    standardization=MINUS_ONE_TO_ONE,
    image_plan=CIFAR_PLAN,
    parameters=14_859_082,
    macs=227_711_744,
    pytorch_names=(PyTorchNames(head="fc_layers.{index}"),),
)

CIFAR_RESIZED = dataclasses.replace(
    ALEXNET,
    name="cifar_resized",
    title="The one-tower network on CIFAR images enlarged to 227 x 227",
    source="document 000, way 2",
    num_classes=10,
    standardization=MINUS_CIFAR10_MEAN,
    image_plan=dataclasses.replace(CIFAR_PLAN, input_size=227),
    parameters=58_322_314,
    macs=1_131_201_056,
)

NETWORKS = (CIFAR_V1, CIFAR_V2, CIFAR_V3, CIFAR_RESIZED)
