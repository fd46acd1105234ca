"""Networks that run in this process on decoded images: Keras models and TFLite files."""

import os
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from keras_alexnet.data import decode, views
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.networks import variants
from keras_alexnet.networks.spec import ImagePlan
from keras_alexnet.predicting.predictor import Predictor, TopClasses, check_labels, top_of


class LocalPredictor(Predictor):
    """Decodes images as evaluation does and calls a function.

    Args:
        probabilities: of pixels, uint8 `[N, s, s, 3]`: float32 `[N, classes]`.
        plan: how an image becomes an input.
        labels: of the classes.
        top: how many classes to name.
    """

    def __init__(
        self,
        probabilities: Callable[[np.ndarray], np.ndarray],
        plan: ImagePlan,
        labels: Sequence[str],
        top: int,
    ):
        self._probabilities, self._labels, self._top = probabilities, labels, top
        self._square = tf.function(
            lambda contents: decode.decode_square(contents, plan.square_size, plan.warp),
            input_signature=[tf.TensorSpec([], tf.string)],
        )
        squares = tf.TensorSpec([None, plan.square_size, plan.square_size, 3], tf.uint8)
        self._view = tf.function(
            lambda squares: views.center_view(squares, plan), input_signature=[squares]
        )

    def prepare(self, contents: bytes) -> np.ndarray:
        """Decodes one image: uint8 `[square_size, square_size, 3]`."""
        with tf.device("/CPU:0"):
            return self._square(tf.constant(contents)).numpy()

    def classify(self, prepared: list[np.ndarray]) -> list[TopClasses]:
        with tf.device("/CPU:0"):
            pixels = self._view(np.stack(prepared)).numpy()
        return top_of(self._probabilities(pixels), self._labels, self._top)


def of_keras(
    where: str | os.PathLike, top: int, variant: str | None, labels: Sequence[str] | None
) -> LocalPredictor:
    """Loads a run's folder or a `.keras` file.

    Raises:
        UserError: as `exporting.networks.load`; if there are not as many labels as classes.
    """
    from keras_alexnet import trained

    network = trained.load(where, variant)
    if labels is not None:
        check_labels(labels, len(network.labels), where)

    @tf.function(
        input_signature=[tf.TensorSpec([None, *network.input_shape], tf.uint8)], autograph=False
    )
    def forward(pixels):
        return tf.nn.softmax(network.model(tf.cast(pixels, tf.float32), training=False))

    return LocalPredictor(
        lambda pixels: forward(pixels).numpy(), network.plan, labels or network.labels, top
    )


def of_tflite(
    where: str | os.PathLike, top: int, variant: str | None, labels: Sequence[str] | None
) -> LocalPredictor:
    """Loads a `.tflite` file.

    Raises:
        UserError: if it is no TFLite file, or takes no square RGB images, or labels and classes
            differ in number.
        UsageError: if the file does not describe itself and `variant` or `labels` is missing, or
            it names another variant than `variant`.
    """
    from keras_alexnet.runtimes.litert import LiteModel

    model = LiteModel(where)
    plan, own_labels = _described(model.description, variant, where)
    height, width, _ = model.input_shape
    if height != width:
        raise UserError(
            f"{where} takes images of {height} x {width}, and an image plan makes squares."
        )
    if plan is None and variant is not None:
        plan = variants.image_plan(variant, height)
    chosen = labels or own_labels
    if plan is None or chosen is None:
        raise UsageError(
            f"{where} was not written by this project, so it does not say how images become its "
            "inputs and what its classes are. Give both --variant (variant=) and --labels "
            "(labels=)."
        )
    if plan.input_size != height:
        raise UserError(
            f"{where} describes inputs of {plan.input_size} pixels and takes {height}. Export it "
            "again."
        )

    def probabilities(pixels: np.ndarray) -> np.ndarray:
        return model.run(pixels)["probabilities"]

    classes = probabilities(np.zeros([0, *model.input_shape], np.uint8)).shape[1]
    check_labels(chosen, classes, where)
    return LocalPredictor(probabilities, plan, chosen, top)


def _described(
    description: dict | None, variant: str | None, where
) -> tuple[ImagePlan | None, tuple | None]:
    if description is None:
        return None, None
    try:
        own = description["variant"]
        plan, labels = ImagePlan(**description["image_plan"]), tuple(description["labels"])
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{where} describes itself in a form that is not known here ({error!r}). Export it "
            "again with this version."
        ) from error
    if variant not in (None, own):
        raise UsageError(
            f"{where} is a {own}, and --variant (variant=) is for networks that do not say what "
            f"they are. Leave it out. Received: {variant!r}."
        )
    return plan, labels
