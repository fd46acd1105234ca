"""build and AlexNet, with weights from files or of a name; preprocess_input, decode_predictions."""

from keras_alexnet.models.alexnet import AlexNet
from keras_alexnet.models.images_and_scores import decode_predictions, preprocess_input
from keras_alexnet.models.with_weights import build

__all__ = ["AlexNet", "build", "decode_predictions", "preprocess_input"]
