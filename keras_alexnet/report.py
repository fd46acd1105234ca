"""What a run leaves besides its model: results.json, tables, pictures, a row in results.csv."""

import dataclasses
import pathlib

import numpy as np
from absl import logging

from keras_alexnet import figures, files, pipeline, results, runs
from keras_alexnet.changes import RECIPES_OWN
from keras_alexnet.config import TrainConfig
from keras_alexnet.datasets import DataSource
from keras_alexnet.metrics import Evaluation
from keras_alexnet.recipes import Recipe
from keras_alexnet.splits import Split
from keras_alexnet.weights.starting import Start

WRONG_IMAGES_SHOWN = 40


def write(
    workdir: pathlib.Path,
    *,
    config: TrainConfig,
    recipe: Recipe,
    data: DataSource,
    splits: dict[str, Split | None],
    history: list[dict],
    kept_epoch: int,
    evaluation: Evaluation,
    device_names: str,
    seconds: float,
    plan,
    origin: dict[str, str],
    events: dict,
    start: Start | None,
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
    figures.curves(workdir / "curves.png", history, title=f"{config.variant} on {data.name}")
    write_pictures(
        workdir,
        evaluation,
        splits["test"],
        plan,
        data.class_names,
        f"{config.variant} on {data.name}",
    )
    if config.record is not None:
        results.record(config.record, found)
    # Written last, since its presence says that the run has ended.
    files.write_json(workdir / runs.RESULTS, found)
    logging.info(
        "test on %s: loss %.4f, top-1 %.2f %%, top-5 %.2f %%; all in %s",
        data.name,
        found["test_loss"],
        100 * found["test_top1"],
        100 * found["test_top5"],
        workdir,
    )
    return found


def per_class(evaluation: Evaluation, class_names) -> dict[str, float | None]:
    """Returns class name → accuracy in 0–1, None for a class without images."""
    accuracy = evaluation.per_class_accuracy()
    return {
        name: None if np.isnan(value) else float(value)
        for name, value in zip(class_names, accuracy, strict=True)
    }


def write_pictures(
    folder, evaluation: Evaluation, split: Split, plan, class_names, title: str
) -> None:
    """Writes confusion.png, per_class.csv, per_class.png and wrong.png into `folder`.

    wrong.png shows the images that the network got wrong with the greatest confidence. `title`
    says of what network and data they are.
    """
    folder = pathlib.Path(folder)
    figures.confusion(folder / "confusion.png", evaluation.confusion(), class_names, title)
    accuracy = per_class(evaluation, class_names)
    counts = np.bincount(evaluation.labels, minlength=len(class_names))
    rows = [
        {"data": title, "class": name, "images": int(count), "accuracy": accuracy[name]}
        for name, count in zip(class_names, counts, strict=True)
    ]
    results.write_csv(folder / "per_class.csv", rows)
    figures.per_class(folder / "per_class.png", accuracy, title)
    _write_wrong(folder / "wrong.png", evaluation, split, plan, class_names, title)


def _write_wrong(path, evaluation, split, plan, class_names, title) -> None:
    predicted = evaluation.predictions
    wrong = np.flatnonzero(predicted != evaluation.labels)
    confidence = np.exp(evaluation.log_probabilities[wrong, predicted[wrong]])
    order = np.argsort(-confidence, kind="stable")[:WRONG_IMAGES_SHOWN]
    shown = wrong[order]
    if not len(shown):
        path.unlink(missing_ok=True)
        return
    batches = pipeline.eval_batches(split.subset(shown), plan, batch_size=len(shown))
    images = next(iter(batches))[0].numpy()
    captions = [
        f"{class_names[predicted[index]]} {100 * sure:.0f} %\nis {class_names[label]}"
        for index, sure, label in zip(
            shown, confidence[order], evaluation.labels[shown], strict=True
        )
    ]
    figures.sheet(path, images, captions, title=f"{title}: wrong with the greatest confidence")


def _overrides_in_words(config: TrainConfig, recipe: Recipe, start: Start | None) -> str:
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
    return " ".join(f"{name}={value}" for name, value in changed.items())
