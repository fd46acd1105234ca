"""Predictions from a network, wherever it runs."""

from keras_alexnet.serving.predicting import Prediction, predict, predictions

__all__ = ["Prediction", "predict", "predictions"]
