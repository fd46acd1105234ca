"""The networks: their numbers, layers and builder."""

from keras_alexnet.utils.keras_backend import require_tensorflow

require_tensorflow()
