"""How an image becomes a network's input, as data: its plan and its standardisation."""

import dataclasses
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

    def scaled_to(self, input_size: int) -> "ImagePlan":
        """Returns the plan in proportion to another `input_size`.

        A plan that enlarges its crops keeps them: they are as large as the data is.

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
