"""build, with weights from files or of a name; `alexnet` and `images_and_scores` have the rest."""

from keras_alexnet.models.with_weights import build

__all__ = ["build"]
