"""Weights of PyTorch, Caffe and Keras files: load them into a network, save them for PyTorch."""

from keras_alexnet.weights.load import Loaded, load
from keras_alexnet.weights.save import save

__all__ = ["Loaded", "load", "save"]
