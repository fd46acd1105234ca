"""The images that an export is calibrated with and compared on."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from absl import logging

from keras_alexnet.data import failures, pipeline
from keras_alexnet.data.dataset import Dataset
from keras_alexnet.data.splits import Split
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.exporting.config import ExportConfig
from keras_alexnet.trained import TrainedNetwork

DRAWN = 64  # how many images are drawn if there is no data set

_BATCH = 64


@dataclasses.dataclass(frozen=True)
class ComparisonImages:
    """The images that an export is calibrated with and compared on.

    Attributes:
        network: the network that takes them.
        dataset: the data set, or None if there is none; drawn images then replace it.
        test: its test images, or the requested number of them; None without a data set.
        training: training images for calibration; None without a data set.
    """

    network: TrainedNetwork
    dataset: Dataset | None = None
    test: Split | None = None
    training: Split | None = None

    def __len__(self) -> int:
        return DRAWN if self.test is None else len(self.test)

    @property
    def described(self) -> str:
        """A description of the images that were compared on."""
        if self.dataset is None or self.test is None:
            return f"{len(self)} drawn images, because there was no data set"
        total = len(self.dataset.test)
        part = "" if len(self.test) == total else f" of {total}"
        return f"{len(self.test)}{part} test images of {self.dataset.name}"

    def batches(self) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """Yields inputs uint8 `[n, H, W, 3]` and their labels int32 `[n]` or None."""
        if self.test is None:
            yield drawn_images(self.network), None
            return
        batches = pipeline.eval_batches(self.test, self.network.plan, batch_size=_BATCH)
        for images, labels in failures.explained(batches, self.test):
            yield images.numpy(), labels.numpy()

    def calibration(self) -> np.ndarray:
        """Returns the training images as inputs, uint8 `[n, H, W, 3]`."""
        assert self.training is not None
        batches = pipeline.eval_batches(self.training, self.network.plan, batch_size=_BATCH)
        read = failures.explained(batches, self.training)
        return np.concatenate([images.numpy() for images, _ in read])


def find_images(config: ExportConfig, network: TrainedNetwork) -> ComparisonImages:
    """Finds images of the requested data set, or of the run's.

    Raises:
        UsageError: if an output needs calibration, but there is no data set for it.
        UserError: if a data set that is requested, or needed for calibration, cannot be loaded, or
            its classes are not those of the network.
    """
    dataset = _dataset(config, network)
    if dataset is None:
        return ComparisonImages(network)
    network.check_data(dataset)
    return ComparisonImages(
        network,
        dataset,
        _chosen(dataset.test, config.test_images, config.seed),
        _chosen(dataset.train, config.calibration_images, config.seed),
    )


def drawn_images(network: TrainedNetwork) -> np.ndarray:
    """Draws blurred color noise, uint8 `[DRAWN, H, W, 3]`, the same each time.

    It has patches from a few pixels to half the image in size, so that units of all layers respond.
    """
    random = np.random.default_rng(0)
    height, width, _ = network.input_shape
    coarse = [random.uniform(0, 255, (DRAWN, side, side, 3)) for side in (2, 6, 16)]
    layers = [tf.image.resize(noise, [height, width], "bicubic").numpy() for noise in coarse]
    return np.clip(np.mean(layers, axis=0) * 1.8 - 100, 0, 255).astype(np.uint8)


def _dataset(config: ExportConfig, network: TrainedNetwork) -> Dataset | None:
    calibrated = [output.name for output in config.outputs if output.calibrated]
    requested = config.dataset is not None or config.data_dir is not None
    if network.config is None and config.dataset is None:
        if requested:
            raise UsageError("--data_dir needs --dataset, which says what kind of data it holds.")
        if calibrated:
            raise UsageError(
                f"{', '.join(calibrated)} is calibrated with training images. Name them with "
                "--dataset and --data_dir, or export from a run's folder, which knows its data."
            )
        logging.warning("There is no data set to compare on, so drawn images replace it.")
        return None
    try:
        return network.load_data(config.data)
    except UserError as error:
        if calibrated or requested:
            raise
        logging.warning(
            "The run's data cannot be loaded, so drawn images replace them and accuracies are "
            "not measured: %s",
            error,
        )
        return None


def _chosen(split: Split, count: int | None, seed: int) -> Split:
    if count is None or count >= len(split):
        return split
    order = np.random.Generator(np.random.PCG64(seed)).random(len(split)).argsort(kind="stable")
    return split.subset(np.sort(order[:count]))
