"""Weights from elsewhere into a network, and out again.

`load` reads what PyTorch, Caffe and this package write, `save` writes for PyTorch.
"""

from keras_alexnet.weights.load import Loaded, load
from keras_alexnet.weights.save import save

__all__ = ["Loaded", "load", "save"]
