"""How images become inputs: ImagePlan and Standardization."""

import dataclasses
from dataclasses import dataclass

from keras_alexnet.errors import unknown_name

VIEWS = (1, 2, 10)  # how many views of an image can be averaged

AREA, ANTIALIASED_BILINEAR = "area", "antialiased_bilinear"
RESIZES = (AREA, ANTIALIASED_BILINEAR)


@dataclass(frozen=True)
class ImagePlan:
    """How an image of any size becomes the network's input; all sizes are in pixels.

    The short side is resized to `square_size` and the center square is kept, or with `warp` the
    whole image is squeezed into the square. Crops of `crop_size` are cut (random ones after adding
    `crop_padding` zeros on each side) and enlarged to `input_size`.

    `resize` is the way to the square: with "area" the center is cut out first, and each new pixel
    is the mean of its area; with "antialiased_bilinear" the whole image is resized as torchvision's
    transforms do, by a triangle filter, and the center is cut out of the result.
    """

    square_size: int
    crop_size: int
    crop_padding: int
    input_size: int
    warp: bool = False
    resize: str = AREA

    def __post_init__(self) -> None:
        if self.resize not in RESIZES:
            raise unknown_name("resize", self.resize, RESIZES)

    @property
    def square(self) -> tuple[int, bool, str]:
        """The arguments of functions that make squares: size, warp and resize."""
        return self.square_size, self.warp, self.resize

    def scaled_to(self, input_size: int) -> "ImagePlan":
        """Returns the plan scaled to a different `input_size`.

        A plan that enlarges its crops keeps their size, which is that of the data.

        Example:
            >>> plan = ImagePlan(square_size=256, crop_size=224, crop_padding=0, input_size=224)
            >>> plan.scaled_to(112).square_size
            128
        """
        if self.crop_size != self.input_size:
            return dataclasses.replace(self, input_size=input_size)
        scale = input_size / self.input_size
        return dataclasses.replace(
            self,
            square_size=round(self.square_size * scale),
            crop_size=input_size,
            crop_padding=round(self.crop_padding * scale),
            input_size=input_size,
        )


@dataclass(frozen=True)
class Standardization:
    """(pixel - mean) / std for each of R, G, B on the scale 0-255.

    With `mean_of_training_set` the source subtracts the mean of its training set, and `mean` is
    for unknown training sets. With `bgr` the first layer sees the channels as B, G, R.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    mean_of_training_set: bool = False
    bgr: bool = False
