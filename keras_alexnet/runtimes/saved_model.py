"""Runs SavedModels that this package exported, in TensorFlow."""

import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_alexnet.errors import UserError, first_line
from keras_alexnet.run_folder import DESCRIPTION
from keras_alexnet.utils import finite


class SavedModel:
    """A SavedModel, ready to run.

    Args:
        folder: the folder of one version.

    Attributes:
        layer: a `keras.layers.TFSMLayer` from pixels to logits, to build other models with.
        description: what `TrainedNetwork.description()` returned at the export, or None.
        input_dtype: "uint8"; floats are accepted, too.
        input_shape: height, width and 3.
        num_classes: the number of classes.
        runtime: the software that runs it, with its version.

    Raises:
        UserError: it is damaged, its weights are NaN or infinite, or a different program wrote it.

    Example:
        >>> model = SavedModel("saved_models/mine/1")  # doctest: +SKIP
        >>> model.run(np.zeros([2, 32, 32, 3], "uint8"))["logits"].shape  # doctest: +SKIP
        (2, 10)
    """

    def __init__(self, folder: str | os.PathLike):
        self.input_dtype, self.runtime = "uint8", f"tensorflow {tf.__version__}"
        try:
            self.layer = keras.layers.TFSMLayer(
                str(folder), call_endpoint="logits", dtype="float32"
            )
            function = self.layer.call_endpoint_fn.concrete_functions[0]
            height, width, channels = function.structured_input_signature[0][0].shape[1:]
            self.num_classes: int = function.structured_outputs.shape[-1]
        except Exception as error:  # TensorFlow raises many kinds of errors for damaged files.
            raise UserError(
                f"{folder} cannot be read as a SavedModel of this package: {first_line(error)}"
            ) from error
        finite.check_weights(folder, variables_of(function))
        self.input_shape: tuple[int, int, int] = (height, width, channels)
        self.description: dict[str, Any] | None = _description(pathlib.Path(folder))
        self._forward = tf.function(
            self._outputs,
            input_signature=[tf.TensorSpec([None, *self.input_shape], tf.uint8)],
            autograph=False,
        )

    def run(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        """Runs the network.

        Args:
            pixels: RGB 0–255, uint8 `[N, *input_shape]`.

        Returns:
            `logits` and `probabilities`, float32 `[N, classes]`.
        """
        return {name: values.numpy() for name, values in self._forward(pixels).items()}

    def _outputs(self, pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        logits = self.layer(tf.cast(pixels, tf.float32), training=False)
        return {"logits": logits, "probabilities": tf.nn.softmax(logits)}


def variables_of(function: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Yields name and array of each variable that a function of a SavedModel uses."""
    for variable in function.variables:
        yield variable.name.removesuffix(":0"), variable.numpy()


def _description(folder: pathlib.Path) -> dict[str, Any] | None:
    path = folder / "assets.extra" / DESCRIPTION
    if not path.exists():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is damaged: {error}. Export the network again.") from error
