"""Predictors that run in this process: from decoded images, and with a SavedModel."""

import functools
import os
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from keras_alexnet import run_folder
from keras_alexnet.data import decode, views
from keras_alexnet.data.config import MAX_IMAGE_PIXELS
from keras_alexnet.errors import UserError
from keras_alexnet.networks.image_plan import ImagePlan
from keras_alexnet.predicting.encoded_predictor import INPUT, SIGNATURE, EncodedPredictor
from keras_alexnet.predicting.messages import reason
from keras_alexnet.predicting.predictor import Predictor, Refused, TopClasses, top_classes
from keras_alexnet.runtimes.saved_model import variables_of
from keras_alexnet.utils import finite


class Decoder:
    """Makes a network's inputs of encoded images, as evaluation does.

    Args:
        plan: how an image becomes an input.

    Attributes:
        max_image_pixels: the largest image that is decoded.
    """

    max_image_pixels: int = MAX_IMAGE_PIXELS

    def __init__(self, plan: ImagePlan):
        self._plan = plan

    def preprocess(self, contents: bytes) -> np.ndarray:
        """Decodes one image: uint8 `[square_size, square_size, 3]`."""
        with tf.device("/CPU:0"):
            return decode.square_decoder(*self._plan.square, self.max_image_pixels)(
                contents
            ).numpy()

    def inputs(self, squares: Sequence[np.ndarray]) -> np.ndarray:
        """Returns the inputs of squares that `preprocess` made: uint8 `[N, s, s, 3]`."""
        with tf.device("/CPU:0"):
            return _center_views(self._plan)(np.stack(squares)).numpy()


class LocalPredictor(Decoder, Predictor):
    """Decodes images as evaluation does, and calls a function.

    Args:
        probabilities: a function from pixels, uint8 `[N, s, s, 3]`, to float32 `[N, classes]`.
        plan: how an image becomes an input.
        labels: the names of the classes.
        top: how many classes to name.
    """

    def __init__(
        self,
        probabilities: Callable[[np.ndarray], np.ndarray],
        plan: ImagePlan,
        labels: Sequence[str],
        top: int,
    ):
        super().__init__(plan)
        self._probabilities, self._labels, self._top = probabilities, labels, top

    def classify(self, images: list[np.ndarray]) -> list[TopClasses]:
        return top_classes(self._probabilities(self.inputs(images)), self._labels, self._top)


class SavedModelPredictor(EncodedPredictor):
    """A SavedModel, run through the signature that servers run.

    Args:
        folder: the folder of one version.
        top: how many classes to name.
        labels: the names of the classes; None takes those in the graph, and the folder's labels.txt
            for more classes than the graph names.

    Raises:
        UserError: if it cannot be loaded, or as `EncodedPredictor`.
        UsageError: as `EncodedPredictor`.
    """

    def __init__(self, folder: str | os.PathLike, top: int, labels: Sequence[str] | None):
        try:
            self._loaded = tf.saved_model.load(os.fspath(folder))
        except Exception as error:  # TensorFlow raises many kinds of errors for damaged files.
            raise UserError(
                f"{folder} cannot be loaded as a SavedModel: {reason(str(error))}"
            ) from error
        functions = self._loaded.signatures
        for function in functions.values():
            finite.check_weights(folder, variables_of(function))
        signatures = {
            name: {key: _shape(spec) for key, spec in function.structured_outputs.items()}
            for name, function in functions.items()
        }
        self._labels_file = pathlib.Path(folder) / "assets" / run_folder.LABELS
        super().__init__(folder, signatures, top, labels)
        self._function = functions[SIGNATURE]

    def spare_labels(self) -> Sequence[str] | None:
        return run_folder.read_labels(self._labels_file) if self._labels_file.exists() else None

    def call_signature(self, images: list[bytes], names: Sequence[str]) -> dict[str, np.ndarray]:
        try:
            outputs = self._function(**{INPUT: tf.constant(images)})
        except tf.errors.InvalidArgumentError as error:
            raise Refused(reason(error.message)) from error
        return {name: outputs[name].numpy() for name in names}


@functools.lru_cache(maxsize=16)
def _center_views(plan: ImagePlan) -> tf.types.experimental.GenericFunction:
    squares = tf.TensorSpec([None, plan.square_size, plan.square_size, 3], tf.uint8)
    return tf.function(
        lambda squares: views.center_view(squares, plan), input_signature=[squares], autograph=False
    )


def _shape(spec: tf.TensorSpec) -> list[int | None] | None:
    return None if spec.shape.rank is None else spec.shape.as_list()
