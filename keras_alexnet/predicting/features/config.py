"""FeaturesConfig: the settings of `features`, with their help texts."""

import dataclasses
import os
from typing import TYPE_CHECKING

from keras_alexnet.data.config import MAX_IMAGE_PIXELS
from keras_alexnet.distributed import precision_choice
from keras_alexnet.errors import UsageError
from keras_alexnet.utils.arguments import Config, normalize, setting
from keras_alexnet.utils.limits import BATCH, PIXELS

if TYPE_CHECKING:
    import keras

FORMATS = ("npy", "parquet", "hdf5")
POOLINGS = ("avg", "max")
LAST = "features"  # what every model calls its last hidden layer, which feeds the classifier


@dataclasses.dataclass(frozen=True, kw_only=True)
class FeaturesConfig(Config):
    """The settings of `features`.

    Raises:
        UsageError: if a field cannot have its value.

    Example:
        >>> FeaturesConfig(model="cifar_v2", layers="conv1,fc4:linear").layers
        ('conv1', 'fc4:linear')
    """

    model: "str | os.PathLike | keras.Model" = setting(
        None,
        "A run's folder, a .keras file, a SavedModel's folder, or the name of a network whose "
        "weights come with the package.",
    )
    layers: tuple[str, ...] = setting(
        (LAST,),
        "Layers, separated by commas. NAME:linear is the layer before its activation, and "
        "features the last hidden layer, the only one of a SavedModel. keras-alexnet summary "
        "lists the layers of a network.",
    )
    pooling: str | None = setting(
        None, "What to make of each map over its positions: their mean or their maximum.", POOLINGS
    )
    flatten: bool = setting(
        False, "Make one vector of the maps, in the order height, width, channel."
    )
    out: str | os.PathLike | None = setting(
        None, "Folder to write to; it must not exist, or be empty."
    )
    format: str = setting(
        "npy",
        "npy: an array file for each layer; parquet, hdf5: one file for all, by pyarrow or h5py.",
        FORMATS,
    )
    resume: bool = setting(
        False, "Go on from the images that a stopped command with the same flags has done."
    )
    batch_size: int = setting(32, "Images in one step.", least=BATCH.least, most=BATCH.most)
    precision: str = setting(
        precision_choice.AUTO,
        f"{precision_choice.HELP} In float16 and bfloat16, activations have 3 and 2 or 3 digits.",
        precision_choice.FOR_INFERENCE,
    )
    variant: str | None = setting(None, "The network, if the file does not say which it is.")
    max_image_pixels: int = setting(
        MAX_IMAGE_PIXELS,
        "Largest number of pixels of an image that is decoded.",
        least=PIXELS.least,
        most=PIXELS.most,
    )

    def __post_init__(self) -> None:
        normalize(self)
        object.__setattr__(self, "layers", tuple(dict.fromkeys(self.layers)))
        if self.model is None:
            raise UsageError("model is needed: the network.")
        if not self.layers:
            raise UsageError("At least one of layers is needed.")
        if self.pooling is not None and self.flatten:
            raise UsageError("pooling leaves nothing to flatten. Leave one of them out.")
        if self.out is None and (self.resume or self.format != "npy"):
            raise UsageError("resume and format are for files. Give out, a folder, as well.")
