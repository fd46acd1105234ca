"""Whether an exported model computes what the Keras model computes."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping

import numpy as np
import tensorflow as tf
from absl import logging

from keras_alexnet.data import dataset, failures, pipeline
from keras_alexnet.data.splits import Split
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.evaluation.metrics import Evaluation
from keras_alexnet.exporting.config import ExportConfig
from keras_alexnet.trained import TrainedNetwork, check_finite

KERAS = "keras"


MOST_RELATIVE_DIFFERENCE = 1e-4  # of a float32 program


LEAST_INT8_AGREEMENT = 0.98  # of a trained network's int8 program, on


LEAST_INT8_IMAGES = 1000


DRAWN = 64  # images to compare on where there is no data set


Program = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Agreement:
    """How a program's logits compare with the Keras model's on the same images.

    Attributes:
        images: how many were compared.
        largest_difference: the largest absolute difference of any logit.
        relative_difference: that, over the largest absolute logit of the Keras model.
        top1_agreement: share of the images, 0–1, for which both name the same class first.
        top1: accuracy, 0–1, or None where the images have no labels.
        top5: likewise, of the five likeliest classes.
    """

    images: int
    largest_difference: float
    relative_difference: float
    top1_agreement: float
    top1: float | None
    top5: float | None


def compare(
    network: TrainedNetwork,
    programs: Mapping[str, Program],
    batches: Iterable,
    advance: Callable[[int], None] = lambda images: None,
) -> dict[str, Agreement]:
    """Runs the Keras model and every program on the same images.

    Args:
        network: the Keras model.
        programs: name → function of pixels uint8 [N, H, W, 3] that returns logits [N, classes].
        batches: of (pixels uint8 [N, H, W, 3], labels int [N] or None).
        advance: is called with the number of images of every batch that is done.

    Returns:
        Name → `Agreement`, the Keras model itself under "keras".

    Raises:
        UserError: if the Keras model's logits are not finite.
    """
    forward = tf.function(
        lambda images: network.model(tf.cast(images, tf.float32), training=False), autograph=False
    )
    everyone = {KERAS: lambda images: forward(images).numpy(), **programs}
    logits, labels = {name: [] for name in everyone}, []
    for images, batch_labels in batches:
        images = np.asarray(images)
        for name, program in everyone.items():
            logits[name].append(program(images))
        labels.append(batch_labels)
        advance(len(images))
    truth = None if labels[0] is None else np.concatenate(labels)
    joined = {name: np.concatenate(parts) for name, parts in logits.items()}
    check_finite(joined[KERAS])
    return {name: _agreement(found, joined[KERAS], truth) for name, found in joined.items()}


def _agreement(found: np.ndarray, reference: np.ndarray, labels) -> Agreement:
    # NaN is the largest difference there is, and no class.
    difference = float(np.max(np.nan_to_num(np.abs(found - reference), nan=np.inf)))
    accuracy = {"top1": None, "top5": None}
    if labels is not None:
        evaluation = Evaluation(np.nan_to_num(found, nan=-np.inf), labels, views=1)
        accuracy = {"top1": evaluation.top(1), "top5": evaluation.top(5)}
    return Agreement(
        images=len(found),
        largest_difference=difference,
        relative_difference=difference / float(np.max(np.abs(reference)) or 1),
        top1_agreement=float(np.mean(np.argmax(found, 1) == np.argmax(reference, 1))),
        **accuracy,
    )


def drawn_images(network: TrainedNetwork) -> np.ndarray:
    """Blurred color noise, uint8 [DRAWN, H, W, 3], to compare on where there are no photographs.

    Patches of a few pixels and of half the image, so that units of all layers respond.
    """
    random = np.random.default_rng(0)
    height, width, _ = network.input_shape
    coarse = [random.uniform(0, 255, (DRAWN, side, side, 3)) for side in (2, 6, 16)]
    layers = [tf.image.resize(noise, [height, width], "bicubic").numpy() for noise in coarse]
    return np.clip(np.mean(layers, axis=0) * 1.8 - 100, 0, 255).astype(np.uint8)


def disagreements(
    agreements: Mapping[str, Agreement], exact: Iterable[str], trained: bool
) -> list[str]:
    """Says of each program that disagrees too much how much it is.

    Args:
        agreements: as `compare` returns them.
        exact: names of the programs that compute in float32.
        trained: whether the network is a trained run's, whose int8 program is held to its top-1.
    """
    found = []
    for name in exact:
        difference = agreements[name].relative_difference
        if not difference <= MOST_RELATIVE_DIFFERENCE:
            found.append(
                f"{name} differs from the Keras model by {difference:.1e} relative, more than "
                f"{MOST_RELATIVE_DIFFERENCE:.0e}"
            )
    int8 = agreements.get("tflite int8")
    if int8 is not None and trained and int8.images >= LEAST_INT8_IMAGES:
        if int8.top1_agreement < LEAST_INT8_AGREEMENT:
            found.append(
                f"tflite int8 names the Keras model's class first for "
                f"{100 * int8.top1_agreement:.2f} % of {int8.images} images, fewer than "
                f"{100 * LEAST_INT8_AGREEMENT:.0f} %"
            )
    return found


_BATCH = 64


@dataclasses.dataclass(frozen=True)
class ComparisonImages:
    """What there is to calibrate with and to compare on.

    Attributes:
        source: the data set, or None where there is none and drawn images stand in.
        test: its test images, or as many as were asked for.
        calibration: its training images for int8, or None.
    """

    network: TrainedNetwork
    source: dataset.Dataset | None
    test: Split | None
    calibration: Split | None

    def __len__(self) -> int:
        return DRAWN if self.test is None else len(self.test)

    @property
    def described(self) -> str:
        """The images that were compared on, in words."""
        if self.source is None:
            return f"{len(self)} drawn images, since there was no data set"
        some = "" if len(self.test) == len(self.source.test) else f" of {len(self.source.test)}"
        return f"{len(self.test)}{some} test images of {self.source.name}"

    def batches(self) -> Iterable:
        """Yields (inputs uint8 [n, H, W, 3], labels int32 [n] or None)."""
        if self.test is None:
            yield drawn_images(self.network), None
            return
        batches = pipeline.eval_batches(self.test, self.network.plan, batch_size=_BATCH)
        for images, labels in failures.explained(batches, self.test):
            yield images.numpy(), labels.numpy()

    def calibration_inputs(self) -> np.ndarray:
        """Inputs made of the training images that calibrate, uint8 [n, H, W, 3]."""
        batches = pipeline.eval_batches(self.calibration, self.network.plan, batch_size=_BATCH)
        read = failures.explained(batches, self.calibration)
        return np.concatenate([images.numpy() for images, _ in read])


def find_images(config: ExportConfig, network: TrainedNetwork) -> ComparisonImages:
    """Finds the data set asked for, or the run's.

    Raises:
        UsageError: if int8 is asked for, and there is no data set to calibrate it with.
        UserError: if the data set that was asked for, or that int8 needs, cannot be had, or
            has other classes than the network.
    """
    source = _source(config, network)
    if source is None:
        return ComparisonImages(network, None, None, None)
    network.check_data(source)
    test = _chosen(source.test, config.test_images, config.seed)
    return ComparisonImages(
        network, source, test, _chosen(source.train, config.calibration_images, config.seed)
    )


def _source(config: ExportConfig, network: TrainedNetwork) -> dataset.Dataset | None:
    needed = "tflite int8" in config.programs
    asked = config.dataset is not None or config.data_dir is not None
    if network.config is None and config.dataset is None:
        if asked:
            raise UsageError("--data_dir needs --dataset, which says what kind of data it holds.")
        if needed:
            raise UsageError(
                "int8 is calibrated with training images. Name them with --dataset and "
                "--data_dir, or export from a run's folder, which knows its data."
            )
        logging.warning("There is no data set to compare on: drawn images stand in for it.")
        return None
    try:
        return network.load_data(config.data)
    except UserError as error:
        if needed or asked:
            raise
        logging.warning(
            "The run's data cannot be had, so drawn images stand in for them, and there are no "
            "accuracies: %s",
            error,
        )
        return None


def _chosen(split: Split, count: int | None, seed: int) -> Split:
    if count is None or count >= len(split):
        return split
    order = np.random.Generator(np.random.PCG64(seed)).random(len(split)).argsort(kind="stable")
    return split.subset(np.sort(order[:count]))
