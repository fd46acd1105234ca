"""`train`: trains a network and writes model, metrics and pictures to a run's folder.

The code reads as that of one process. What several workers need in addition is in the methods of
`cluster`, which do nothing in a run of one process.
"""

from collections.abc import Sequence
from typing import Any

import keras
from absl import logging

from keras_alexnet import run_folder
from keras_alexnet.data import failures, pipeline
from keras_alexnet.distributed import devices, launch
from keras_alexnet.distributed.cluster import Cluster
from keras_alexnet.distributed.precision import precision
from keras_alexnet.training import length as lengths
from keras_alexnet.training import report, resume, run_precision, traces, workdir
from keras_alexnet.training.chance import ChanceWatch
from keras_alexnet.training.checkpoints import Checkpoints, disk_errors_explained
from keras_alexnet.training.checks import check_settings
from keras_alexnet.training.config import TrainConfig
from keras_alexnet.training.job import TrainingJob
from keras_alexnet.training.length import Length
from keras_alexnet.training.loop import TrainingLoop
from keras_alexnet.training.nonfinite import NonFiniteGuard
from keras_alexnet.training.resume import RunRequest
from keras_alexnet.training.schedule import Schedule
from keras_alexnet.training.signals import Interruption
from keras_alexnet.training.state import History, RunState
from keras_alexnet.training.step import TrainStep
from keras_alexnet.training.tracking import run_log
from keras_alexnet.training.tracking.callback import TrainingLog
from keras_alexnet.utils import provenance
from keras_alexnet.utils.html import Results
from keras_alexnet.utils.reporting import reported


@reported
def train(
    config: TrainConfig,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    *,
    verbose: int = 1,
) -> dict[str, Any]:
    """Trains a network, evaluates it, and writes everything to the run's folder.

    Args:
        config: the settings of the run.
        callbacks: Keras callbacks to call in addition to the run's own. The learning rate is the
            recipe's: a callback that sets a different one has no effect.
        verbose: 0 shows only warnings, 1 also lines and progress bars, 2 lines but no bars.

    Returns:
        The contents of `results.json`, with the folder under "workdir". A notebook shows them, as
        those of `evaluate` and `export`, as a table.

    Raises:
        UsageError: for a setting that cannot be used.
        UserError: for data that are missing or cannot be read, a folder that holds another run, a
            full disk, or a loss that is not finite.
        Interrupted: after SIGTERM or SIGINT, when the current step is done and saved. This works
            only in the main thread, whose signal handlers are restored afterward.

    If several workers call it at once, it trains on all of them; see
    `keras_alexnet.distributed.launch`. A signal to one of them stops all of them; see
    `keras_alexnet.training.loop` for when.

    Example:
        >>> import keras_alexnet as ka
        >>> config = ka.TrainConfig(variant="cifar_v2", dataset="shapes", max_steps=3)
        >>> results = ka.train(config)  # doctest: +SKIP
    """
    origin = provenance.provenance()
    devices_given = (config.num_devices, config.logical_cpu_devices)
    with launch.joined(config.workdir, *devices_given, config.join_timeout) as cluster:
        request = run_precision.with_precision(resume.request_for(config, cluster), cluster)
        deterministic = devices.determinism(request.config.deterministic)
        with Interruption(cluster) as interruption, deterministic:
            return Results(_train(request, cluster, callbacks, interruption, origin))


def _train(
    request: RunRequest,
    cluster: Cluster,
    callbacks: Sequence[keras.callbacks.Callback],
    interruption: Interruption,
    origin: dict[str, str],
) -> dict[str, Any]:
    config = request.config
    strategy = cluster.strategy_for(config.num_devices, config.logical_cpu_devices)
    check_settings(config, request.recipe, strategy.num_replicas_in_sync)
    cluster.from_chief(lambda: workdir.check_record(config))
    if not request.changes:
        ended = cluster.from_chief(lambda: workdir.ended_results(config))
        if ended is not None:
            logging.info("This run has ended; its results are in %s.", config.workdir)
            return ended
    cluster.from_chief(lambda: workdir.check_folder(config))
    if request.saved is not None:
        cluster.from_chief(lambda: traces.refuse_without_checkpoints(config.workdir or "."))

    job = TrainingJob.load(request, cluster, strategy, origin)
    interruption.agree()
    run_precision.log_choice(request)
    logging.info(
        "Training %s with recipe %s on %d images of %s: %s, %s, in %s.",
        *(config.variant, config.recipe, len(job.train), job.data.name),
        *(devices.describe(strategy), config.precision, job.workdir),
    )
    with disk_errors_explained(job.workdir), precision(config.precision):
        log = run_log.log_of(job)
        # An error here leaves no folder behind.
        loop = _make_loop(job, [*log, *callbacks], interruption)
        with workdir.locked(job.workdir, cluster), run_log.closed(log):
            cluster.from_chief(lambda: workdir.open_workdir(job))
            interruption.workdir = job.workdir
            loop.run()
            return _finish(job, loop.state, interruption, log)


def _make_loop(
    job: TrainingJob, callbacks: Sequence[keras.callbacks.Callback], interruption: Interruption
) -> TrainingLoop:
    """Builds network, step, state and loop."""
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
    for remark in lengths.remarks(config, length, schedule, len(job.data.class_names)):
        logging.info("%s", remark)
    checkpoints = Checkpoints(job.workdir, config.keep_checkpoints, job.cluster)
    # A resumed run has its weights in a checkpoint, unless it was killed before the first.
    with_weights = checkpoints.newest_step() is None
    with job.strategy.scope():
        model = job.build(with_weights=with_weights)
        step = TrainStep(model, recipe, job.strategy, config.freeze_until or "")
    validation = None
    if job.validation is not None:
        validation = job.evaluator(model, job.validation, check=interruption.check)
    step_backs = config.step_backs if config.on_nonfinite == "step_back" else 0
    metrics = job.workdir / run_folder.METRICS if job.cluster.is_chief else None
    state = RunState(
        step,
        schedule,
        length,
        History(metrics, job.data.name, length.epochs),
        NonFiniteGuard(step, step_backs, config.step_back_factor),
        job.lost,
        ChanceWatch(step, recipe, length.total_steps, job.class_frequencies()),
        checkpoints,
    )
    return TrainingLoop(
        state,
        batches_from=lambda epoch, first: failures.supplied(
            job.batches(epoch, first), job.train, interruption.check, ahead=job.cluster.count == 1
        ),
        interruption=interruption,
        cluster=job.cluster,
        validation=validation,
        checkpoint_every_steps=config.checkpoint_every_steps,
        callbacks=callbacks,
    )


def _finish(
    job: TrainingJob, state: RunState, interruption: Interruption, log: Sequence[TrainingLog]
) -> dict[str, Any]:
    """Saves the model, evaluates it on the test set, and writes the results."""
    state.restore_kept(job.recipe.keep)
    state.step.take_average()
    # Saved and evaluated in float32: precision is a choice of the run, never of a file.
    with precision("float32"):
        model = state.step.model
        if job.config.precision != "float32":
            model = _rebuilt(job, model)
        job.cluster.from_chief(lambda: run_folder.save(job.workdir, model, job.data.class_names))
        views = job.config.views
        evaluation = job.evaluator(model, job.data.test, views=views).run("testing")
        one_view = evaluation
        if views != 1:
            one_view = job.evaluator(model, job.data.test).run("testing one view")
    interruption.agree()
    return report.write(job, state, evaluation, one_view, log)


def _rebuilt(job: TrainingJob, trained: keras.Model) -> keras.Model:
    """Returns the trained network in the current precision."""
    with job.strategy.scope():
        model = job.build()
    for target, variable in zip(model.variables, trained.variables, strict=True):
        target.assign(variable.numpy())
    return model
