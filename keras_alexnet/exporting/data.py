"""The images that an export calibrates with and compares on."""

import dataclasses
from collections.abc import Iterable

import numpy as np
from absl import logging

from keras_alexnet import data_errors, datasets, pipeline, runs
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.exporting import agreement
from keras_alexnet.exporting.config import ExportConfig
from keras_alexnet.exporting.networks import Network
from keras_alexnet.splits import Split

_BATCH = 64


@dataclasses.dataclass(frozen=True)
class Images:
    """What there is to calibrate with and to compare on.

    Attributes:
        source: the data set, or None where there is none and drawn images stand in.
        test: its test images, or as many as were asked for.
        calibration: its training images for int8, or None.
    """

    network: Network
    source: datasets.DataSource | None
    test: Split | None
    calibration: Split | None

    def __len__(self) -> int:
        return agreement.DRAWN if self.test is None else len(self.test)

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
            yield agreement.drawn_images(self.network), None
            return
        batches = pipeline.eval_batches(self.test, self.network.plan, batch_size=_BATCH)
        for images, labels in data_errors.explained(batches, self.test):
            yield images.numpy(), labels.numpy()

    def calibration_inputs(self) -> np.ndarray:
        """Inputs made of the training images that calibrate, uint8 [n, H, W, 3]."""
        batches = pipeline.eval_batches(self.calibration, self.network.plan, batch_size=_BATCH)
        read = data_errors.explained(batches, self.calibration)
        return np.concatenate([images.numpy() for images, _ in read])


def find(config: ExportConfig, network: Network) -> Images:
    """Finds the data set asked for, or the run's.

    Raises:
        UsageError: if int8 is asked for, and there is no data set to calibrate it with.
        UserError: if the data set that was asked for, or that int8 needs, cannot be had, or
            has other classes than the network.
    """
    source = _source(config, network)
    if source is None:
        return Images(network, None, None, None)
    labels = network.labels if network.named else None
    runs.check_labels(len(network.labels), labels, source)
    test = _chosen(source.test, config.test_images, config.seed)
    return Images(
        network, source, test, _chosen(source.train, config.calibration_images, config.seed)
    )


def _source(config: ExportConfig, network: Network) -> datasets.DataSource | None:
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
        return runs.load_data(
            network.config,
            config.dataset,
            data_dir=config.data_dir,
            dataset_name=config.dataset_name,
            skip_corrupt=config.skip_corrupt,
        )
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
