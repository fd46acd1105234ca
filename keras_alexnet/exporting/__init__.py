"""From a trained network to the things that other programs run."""

from keras_alexnet.exporting.config import FLAG_FIELDS, ExportConfig
from keras_alexnet.exporting.exporter import export

__all__ = ["FLAG_FIELDS", "ExportConfig", "export"]
