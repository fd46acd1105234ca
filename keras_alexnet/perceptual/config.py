"""The settings of a measurement of perceptual distances."""

import dataclasses
import os
from typing import TYPE_CHECKING

from keras_alexnet.data.config import MAX_IMAGE_PIXELS
from keras_alexnet.utils.arguments import Config, normalize, setting

if TYPE_CHECKING:
    import keras


@dataclasses.dataclass(frozen=True, kw_only=True)
class DistanceConfig(Config):
    """The settings of a measurement of perceptual distances.

    Raises:
        UsageError: if a field cannot have its value.

    Example:
        >>> DistanceConfig(first="a.png", second="b.png").weights
        'imagenet'
    """

    first: str | os.PathLike = setting(None, "An image, or a folder of images.")
    second: str | os.PathLike = setting(None, "The image or folder to compare it with.")
    weights: "str | os.PathLike | keras.Model" = setting(
        "imagenet",
        "The network's weights: imagenet, or a file with weights of alexnet_owt; in Python, also "
        "a model that build() returned.",
    )
    resize: bool = setting(
        False, "Resize the second image of a pair to the size of the first if they differ."
    )
    maps: str | os.PathLike | None = setting(
        None, "Folder to write a picture of each pair to, with the map of its distance."
    )
    max_image_pixels: int = setting(
        MAX_IMAGE_PIXELS, "Largest number of pixels of an image that is decoded.", least=1
    )

    def __post_init__(self) -> None:
        normalize(self)
