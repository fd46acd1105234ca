"""train(config): from a name to a run's folder with model, figures and pictures."""

import dataclasses
import importlib.util
import time

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from keras_alexnet import (
    devices,
    pipeline,
    recipes,
    report,
    results,
    runs,
    variants,
    workdirs,
    workers,
)
from keras_alexnet.cluster import Cluster
from keras_alexnet.config import TrainConfig
from keras_alexnet.datasets import DataSource, load_dataset
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.evaluator import Evaluator
from keras_alexnet.loop import Length, TrainingLoop
from keras_alexnet.models import build
from keras_alexnet.recipes import Recipe
from keras_alexnet.schedules import Schedule
from keras_alexnet.splits import Split
from keras_alexnet.steps import TrainStep
from keras_alexnet.validation import hold_out


@dataclasses.dataclass(frozen=True)
class _Job:
    """All that is known before the first step."""

    config: TrainConfig
    recipe: Recipe
    plan: variants.ImagePlan
    data: DataSource
    train: Split
    validation: Split | None
    statistics: pipeline.PixelStatistics | None
    strategy: tf.distribute.Strategy
    cluster: Cluster

    def build(self) -> keras.Model:
        """Builds the network in the precision that is set."""
        standardisation = variants.get(self.config.variant).standardisation
        mean = self.statistics.mean if standardisation.mean_of_training_set else None
        return build(
            self.config.variant,
            num_classes=len(self.data.class_names),
            input_shape=(self.plan.input_size, self.plan.input_size, 3),
            activation=self.config.activation,
            lrn=self.config.lrn,
            dropout=self.config.dropout,
            seed=self.config.seed,
            pixel_mean=None if mean is None else tuple(float(value) for value in mean),
        )

    def class_weights(self) -> np.ndarray:
        """Float32 [classes]: all 1, or inversely proportional to the class's images."""
        counts = np.bincount(self.train.labels, minlength=len(self.data.class_names))
        if not self.config.class_weights:
            return np.ones(len(counts), np.float32)
        return (counts.sum() / (len(counts) * np.maximum(counts, 1))).astype(np.float32)


def train(config: TrainConfig, callbacks=()) -> dict:
    """Trains a network, evaluates it, and leaves everything in the run's folder.

    Args:
        config: what to do.
        callbacks: `keras.callbacks.Callback`s to call besides the run's own.

    Returns:
        What `results.json` holds, with the folder under "workdir".

    Raises:
        UsageError: for a setting that cannot be used.
        UserError: for data that cannot be had or read, a folder that holds another run, or a
            loss that is not finite.

    The learning rate is the recipe's: a callback that sets another has no effect.

    Example:
        >>> import keras_alexnet as ka
        >>> config = ka.TrainConfig(variant="cifar_v2", dataset="shapes", max_steps=3)
        >>> results = ka.train(config)  # doctest: +SKIP
    """
    origin = results.provenance()
    with workers.joined(config) as (config, strategy):
        return _train(config, strategy, callbacks, origin)


def _train(config: TrainConfig, strategy, callbacks, origin: dict[str, str]) -> dict:
    cluster = Cluster(strategy)
    recipe = recipes.get(config.variant, config.recipe, **config.overrides)
    plan = variants.get(config.variant).image_plan_for(config.input_size)
    _check(config, recipe.global_batch_size, strategy.num_replicas_in_sync)
    if config.record is not None:  # a file that cannot take the row is found out now
        cluster.from_chief(lambda: results.read_rows(config.record))
    if (ended := cluster.from_chief(lambda: workdirs.ended_results(config))) is not None:
        logging.info("This run has ended; its results stand in %s.", config.workdir)
        return ended
    job = _prepare(config, recipe, plan, strategy, cluster)
    config, workdir = job.config, workdirs.path_for(config, job.data.name)
    logging.info(
        "Training %s by the recipe %s on %d images of %s: %s, %s, in %s.",
        *(config.variant, config.recipe, len(job.train), job.data.name),
        *(devices.describe(strategy), config.precision, workdir),
    )
    with devices.precision(config.precision):
        loop, step = _make_loop(job, workdir, callbacks)
        commit = cluster.from_chief(
            lambda: workdirs.open_workdir(workdir, config, recipe, job.data, origin)
        )
        history = loop.run()
    tested = time.monotonic()
    epoch = _choose_weights(job, workdir, step, history)
    # Saved and evaluated in float32: precision is a choice of the run, never of a file.
    with devices.precision("float32"), strategy.scope():
        model = job.build()
    for target, source in zip(model.variables, step.model.variables, strict=True):
        target.assign(source.numpy())
    evaluation = Evaluator(model, job.data.test, plan, views=config.views, strategy=strategy).run(
        "testing"
    )

    def write() -> dict:
        runs.save(workdir, model, job.data.class_names)
        return report.write(
            workdir,
            config=config,
            recipe=recipe,
            data=job.data,
            splits={"train": job.train, "validation": job.validation},
            history=history,
            kept_epoch=epoch,
            evaluation=evaluation,
            device_names=devices.describe(strategy),
            plan=plan,
            origin={**origin, "commit": commit},
            seconds=loop.seconds + time.monotonic() - tested,
        )

    return cluster.from_chief(write)


def _check(config: TrainConfig, global_batch_size: int, replicas: int) -> None:
    """Refuses what would otherwise be found out only later, or after hours."""
    for name, known in (("views", pipeline.VIEWS), ("precision", devices.PRECISIONS)):
        if getattr(config, name) not in known:
            listing = ", ".join(map(str, known))
            raise UsageError(f"{name} must be one of {listing}. Received: {getattr(config, name)}.")
    if config.seed < 0:
        raise UsageError(f"seed must be 0 or more. Received: {config.seed}.")
    for name in ("max_steps", "checkpoint_every_steps", "keep_checkpoints"):
        value = getattr(config, name)
        if value is not None and value < 1:
            raise UsageError(f"{name} must be at least 1. Received: {value}.")
    if global_batch_size % replicas:
        raise UsageError(
            f"global_batch_size must be divisible by the {replicas} replicas. "
            f"Received: {global_batch_size}."
        )


def _prepare(config, recipe, plan, strategy, cluster: Cluster) -> _Job:
    data = load_dataset(
        config.dataset,
        data_dir=config.data_dir,
        dataset_name=config.dataset_name,
        skip_corrupt=config.skip_corrupt,
    )
    workers.check_same(cluster, f"data, by the SHA-256 of {data.name}", data.sha256)
    if config.dataset is None:
        # Whoever evaluates or resumes the run shall get the data that it found.
        found = "cifar10" if data.note is None else "shapes"
        config = dataclasses.replace(config, dataset=found)
    classes = len(data.class_names)
    if config.num_classes not in (None, classes):
        raise UsageError(
            f"num_classes must be the {classes} classes of {data.name}. "
            f"Received: {config.num_classes}. Leave the flag out to take them from the data."
        )
    training, validation = hold_out(config, recipe, data)
    needs_mean = variants.get(config.variant).standardisation.mean_of_training_set
    statistics = None
    if needs_mean or recipe.colour_noise != "none":
        statistics = pipeline.pixel_statistics(training, plan)
    return _Job(config, recipe, plan, data, training, validation, statistics, strategy, cluster)


def _make_loop(job: _Job, workdir, callbacks) -> tuple[TrainingLoop, TrainStep]:
    config, recipe = job.config, job.recipe
    length = Length(
        recipe.epochs,
        pipeline.steps_per_epoch(job.train, recipe.global_batch_size),
        len(job.train),
        recipe.global_batch_size,
        config.max_steps,
    )
    schedule = Schedule(
        recipe, length.total_steps, length.steps_per_epoch, job.validation is not None
    )
    with job.strategy.scope():
        step = TrainStep(job.build(), recipe, job.strategy)
    evaluator = None
    if job.validation is not None:
        evaluator = Evaluator(step.model, job.validation, job.plan, strategy=job.strategy)
    loop = TrainingLoop(
        step,
        schedule,
        length,
        batches_from=lambda epoch, first: _batches(job, epoch, first),
        checkpoints=_checkpoints(job, workdir),
        metrics_csv=workdir / runs.METRICS if job.cluster.is_chief else None,
        dataset=job.data.name,
        validation=evaluator,
        checkpoint_every_steps=config.checkpoint_every_steps,
        callbacks=[*(_tensorboard(workdir) if job.cluster.is_chief else []), *callbacks],
        any_worker=job.cluster.any,
    )
    return loop, step


def _checkpoints(job: _Job, workdir) -> workers.SharedCheckpoints:
    return workers.SharedCheckpoints(workdir, job.config.keep_checkpoints, job.cluster)


def _batches(job: _Job, epoch: int, step: int):
    recipe = job.recipe
    batches = pipeline.train_batches(
        job.train,
        job.plan,
        global_batch_size=recipe.global_batch_size,
        seed=job.config.seed,
        flip=recipe.flip,
        crop=recipe.crop,
        colour_noise=None if recipe.colour_noise == "none" else recipe.colour_noise,
        statistics=job.statistics,
        start_epoch=epoch,
        start_step=step,
        share=job.cluster.share,
    )
    size = recipe.global_batch_size // job.cluster.count
    weights = tf.constant(job.class_weights())

    def padded_with_weights(images, labels):
        # The last batch of an epoch is filled up with images of weight 0, so that every replica
        # gets as many and the compiled step sees one shape.
        missing = size - tf.shape(labels)[0]
        images = tf.pad(images, [[0, missing], [0, 0], [0, 0], [0, 0]])
        weight = tf.pad(tf.gather(weights, labels), [[0, missing]])
        labels = tf.pad(labels, [[0, missing]])
        return tuple(
            tf.ensure_shape(part, [size, *part.shape[1:]]) for part in (images, labels, weight)
        )

    batches = batches.map(padded_with_weights, num_parallel_calls=2).prefetch(2)
    return pipeline.explained(job.cluster.distribute(batches, size), job.train)


def _choose_weights(job: _Job, workdir, step: TrainStep, history) -> int:
    """Puts the weights to keep into the model and returns their epoch, counted from 1."""
    if job.recipe.keep == "last":
        return history[-1]["epoch"]
    restored = _checkpoints(job, workdir).restore("best")
    if restored is None:
        raise UserError(f"{workdir} has lost its best weights. Train again in another --workdir.")
    variables, state = restored
    step.restore(variables)
    return state["epoch"]


def _tensorboard(workdir) -> list:
    if importlib.util.find_spec("tensorboard") is None:
        return []
    return [keras.callbacks.TensorBoard(workdir / "tensorboard", write_graph=False)]
