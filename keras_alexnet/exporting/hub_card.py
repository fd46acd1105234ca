"""The README.md of a folder: the model card with the front matter that the hub reads."""

import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from absl import logging

from keras_alexnet.exporting import model_card
from keras_alexnet.utils import files

NAME = "README.md"

# Name of a data set, without what follows a hyphen → its name on the hub.
_DATASETS = {
    "cifar10": "uoft-cs/cifar10",
    "cifar100": "uoft-cs/cifar100",
    "fashion_mnist": "zalando-datasets/fashion_mnist",
    "imagenet2012": "ILSVRC/imagenet-1k",
}

_TAG = "keras_alexnet"  # that README.md files of this package have


def write(folder: str | os.PathLike, report: Mapping[str, Any], card: str) -> None:
    """Writes the README.md of a folder, unless it has one of somebody else.

    Args:
        folder: where to.
        report: as for `front_matter`.
        card: the model card, Markdown.
    """
    path = pathlib.Path(folder) / NAME
    if os.path.lexists(path) and not _is_ours(path):
        logging.warning(
            "%s is not a model card of keras_alexnet and was left as it is. The card is in %s.",
            *(path, model_card.NAME),
        )
        return
    files.write_text(path, front_matter(report) + card)


def front_matter(report: Mapping[str, Any]) -> str:
    """Returns the YAML that the hub reads at the beginning of a README.md.

    Args:
        report: the contents of `export.json`, or of such a report without files and accuracy.

    Example:
        >>> lines = front_matter({"variant": "cifar_v2", "trained": None, "shipped": None})
        >>> lines.splitlines()[1:3]
        ['library_name: "keras"', 'license: "unknown"']
    """
    known = report["trained"] or _named(report)
    formats = dict.fromkeys(name.partition(" ")[0] for name in report.get("files", {}))
    fields: dict[str, Any] = {
        "library_name": "keras",  # of Keras 3; "tf-keras" is the hub's name for Keras 2
        "license": _license(report),
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "alexnet", report["variant"], _TAG, *formats],
    }
    if known and (on_hub := _on_hub(known["dataset"])):
        fields["datasets"] = [on_hub]
    fields["metrics"] = ["accuracy"]
    dataset, split, by_views = _accuracy(report)
    if dataset and by_views:
        result = {
            "task": {"type": "image-classification"},
            "dataset": {"name": dataset, "type": _on_hub(dataset) or dataset, "split": split},
            "metrics": _metrics(by_views),
        }
        fields["model-index"] = [{"name": report["variant"], "results": [result]}]
    # JSON is YAML, too: names of any characters stay what they are.
    lines = (f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in fields.items())
    return "\n".join(["---", *lines, "---", "", ""])


def _named(report: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Returns what is known of weights that come with the package or were published."""
    return report["shipped"] or report.get("published")


def _license(report: Mapping[str, Any]) -> str:
    named = _named(report)
    if named and " " not in str(named.get("license", " ")):  # an identifier, not a sentence
        return named["license"].lower()
    return "apache-2.0" if report["trained"] or named else "unknown"


def _on_hub(dataset: str) -> str | None:
    return _DATASETS.get(dataset.partition("-")[0])


def _accuracy(report: Mapping[str, Any]) -> tuple[str | None, str, Mapping[str, Any]]:
    """Returns the data set of the best known accuracies, its split, and those by views."""
    trained, shipped, published = report["trained"], report["shipped"], report.get("published")
    if report.get("accuracy"):
        return report["dataset"], "test", report["accuracy"]
    if shipped:
        return shipped["dataset"], "test", shipped["accuracy"]
    if published:  # the labels of ImageNet's test images are not public
        return published["dataset"], "validation", published["accuracy"]
    if trained:
        found = {"top1": trained["test_top1"], "top5": trained["test_top5"]}
        return trained["dataset"], "test", {str(trained["views"]): found}
    return None, "test", {}


def _metrics(by_views: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "type": "accuracy",
            "name": f"top-{number}, {views} view{'' if views == '1' else 's'}",
            "value": round(found[f"top{number}"], 6),
        }
        for views, found in by_views.items()
        for number in (1, 5)
    ]


def _is_ours(path: pathlib.Path) -> bool:
    try:
        with files.open_regular(path) as file:
            head = file.read(2000).decode("utf-8", "replace")
    except OSError:
        return False
    return head.startswith("---\n") and f'"{_TAG}"' in head.partition("\n---\n")[0]
