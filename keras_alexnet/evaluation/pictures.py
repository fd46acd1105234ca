"""Pictures and a table of an evaluation: confusion, per-class accuracy, wrong images."""

import os
import pathlib
from collections.abc import Sequence

import numpy as np

from keras_alexnet.data import pipeline
from keras_alexnet.data.splits import Split
from keras_alexnet.evaluation.metrics import Evaluation
from keras_alexnet.figures import plots
from keras_alexnet.figures.captions import caption
from keras_alexnet.networks.image_plan import ImagePlan
from keras_alexnet.utils import files

WRONG_IMAGES_SHOWN = 40


def per_class(evaluation: Evaluation, class_names: Sequence[str]) -> dict[str, float | None]:
    """Returns a dict: class name → accuracy, 0–1, or None for a class without images."""
    accuracy = evaluation.per_class_accuracy()
    return {
        name: None if np.isnan(value) else float(value)
        for name, value in zip(class_names, accuracy, strict=True)
    }


def write_pictures(
    folder: str | os.PathLike,
    evaluation: Evaluation,
    split: Split,
    plan: ImagePlan,
    class_names: Sequence[str],
    title: str,
) -> None:
    """Writes confusion.png, per_class.csv, per_class.png and wrong.png into `folder`.

    wrong.png shows the images that the network got wrong with the greatest confidence; if it got
    none wrong, an existing wrong.png is deleted.

    Args:
        folder: where to write; it is created if it does not exist.
        evaluation: the evaluation of a network on `split`.
        split: the images.
        plan: how images become inputs.
        class_names: the names of the classes, in order.
        title: the title of each picture, which names the network and the data.
    """
    folder = pathlib.Path(folder)
    plots.confusion(folder / "confusion.png", evaluation.confusion(), class_names, title)
    accuracy = per_class(evaluation, class_names)
    counts = np.bincount(evaluation.labels, minlength=len(class_names))
    rows = [
        {"data": title, "class": name, "images": int(count), "accuracy": accuracy[name]}
        for name, count in zip(class_names, counts, strict=True)
    ]
    files.write_csv(folder / "per_class.csv", rows)
    plots.per_class(folder / "per_class.png", accuracy, title)
    _write_wrong(folder / "wrong.png", evaluation, split, plan, class_names, title)


def _write_wrong(
    path: pathlib.Path,
    evaluation: Evaluation,
    split: Split,
    plan: ImagePlan,
    class_names: Sequence[str],
    title: str,
) -> None:
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
    names = [caption(name) for name in class_names]
    captions = [
        (f"{100 * sure:.0f} % {names[predicted[index]]}", f"is {names[evaluation.labels[index]]}")
        for index, sure in zip(shown, confidence[order], strict=True)
    ]
    plots.sheet(path, images, captions, title=f"{title}: wrong with the greatest confidence")
