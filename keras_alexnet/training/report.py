"""What a run leaves besides its model: results.json, tables, pictures, a row in results.csv."""

import dataclasses
import pathlib

import numpy as np
from absl import logging

from keras_alexnet import run_folder
from keras_alexnet.data.dataset import Dataset
from keras_alexnet.data.splits import Split
from keras_alexnet.evaluation.metrics import Evaluation
from keras_alexnet.evaluation.pictures import per_class, write_pictures
from keras_alexnet.figures import plots
from keras_alexnet.training.config import TrainConfig
from keras_alexnet.training.recipe import Recipe
from keras_alexnet.training.resume import RECIPES_OWN
from keras_alexnet.utils import files
from keras_alexnet.weights.load import PretrainedWeights


def write(
    workdir: pathlib.Path,
    *,
    config: TrainConfig,
    recipe: Recipe,
    data: Dataset,
    splits: dict[str, Split | None],
    history: list[dict],
    kept_epoch: int,
    evaluation: Evaluation,
    device_names: str,
    seconds: float,
    plan,
    origin: dict[str, str],
    events: dict,
    start: PretrainedWeights | None,
) -> dict:
    """Writes results.json and all pictures of a training run, and returns the results.

    Args:
        workdir: the run's folder.
        splits: "train", "validation", which is None if nothing was held out, and "test": the
            images that could be read to the end.
        history: one row of figures an epoch.
        kept_epoch: the epoch, from 1, whose weights model.keras holds.
        evaluation: of those weights on the test set.
        device_names: the devices in words.
        seconds: wall time of training and testing, over all processes of a resumed run.
        plan: how images become inputs.
        origin: `results.provenance()` of when the run started.
        events: what befell the run: settings changed at a resume, step backs, images lost.
        start: the weights that the run started from, if not random ones.
    """
    held_out = splits["validation"]
    epoch_seconds = [row["seconds"] for row in history]
    found = {
        "variant": config.variant,
        "recipe": config.recipe,
        "dataset": data.name,
        "train_images": len(splits["train"]),
        "validation_images": 0 if held_out is None else len(held_out),
        "test_images": len(splits["test"]),
        "data_sha256": data.sha256,
        "data_sha256_of": data.sha256_of,
        "data_note": data.note,
        "skipped_images": len(data.skipped),
        "seed": config.seed,
        "epochs": len(history),
        "steps": history[-1]["step"],
        "kept_epoch": kept_epoch,
        "global_batch_size": recipe.global_batch_size,
        "precision": config.precision,
        "devices": device_names,
        **{f"test_{name}": value for name, value in evaluation.figures().items()},
        "views": evaluation.views,
        "seconds": seconds,
        "seconds_per_epoch": float(np.median(epoch_seconds)),
        **origin,
        **events,
        "weights": None if start is None else dataclasses.asdict(start),
        "overrides": _overrides_in_words(config, recipe, start),
        "freeze_until": config.freeze_until,
        "per_class_accuracy": per_class(evaluation, data.class_names),
        "recipe_as_run": recipe.as_json(),
        "last_epoch": history[-1],
        "workdir": str(workdir),
    }
    plots.curves(workdir / "curves.png", history, title=f"{config.variant} on {data.name}")
    write_pictures(
        workdir,
        evaluation,
        splits["test"],
        plan,
        data.class_names,
        f"{config.variant} on {data.name}",
    )
    if config.record is not None:
        files.record(config.record, found, COLUMNS)
    # Written last, since its presence says that the run has ended.
    files.write_json(workdir / run_folder.RESULTS, found)
    logging.info(
        "test on %s: loss %.4f, top-1 %.2f %%, top-5 %.2f %%; all in %s",
        data.name,
        found["test_loss"],
        100 * found["test_top1"],
        100 * found["test_top5"],
        workdir,
    )
    return found


def _overrides_in_words(
    config: TrainConfig, recipe: Recipe, start: PretrainedWeights | None
) -> str:
    """Returns what differs from the recipe and the variant, such as "epochs=3 lrn=False"."""
    changed = {name: value for name, value in config.overrides.items() if value is not None}
    own = {name: getattr(recipe, name) for name in RECIPES_OWN}
    defaults = dataclasses.replace(TrainConfig(), **own)
    for name in (
        "input_size",
        "freeze_until",
        "activation",
        "lrn",
        "dropout",
        "validation_images",
        "class_weights",
        "max_steps",
    ):
        if getattr(config, name) != getattr(defaults, name):
            changed[name] = getattr(config, name)
    if start is not None:
        changed["weights"] = f"{pathlib.PurePath(start.file).name}@{start.sha256[:12]}"
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
    "seconds",
    "seconds_per_epoch",
    "commit",
    "tensorflow",
    "keras",
    "date",
    "skipped_images",
    "overrides",
)
