"""train(config): from a name to a run's folder with model, figures and pictures."""

import contextlib
import functools
import importlib.util
import pathlib

import keras
from absl import logging

from keras_alexnet import run_folder
from keras_alexnet.data import failures, pipeline
from keras_alexnet.distributed import devices, precision
from keras_alexnet.distributed.cluster import Cluster
from keras_alexnet.errors import UserError
from keras_alexnet.networks import variants
from keras_alexnet.training import report, workers
from keras_alexnet.training.config import TrainConfig
from keras_alexnet.training.job import TrainingJob, check_settings, load_job
from keras_alexnet.training.loop import TrainingLoop
from keras_alexnet.training.nonfinite import NonFiniteGuard
from keras_alexnet.training.resume import RunRequest
from keras_alexnet.training.schedule import Schedule
from keras_alexnet.training.signals import Interruption
from keras_alexnet.training.state import History, Length, RunState
from keras_alexnet.training.step import TrainStep
from keras_alexnet.training.workdir import (
    disk_errors_explained,
    ended_results,
    locked,
    open_workdir,
    path_for,
)
from keras_alexnet.utils import files, provenance


def train(config: TrainConfig, callbacks=()) -> dict:
    """Trains a network, evaluates it, and leaves everything in the run's folder.

    Args:
        config: what to do.
        callbacks: `keras.callbacks.Callback`s to call besides the run's own.

    Returns:
        What `results.json` holds, with the folder under "workdir".

    Raises:
        UsageError: for a setting that cannot be used.
        UserError: for data that cannot be had or read, a folder that holds another run, a full
            disk, or a loss that is not finite.
        Interrupted: if SIGTERM or SIGINT came, after the step under way was done and saved. Only
            when called in the main thread, whose handlers are put back afterwards.

    Started by several workers at once, it trains on all of them: see
    `keras_alexnet.distributed.cluster`. A signal to one of them then stops all; see
    `keras_alexnet.training.loop` for when.
    The learning rate is the recipe's: a callback that sets another has no effect.

    Example:
        >>> import keras_alexnet as ka
        >>> config = ka.TrainConfig(variant="cifar_v2", dataset="shapes", max_steps=3)
        >>> results = ka.train(config)  # doctest: +SKIP
    """
    origin = provenance.provenance()
    # Signals are caught only when all workers are there: who waits for the others inside
    # TensorFlow would not hear them, and has nothing to save.
    with (
        workers.joined(config) as (asked, strategy),
        Interruption() as interruption,
        devices.determinism(asked.config.deterministic),
    ):
        return _train(asked, strategy, callbacks, interruption, origin)


def _train(
    asked: RunRequest, strategy, callbacks, interruption: Interruption, origin: dict
) -> dict:
    config, cluster = asked.config, Cluster(strategy)
    if cluster.count > 1:
        interruption.share(cluster.numbers)
    plan = variants.get(config.variant).image_plan_for(config.input_size)
    check_settings(config, asked.recipe, strategy.num_replicas_in_sync)
    if config.record is not None:  # a file that cannot take the row is found out now
        cluster.from_chief(lambda: files.read_rows(config.record, report.COLUMNS))
    if not asked.changes:
        ended = cluster.from_chief(lambda: ended_results(config))
        if ended is not None:
            logging.info("This run has ended; its results stand in %s.", config.workdir)
            return ended
    job = load_job(asked, plan, strategy, cluster)
    interruption.agree()
    config, workdir = job.config, path_for(job.config, job.data.name)
    logging.info(
        "Training %s by the recipe %s on %d images of %s: %s, %s, in %s.",
        *(config.variant, config.recipe, len(job.train), job.data.name),
        *(devices.describe(strategy), config.precision, workdir),
    )
    with contextlib.ExitStack() as stack:
        stack.enter_context(disk_errors_explained(workdir))
        with precision.precision(config.precision):
            loop = _make_loop(job, workdir, callbacks, interruption)
            job.cluster.from_chief(lambda: stack.enter_context(locked(workdir)))
            commit, changes = cluster.from_chief(lambda: open_workdir(workdir, job, origin))
            interruption.workdir = workdir
            loop.run()
        origin = {**origin, "commit": commit}
        return _finish(job, workdir, loop.state, interruption, origin=origin, changes=changes)


def _finish(
    job: TrainingJob,
    workdir: pathlib.Path,
    state: RunState,
    interruption: Interruption,
    *,
    origin: dict,
    changes: list[dict],
) -> dict:
    """Saves the model, evaluates it on the test set, and writes the results."""
    history, step = state.history.rows, state.step
    epoch = _choose_weights(job, workdir, step, history)
    # Saved and evaluated in float32: precision is a choice of the run, never of a file.
    with precision.precision("float32"), job.strategy.scope():
        model = job.build()
    for target, source in zip(model.variables, step.model.variables, strict=True):
        target.assign(source.numpy())
    job.cluster.from_chief(lambda: run_folder.save(workdir, model, job.data.class_names))
    evaluator = job.evaluator(model, job.data.test, views=job.config.views)
    evaluation = evaluator.run("testing")
    interruption.agree()
    # What befell the run is asked of all workers, and what follows is the chief's alone.
    events = {"changes": changes, **state.events()}
    write = functools.partial(
        report.write,
        workdir,
        config=job.config,
        recipe=job.recipe,
        data=job.data,
        splits={"train": job.train, "validation": job.validation, "test": evaluator.split},
        history=history,
        kept_epoch=epoch,
        evaluation=evaluation,
        device_names=devices.describe(job.strategy),
        plan=job.plan,
        origin=origin,
        events=events,
        start=job.start,
        seconds=state.seconds,
    )
    return job.cluster.from_chief(write)


def _make_loop(
    job: TrainingJob, workdir: pathlib.Path, callbacks, interruption: Interruption
) -> TrainingLoop:
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
    checkpoints = _checkpoints(job, workdir)
    # A run that goes on has its weights in a checkpoint, unless it was killed before the first.
    filled = job.cluster.from_chief(lambda: checkpoints.newest_step() is None)
    with job.strategy.scope():
        step = TrainStep(job.build(filled), recipe, job.strategy, config.freeze_until)
    validation = None
    if job.validation is not None:
        validation = job.evaluator(step.model, job.validation, check=interruption.check)
    step_backs = config.step_backs if config.on_nonfinite == "step_back" else 0
    metrics = workdir / run_folder.METRICS if job.cluster.is_chief else None
    state = RunState(
        step,
        schedule,
        length,
        History(metrics, job.data.name, length.epochs),
        NonFiniteGuard(step, step_backs, config.step_back_factor),
        job.lost,
        checkpoints,
    )
    return TrainingLoop(
        state,
        batches_from=lambda epoch, first: failures.supplied(
            job.batches(epoch, first), job.train, interruption.check
        ),
        interruption=interruption,
        validation=validation,
        checkpoint_every_steps=config.checkpoint_every_steps,
        callbacks=[*(_tensorboard(workdir) if job.cluster.is_chief else []), *callbacks],
        any_worker=job.cluster.any,
    )


def _checkpoints(job: TrainingJob, workdir: pathlib.Path) -> workers.SharedCheckpoints:
    return workers.SharedCheckpoints(workdir, job.config.keep_checkpoints, job.cluster)


def _choose_weights(job: TrainingJob, workdir, step: TrainStep, history) -> int:
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
