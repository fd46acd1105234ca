"""PixelInputs: what the predictors share that decode images, and send pixels to a server."""

from typing import Any

import numpy as np

from keras_alexnet.networks import variants
from keras_alexnet.predicting.encoded_predictor import EncodedPredictor
from keras_alexnet.predicting.local import Decoder


class PixelInputs(EncodedPredictor):
    """Makes inputs of images here, as evaluation does, for servers that do not decode images.

    A mixin of the predictors that send encoded images. The server is not asked what it serves: the
    variant says which pixels it takes, and its first answer shows its outputs.

    Args:
        variant: the name of the network.
        connection: what the predictor takes.

    Raises:
        UsageError: there is no such network, or as the predictor.
        UserError: as the predictor.
    """

    signature, input = "serving_default", "image"

    def __init__(self, variant: str, *connection: Any):
        self._decoder = Decoder(variants.get(variant).image_plan_for())
        super().__init__(*connection)

    def find_signatures(self) -> None:
        return None

    def preprocess(self, contents: bytes) -> Any:
        self._decoder.max_image_pixels = self.max_image_pixels
        return self._decoder.preprocess(contents)

    def pixels(self, squares: list[Any]) -> np.ndarray:
        """Returns the inputs of what `preprocess` made: uint8 `[N, s, s, 3]`."""
        return self._decoder.inputs(squares)
