"""A training job: the settings, data, network and batches of one run."""

import dataclasses
import os
import pathlib
import re
import time
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from keras_alexnet.data import augment_list, failures, pipeline
from keras_alexnet.data.augmentation import PixelStatistics
from keras_alexnet.data.dataset import Dataset, hold_out
from keras_alexnet.data.failures import LostImages
from keras_alexnet.data.images import DamagedImages
from keras_alexnet.data.load import load_dataset
from keras_alexnet.data.splits import Split
from keras_alexnet.distributed.cluster import Cluster
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.evaluation.evaluator import Evaluator
from keras_alexnet.models import build
from keras_alexnet.networks import spec, variants
from keras_alexnet.training import length
from keras_alexnet.training.config import TrainConfig
from keras_alexnet.training.network_options import NETWORK_OPTIONS
from keras_alexnet.training.recipe import Recipe
from keras_alexnet.training.resume import Change, RunRequest
from keras_alexnet.weights.pretrained import PretrainedWeights

RUNS = "runs"  # where runs without a folder of their own are written
_LONGEST_NAME = 50  # characters of a data set's name in the name of a folder


@dataclasses.dataclass(frozen=True)
class TrainingJob:
    """Everything that is known of a training run before its first step.

    Attributes:
        config: the settings.
        recipe: with all overrides, and fitted to the data.
        plan: how images become inputs.
        data: the data set.
        train: the images to train on.
        validation: the images held out of the training set, or None.
        statistics: pixel statistics of `train`, if the network or the augmentation needs them.
        strategy: where the steps run.
        cluster: the workers that train together.
        changes: settings that a resumed run changes.
        lost: counts the images that can no longer be read.
        weights: the weights to start from, or None for random ones.
        workdir: the run's folder, which need not exist yet.
        origin: commit, versions and date of this process, as `provenance` returns them.
        precision_why: why the run has its precision.
    """

    config: TrainConfig
    recipe: Recipe
    plan: spec.ImagePlan
    data: Dataset
    train: Split
    validation: Split | None
    statistics: PixelStatistics | None
    strategy: tf.distribute.Strategy
    cluster: Cluster
    changes: list[Change]
    lost: LostImages
    weights: PretrainedWeights | None
    workdir: pathlib.Path
    origin: dict[str, str]
    precision_why: str

    @classmethod
    def load(
        cls,
        request: RunRequest,
        cluster: Cluster,
        strategy: tf.distribute.Strategy,
        origin: dict[str, str],
    ) -> "TrainingJob":
        """Loads and splits the data.

        Raises:
            UsageError: if the data do not match the settings.
            UserError: if the data, or the weights to start from, are missing or are not the same
                on all workers, or a resumed run has changes that are not allowed.
        """
        config, recipe = request.config, request.recipe
        plan = variants.get(config.variant).image_plan_for(config.input_size)
        weights = _weights(request, cluster)
        data, config = _load_data(request, cluster)
        if data.undivided is not None:
            logging.info("%s: %s.", data.name, data.note)
        changes = request.changes_with(data.sha256)
        _check_classes(config, data)
        training, validation = hold_out(
            data, config.validation_images, recipe.validation_fraction, config.seed
        )
        recipe = length.fitted(recipe, config, training, len(data.class_names))
        needs_mean = variants.get(config.variant).standardization.mean_of_training_set
        statistics = None
        if needs_mean or augment_list.needs_statistics(recipe.augment):
            statistics = pipeline.pixel_statistics(training, plan)
        return cls(
            *(config, recipe, plan, data, training, validation, statistics, strategy, cluster),
            changes=changes,
            lost=LostImages(_of_run(training, validation, data), cluster.gather),
            weights=weights,
            workdir=_workdir_for(config, data.name),
            origin=origin,
            precision_why=request.precision_why,
        )

    @property
    def splits(self) -> list[Split]:
        """All images of the run: to train on, to validate with if there are any, and to test."""
        return _of_run(self.train, self.validation, self.data)

    def build(self, *, with_weights: bool = False) -> keras.Model:
        """Builds the network in the current precision.

        Args:
            with_weights: whether to fill it with the weights to start from, if there are any.
        """
        standardization = variants.get(self.config.variant).standardization
        mean = None
        if standardization.mean_of_training_set and self.statistics is not None:
            mean = tuple(float(value) for value in self.statistics.mean)
        model = build(
            self.config.variant,
            num_classes=len(self.data.class_names),
            input_shape=(self.plan.input_size, self.plan.input_size, 3),
            seed=self.config.seed,
            pixel_mean=mean,
            **{name: getattr(self.config, name) for name in NETWORK_OPTIONS},
        )
        if self.weights is not None:
            self.weights.set_pixels(model)
            if with_weights:
                self.weights.fill(model, self.config.variant, self.data.class_names)
        return model

    def evaluator(self, model: keras.Model, split: Split, **options: Any) -> Evaluator:
        """Returns an evaluator of `split`; `options` are those of `Evaluator`."""
        lost = self.lost if self.config.skip_corrupt else None
        return Evaluator(model, split, self.plan, strategy=self.strategy, lost=lost, **options)

    def batches(self, epoch: int, step: int) -> Iterator[tuple]:
        """Yields (images, labels, weights) endlessly, from a step of an epoch on.

        These are this worker's share of every batch. Every batch is full: the padding of an epoch's
        last batch, and an image that was lost, have the weight 0. If the run skips corrupt images,
        images that can no longer be read are left out from then on. This affects only the worker
        that reads them: it makes the same batch again, while the others wait for it in their
        step.
        """
        while True:
            try:
                for batch in failures.explained(self._distributed(epoch, step), self.train):
                    yield batch
                    step += 1
            except DamagedImages as error:
                if not self.config.skip_corrupt:
                    raise
                self.lost.add(error)

    def _distributed(self, epoch: int, step: int) -> tf.data.Dataset:
        recipe = self.recipe
        batches = pipeline.train_batches(
            self.train,
            self.plan,
            global_batch_size=recipe.global_batch_size,
            seed=self.config.seed,
            augment=recipe.augment,
            statistics=self.statistics,
            mixup=recipe.mixup,
            cutmix=recipe.cutmix,
            num_classes=len(self.data.class_names),
            start_epoch=epoch,
            start_step=step,
            shard_index=self.cluster.index,
            shard_count=self.cluster.count,
        )
        batches = batches.map(self._weighted, num_parallel_calls=2).prefetch(2)
        return self.cluster.distribute(batches, self.strategy, self._own_batch_size)

    @property
    def _own_batch_size(self) -> int:
        return self.recipe.global_batch_size // self.cluster.count

    def _weighted(self, images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, ...]:
        # The last batch of an epoch is padded with images of weight 0, so that every replica gets
        # the same number and the compiled step sees one shape.
        batch = self._own_batch_size
        missing = batch - tf.shape(labels)[0]
        images = tf.pad(images, [[0, missing], [0, 0], [0, 0], [0, 0]])
        if labels.shape.rank == 2:  # mixed
            labels = tf.pad(labels, [[0, missing], [0, 0]])
            # The loss is linear in the targets: each class has its own weight in a mixed one too.
            labels *= self._class_weights()
            weights = tf.reduce_sum(labels, axis=1)
            labels = tf.math.divide_no_nan(labels, weights[:, None])
        else:
            labels = tf.pad(labels, [[0, missing]], constant_values=-1)
            real = labels >= 0
            labels = tf.maximum(labels, 0)
            weights = tf.where(real, tf.gather(self._class_weights(), labels), 0.0)
        return tuple(
            tf.ensure_shape(part, [batch, *part.shape[1:]]) for part in (images, labels, weights)
        )

    def class_frequencies(self) -> np.ndarray:
        """Returns the share of each class in the loss: float `[classes]`, with the sum 1."""
        counts = np.bincount(self.train.labels, minlength=len(self.data.class_names))
        weighted = counts * self._class_weights()
        return weighted / weighted.sum()

    def _class_weights(self) -> np.ndarray:
        """Float32 [classes]: all 1, or inversely proportional to the number of images."""
        counts = np.bincount(self.train.labels, minlength=len(self.data.class_names))
        if not self.config.class_weights:
            return np.ones(len(counts), np.float32)
        return (counts.sum() / (len(counts) * np.maximum(counts, 1))).astype(np.float32)


def _of_run(train: Split, validation: Split | None, data: Dataset) -> list[Split]:
    return [split for split in (train, validation, data.test) if split is not None]


def _load_data(request: RunRequest, cluster: Cluster) -> tuple[Dataset, TrainConfig]:
    """The data set, and the config with the name by which evaluation and resuming find it."""
    config = request.config
    try:
        data = load_dataset(config)
    except UserError:
        request.check_settings()  # the cause may be a change, such as --dataset without --data_dir
        raise
    cluster.check_same(f"data, by the SHA-256 of {data.name}", data.sha256)
    if config.dataset is None:
        found = "cifar10" if data.note is None else "shapes"
        config = dataclasses.replace(config, dataset=found)
    return data, config


def _check_classes(config: TrainConfig, data: Dataset) -> None:
    classes = len(data.class_names)
    if classes < 2:
        raise UserError(
            f"{data.name} has one class, {data.class_names[0]}, so every answer would be right. "
            "Training needs two or more: put the images of each class into a folder of its own, "
            "and pass the folder that holds these as --data_dir."
        )
    if config.num_classes not in (None, classes):
        raise UsageError(
            f"num_classes must be {classes}, the number of classes of {data.name}. "
            f"Received: {config.num_classes}. Omit it to take it from the data."
        )


def _weights(request: RunRequest, cluster: Cluster) -> PretrainedWeights | None:
    """The weights to start from; for a resumed run, as its config.json describes them."""
    if request.config.weights is None:
        return None
    if request.saved is not None:
        described = request.saved.get("weights")
        return None if described is None else PretrainedWeights(**described)
    weights = PretrainedWeights.of(request.config.weights, request.config.variant)
    cluster.check_same(f"weights, by the SHA-256 of {weights.file}", weights.sha256)
    return weights


def _workdir_for(config: TrainConfig, dataset_name: str) -> pathlib.Path:
    """The run's folder: `config.workdir`, or runs/<variant>-<dataset>-<time>."""
    if config.workdir is not None:
        return pathlib.Path(config.workdir)
    when = time.strftime("%Y%m%d-%H%M%S")
    named = re.sub(r"[^\w.+-]+", "-", dataset_name)[:_LONGEST_NAME]  # it may have slashes
    return pathlib.Path(RUNS) / f"{config.variant}-{named}-{when}-{os.getpid()}"
