"""Writing of a run's results: results.json, tables, pictures, a row of a CSV file."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import logging

from keras_alexnet import run_folder
from keras_alexnet.data import failures
from keras_alexnet.distributed import devices
from keras_alexnet.evaluation.metrics import Evaluation
from keras_alexnet.evaluation.pictures import per_class, write_pictures
from keras_alexnet.figures import plots
from keras_alexnet.training import length
from keras_alexnet.training.config import TrainConfig
from keras_alexnet.training.job import TrainingJob
from keras_alexnet.training.network_options import NETWORK_OPTIONS
from keras_alexnet.training.recipe import Recipe
from keras_alexnet.training.resume import SETTINGS_OF_RECIPES
from keras_alexnet.training.state import RunState
from keras_alexnet.training.tracking import run_log
from keras_alexnet.training.tracking.callback import TrainingLog
from keras_alexnet.utils import files
from keras_alexnet.weights.pretrained import PretrainedWeights


def write(
    job: TrainingJob,
    state: RunState,
    evaluation: Evaluation,
    one_view: Evaluation,
    log: Sequence[TrainingLog] = (),
) -> dict[str, Any]:
    """Writes results.json, tables and pictures of a training run, and returns the results.

    All workers must call it; the chief writes, and all return the same results.

    Args:
        job: what was trained.
        state: the state at the end of training, with the epoch whose weights are kept.
        evaluation: the evaluation of these weights on the test set.
        one_view: the same on one view of each image.
        log: the chief's log of the run, if there is one.
    """
    events = state.events()
    return job.cluster.from_chief(lambda: _write(job, state, evaluation, one_view, events, log))


def _write(
    job: TrainingJob,
    state: RunState,
    evaluation: Evaluation,
    one_view: Evaluation,
    events: dict,
    log: Sequence[TrainingLog],
) -> dict[str, Any]:
    config, data, history = job.config, job.data, state.history.rows
    tested = job.data.test if evaluation.split is None else evaluation.split
    found = {
        "variant": config.variant,
        "recipe": config.recipe,
        "dataset": data.name,
        "train_images": len(job.train),
        "validation_images": 0 if job.validation is None else len(job.validation),
        "test_images": len(tested),
        "data_sha256": data.sha256,
        "data_sha256_of": data.sha256_of,
        "data_note": data.note,
        "skipped_images": len(data.skipped),
        "images_decoded_with_warnings": failures.decoded_with_warnings(job.splits),
        "left_out_files": dict(data.left_out),
        "seed": config.seed,
        "epochs": len(history),
        "steps": history[-1]["step"],
        "kept_epoch": state.kept_epoch,
        "skipped_steps": state.skipped_steps,
        "global_batch_size": job.recipe.global_batch_size,
        "precision": config.precision,
        "precision_why": job.precision_why,
        "devices": devices.describe(job.strategy),
        **{f"test_{name}": value for name, value in evaluation.figures().items()},
        "views": evaluation.views,
        "test_top1_one_view": one_view.figures()["top1"],
        "seconds": state.seconds,
        "seconds_per_epoch": float(np.median([row["seconds"] for row in history])),
        "peak_memory_bytes": state.peak_memory_bytes,
        **_origin_and_changes(job),
        **events,
        "length_remarks": length.remarks(
            config, state.length, state.schedule, len(data.class_names)
        ),
        "weights": None if job.weights is None else dataclasses.asdict(job.weights),
        "overrides": _overrides_in_words(config, job.recipe, job.weights),
        "freeze_until": config.freeze_until,
        "per_class_accuracy": per_class(evaluation, data.class_names),
        "recipe_as_run": job.recipe.as_json(),
        "last_epoch": history[-1],
        "workdir": str(job.workdir),
    }
    title = f"{config.variant} on {data.name}"
    plots.curves(job.workdir / "curves.png", history, title, state.kept_epoch)
    write_pictures(job.workdir, evaluation, tested, job.plan, data.class_names, title)
    found["log"] = run_log.written(log, found, job.workdir / "confusion.png")
    if config.record is not None:
        files.record(config.record, found, COLUMNS)
    # Written last, because its presence means that the run has ended.
    files.write_json(job.workdir / run_folder.RESULTS, found)
    logging.info(
        "test on %s: loss %.4f, top-1 %.2f %%, top-5 %.2f %%; all in %s",
        *(data.name, found["test_loss"], 100 * found["test_top1"], 100 * found["test_top5"]),
        job.workdir,
    )
    return found


def _origin_and_changes(job: TrainingJob) -> dict[str, Any]:
    """Versions and date of this process, commits, and all changes of settings.

    The commits are those of the run and of this process, joined by "/" if they differ.
    """
    described = run_folder.read_config(job.workdir) or {}
    commits = dict.fromkeys([described["commit"], job.origin["commit"]])
    changes = described.get("changes", [])
    return {**job.origin, "commit": "/".join(commits), "changes": changes}


def _overrides_in_words(
    config: TrainConfig, recipe: Recipe, weights: PretrainedWeights | None
) -> str:
    """What differs from the recipe and the variant, such as "epochs=3 lrn=False"."""
    changed = {name: value for name, value in config.overrides.items() if value is not None}
    own = {name: getattr(recipe, name) for name in SETTINGS_OF_RECIPES}
    defaults = dataclasses.replace(TrainConfig(), **own)
    for name in (
        "input_size",
        "freeze_until",
        *NETWORK_OPTIONS,
        "validation_images",
        "class_weights",
        "max_steps",
    ):
        if getattr(config, name) != getattr(defaults, name):
            changed[name] = getattr(config, name)
    if weights is not None:
        changed["weights"] = f"{pathlib.PurePath(weights.file).name}@{weights.sha256[:12]}"
    listed = {
        name: ",".join(map(str, value)) if isinstance(value, list | tuple) else value
        for name, value in changed.items()
    }
    return " ".join(f"{name}={value}" for name, value in listed.items())


# The columns of saved_models/results.csv, in order.
COLUMNS = (
    "variant",
    "recipe",
    "dataset",
    "train_images",
    "validation_images",
    "test_images",
    "data_sha256",
    "seed",
    "epochs",
    "global_batch_size",
    "precision",
    "devices",
    "test_loss",
    "test_top1",
    "test_top5",
    "views",
    "test_top1_one_view",
    "seconds",
    "seconds_per_epoch",
    "peak_memory_bytes",
    "commit",
    "tensorflow",
    "keras",
    "date",
    "skipped_images",
    "overrides",
)
