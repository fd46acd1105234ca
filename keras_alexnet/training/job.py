"""All that is known of a training run before its first step."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from keras_alexnet.data import augment, failures, pipeline
from keras_alexnet.data.augmentations import PixelStatistics
from keras_alexnet.data.dataset import Dataset, hold_out
from keras_alexnet.data.failures import LostImages
from keras_alexnet.data.images import DamagedImages
from keras_alexnet.data.load import load_dataset
from keras_alexnet.data.splits import Split
from keras_alexnet.distributed import precision
from keras_alexnet.distributed.cluster import Cluster
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.evaluation.evaluator import Evaluator
from keras_alexnet.models import build
from keras_alexnet.networks import spec, variants
from keras_alexnet.training import optimizer
from keras_alexnet.training.config import ON_NONFINITE, TrainConfig
from keras_alexnet.training.recipe import Recipe
from keras_alexnet.training.resume import Change, RunRequest
from keras_alexnet.weights.load import PretrainedWeights


@dataclasses.dataclass(frozen=True)
class TrainingJob:
    """What is trained, from what, on what, how and where; `changes` are since a run was stopped."""

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
    start: PretrainedWeights | None = None

    def build(self, filled: bool = False) -> keras.Model:
        """Builds the network in the precision that is set; `filled` with the weights to start from,
        if any were named."""
        standardization = variants.get(self.config.variant).standardization
        mean = self.statistics.mean if standardization.mean_of_training_set else None
        model = build(
            self.config.variant,
            num_classes=len(self.data.class_names),
            input_shape=(self.plan.input_size, self.plan.input_size, 3),
            activation=self.config.activation,
            lrn=self.config.lrn,
            dropout=self.config.dropout,
            seed=self.config.seed,
            pixel_mean=None if mean is None else tuple(float(value) for value in mean),
        )
        if self.start is not None:
            self.start.prepare(model)
            if filled:
                self.start.fill(model, self.config.variant)
        return model

    def evaluator(self, model: keras.Model, split: Split, **options) -> Evaluator:
        """Returns an evaluator of `split`, with more options of `Evaluator`."""
        lost = self.lost if self.config.skip_corrupt else None
        strategy = self.strategy
        return Evaluator(model, split, self.plan, strategy=strategy, lost=lost, **options)

    def batches(self, epoch: int, step: int):
        """Yields (images, labels, weights) from a step of an epoch on, without end: this worker's
        share of every batch.

        Every batch is full: what is missing in an epoch's last, and an image that was lost, has
        the weight 0. Images that break are left out from then on, if the run skips such images.
        That is a matter of the worker that reads them: it makes the same batch again, and the
        others, who wait for it in their step, need not know.
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

    def _distributed(self, epoch: int, step: int):
        recipe = self.recipe
        batches = pipeline.train_batches(
            self.train,
            self.plan,
            global_batch_size=recipe.global_batch_size,
            seed=self.config.seed,
            augment=recipe.augment,
            statistics=self.statistics,
            start_epoch=epoch,
            start_step=step,
            shard_index=self.cluster.index,
            shard_count=self.cluster.count,
        )
        batches = batches.map(self._weighted, num_parallel_calls=2).prefetch(2)
        return self.cluster.distribute(batches, self._own_batch_size)

    @property
    def _own_batch_size(self) -> int:
        return self.recipe.global_batch_size // self.cluster.count

    def _weighted(self, images, labels):
        # The last batch of an epoch is filled up with images of weight 0, so that every replica
        # gets as many and the compiled step sees one shape.
        batch = self._own_batch_size
        missing = batch - tf.shape(labels)[0]
        images = tf.pad(images, [[0, missing], [0, 0], [0, 0], [0, 0]])
        labels = tf.pad(labels, [[0, missing]], constant_values=-1)
        real = labels >= 0
        labels = tf.maximum(labels, 0)
        weights = tf.where(real, tf.gather(self._class_weights(), labels), 0.0)
        return tuple(
            tf.ensure_shape(part, [batch, *part.shape[1:]]) for part in (images, labels, weights)
        )

    def _class_weights(self) -> np.ndarray:
        """Float32 [classes]: all 1, or inversely proportional to the class's images."""
        counts = np.bincount(self.train.labels, minlength=len(self.data.class_names))
        if not self.config.class_weights:
            return np.ones(len(counts), np.float32)
        return (counts.sum() / (len(counts) * np.maximum(counts, 1))).astype(np.float32)


def check_settings(config: TrainConfig, recipe: Recipe, replicas: int) -> None:
    """Refuses what would otherwise be found out only later, or after hours."""
    _check_freezing(config, recipe)
    known = {
        "views": spec.VIEWS,
        "precision": precision.PRECISIONS,
        "on_nonfinite": ON_NONFINITE,
    }
    for name, choices in known.items():
        if getattr(config, name) not in choices:
            listing = ", ".join(map(str, choices))
            raise UsageError(f"{name} must be one of {listing}. Received: {getattr(config, name)}.")
    least = {"seed": 0, "step_backs": 0, "max_steps": 1, "checkpoint_every_steps": 1}
    for name, lowest in {**least, "keep_checkpoints": 1}.items():
        value = getattr(config, name)
        if value is not None and value < lowest:
            wanted = "0 or more" if lowest == 0 else "at least 1"
            raise UsageError(f"{name} must be {wanted}. Received: {value}.")
    if not 1 < config.step_back_factor < float("inf"):
        raise UsageError(
            f"step_back_factor must be greater than 1. Received: {config.step_back_factor}."
        )
    if recipe.global_batch_size % replicas:
        raise UsageError(
            f"global_batch_size must be divisible by the {replicas} replicas. "
            f"Received: {recipe.global_batch_size}."
        )


def _check_freezing(config: TrainConfig, recipe: Recipe) -> None:
    if config.freeze_until:
        names = [layer.name for layer in variants.get(config.variant).layers]
        optimizer.layers_before(names, config.freeze_until)
    elif recipe.freeze_from_epoch:
        raise UsageError(
            "freeze_from_epoch says when freezing begins, and nothing is to be frozen: name a "
            "layer with --freeze_until, or pass --freeze_from_epoch=0. "
            f"Received: freeze_from_epoch={recipe.freeze_from_epoch}."
        )


def load_job(
    asked: RunRequest, plan: spec.ImagePlan, strategy: tf.distribute.Strategy, cluster: Cluster
) -> TrainingJob:
    """Loads and divides the data.

    Raises:
        UsageError: if the data do not fit the settings.
        UserError: if they, or the weights to start from, cannot be had or are not the same on all
            workers, or a run goes on with something that has changed.
    """
    config, recipe = asked.config, asked.recipe
    start = _start(asked, cluster)
    try:
        data = load_dataset(config)
    except UserError:
        asked.check_settings()  # the cause may be what differs, such as --dataset without its place
        raise
    cluster.check_same(f"data, by the SHA-256 of {data.name}", data.sha256)
    if config.dataset is None:
        # Whoever evaluates or resumes the run shall get the data that it found.
        found = "cifar10" if data.note is None else "shapes"
        config = dataclasses.replace(config, dataset=found)
    changes = asked.changes_with(data)
    classes = len(data.class_names)
    if config.num_classes not in (None, classes):
        raise UsageError(
            f"num_classes must be the {classes} classes of {data.name}. "
            f"Received: {config.num_classes}. Leave the flag out to take them from the data."
        )
    training, validation = hold_out(
        data, config.validation_images, recipe.validation_fraction, config.seed
    )
    needs_mean = variants.get(config.variant).standardization.mean_of_training_set
    statistics = None
    if needs_mean or augment.needs_statistics(recipe.augment):
        statistics = pipeline.pixel_statistics(training, plan)
    splits = [split for split in (training, validation, data.test) if split is not None]
    return TrainingJob(
        *(config, recipe, plan, data, training, validation, statistics, strategy, cluster),
        changes=changes,
        lost=LostImages(splits, cluster.gather),
        start=start,
    )


def _start(asked: RunRequest, cluster: Cluster) -> PretrainedWeights | None:
    """The weights to start from; of a run that goes on, as its config.json has them."""
    if asked.config.weights is None:
        return None
    if asked.saved is not None:
        described = asked.saved.get("weights")
        return None if described is None else PretrainedWeights(**described)
    start = PretrainedWeights.of(asked.config.weights)
    cluster.check_same(f"weights, by the SHA-256 of {start.file}", start.sha256)
    return start
