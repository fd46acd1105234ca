"""How an image becomes a network's input, as data: its plan and its standardisation."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Standardisation:
    """(pixel - mean) / std, per channel R, G, B on the 0-255 scale.

    With `mean_of_training_set` the source subtracts its training set's mean, and `mean` stands in
    for it where the training set is not known. With `bgr` the channels reach the first layer in the
    order B, G, R.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    mean_of_training_set: bool = False
    bgr: bool = False


@dataclass(frozen=True)
class ImagePlan:
    """How an image of any size becomes the network's input; all numbers are pixels.

    The short side is resized to `square_size` and the centre square kept, or with `warp` the whole
    image is squeezed into the square; crops of `crop_size` are cut (random ones after
    `crop_padding` zeros on each side) and enlarged to `input_size`.
    """

    square_size: int
    crop_size: int
    crop_padding: int
    input_size: int
    warp: bool = False
