"""How closely exported models agree with the Keras model."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping

import numpy as np
import tensorflow as tf

from keras_alexnet.evaluation.metrics import Evaluation
from keras_alexnet.exporting.formats import Output
from keras_alexnet.trained import TrainedNetwork, check_finite

KERAS = "keras"

MOST_RELATIVE_DIFFERENCE = 1e-4  # of the logits of an exact output

LEAST_IMAGES = 1000  # `Output.least_agreement` is required from this number on

Logits = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Agreement:
    """How a model's logits compare with the Keras model's on the same images.

    Attributes:
        images: the number of images.
        largest_difference: the largest absolute difference of any logit.
        relative_difference: the same, divided by the largest absolute logit of the Keras model.
        top1_agreement: share of the images, 0–1, for which both rank the same class first.
        top1: accuracy, 0–1, or None if the images have no labels.
        top5: the same, for the five likeliest classes.
    """

    images: int
    largest_difference: float
    relative_difference: float
    top1_agreement: float
    top1: float | None
    top5: float | None


def compare(
    network: TrainedNetwork,
    models: Mapping[str, Logits],
    batches: Iterable[tuple[np.ndarray, np.ndarray | None]],
    advance: Callable[[int], None] = lambda images: None,
) -> dict[str, Agreement]:
    """Runs the Keras model and all other models on the same images.

    Args:
        network: holds the Keras model.
        models: name → function from pixels, uint8 `[N, H, W, 3]`, to logits `[N, classes]`.
        batches: pairs of pixels, uint8 `[N, H, W, 3]`, and labels, int `[N]` or None.
        advance: called with the number of images of each batch that is done.

    Returns:
        A dict: name → `Agreement`; "keras" is the Keras model itself.

    Raises:
        UserError: if the Keras model's logits are not finite.
    """
    forward = tf.function(
        lambda images: network.model(tf.cast(images, tf.float32), training=False), autograph=False
    )
    everyone: dict[str, Logits] = {KERAS: lambda images: forward(images).numpy(), **models}
    parts: dict[str, list[np.ndarray]] = {name: [] for name in everyone}
    labels = []
    for images, batch_labels in batches:
        images = np.asarray(images)
        for name, logits in everyone.items():
            parts[name].append(logits(images))
        labels.append(batch_labels)
        advance(len(images))
    known = [each for each in labels if each is not None]
    truth = np.concatenate(known) if known else None
    found = {name: np.concatenate(logits) for name, logits in parts.items()}
    check_finite(found[KERAS])
    return {name: _agreement(logits, found[KERAS], truth) for name, logits in found.items()}


def _agreement(logits: np.ndarray, reference: np.ndarray, labels: np.ndarray | None) -> Agreement:
    # NaN counts as an infinite difference, and never ranks first.
    difference = float(np.max(np.nan_to_num(np.abs(logits - reference), nan=np.inf)))
    top1 = top5 = None
    if labels is not None:
        evaluation = Evaluation(np.nan_to_num(logits, nan=-np.inf), labels, views=1)
        top1, top5 = evaluation.top(1), evaluation.top(5)
    return Agreement(
        images=len(logits),
        largest_difference=difference,
        relative_difference=difference / float(np.max(np.abs(reference)) or 1),
        top1_agreement=float(np.mean(np.argmax(logits, 1) == np.argmax(reference, 1))),
        top1=top1,
        top5=top5,
    )


def disagreements(
    outputs: Iterable[Output], agreements: Mapping[str, Agreement], trained: bool
) -> list[str]:
    """Returns a sentence, without its period, for each output that disagrees too much.

    Args:
        outputs: what was written.
        agreements: what `compare` returns.
        trained: whether the network is known to be trained. Only then is a least agreement of
            the top class required: with random weights, no class is clearly ahead.
    """
    found = []
    for output in outputs:
        agreement, least = agreements[output.name], output.least_agreement
        if output.exact and not agreement.relative_difference <= MOST_RELATIVE_DIFFERENCE:
            found.append(
                f"{output.name} differs from the Keras model by "
                f"{agreement.relative_difference:.1e} relative, more than "
                f"{MOST_RELATIVE_DIFFERENCE:.0e}"
            )
        if least is None or not trained or agreement.images < LEAST_IMAGES:
            continue
        if agreement.top1_agreement < least:
            found.append(
                f"{output.name} ranks the Keras model's class first for "
                f"{100 * agreement.top1_agreement:.2f} % of {agreement.images} images, less than "
                f"{100 * least:.0f} %"
            )
    return found
