"""The model card: a network's origin, accuracy, files and use, in Markdown."""

import re
from collections.abc import Mapping
from typing import Any

from keras_alexnet.exporting.card import measured, origin, usage
from keras_alexnet.networks import variants
from keras_alexnet.networks.image_plan import ANTIALIASED_BILINEAR

NAME = "model_card.md"

Report = Mapping[str, Any]

_LABELS_SHOWN = 50

_LICENSES = {
    "cifar10": "CIFAR-10's authors state no license; it is used for research.",
    "cifar100": "CIFAR-100's authors state no license; it is used for research.",
    "fashion_mnist": "Fashion-MNIST is published under the MIT license.",
    "imagenet2012": "ImageNet's terms of access allow only non-commercial research and "
    "education; whether they bind networks trained on it is disputed.",
    "shapes": "The images are drawn by this package, Apache-2.0.",
}

_OWN_IMAGES = "The images are not published with this network; ask their owner for the license."


def license_of(dataset: str) -> str:
    """Returns a sentence on the license of a data set.

    Example:
        >>> license_of("cifar10-jpeg")
        "CIFAR-10's authors state no license; it is used for research."
    """
    return _LICENSES.get(dataset.partition("-")[0], _OWN_IMAGES)


def text(report: Report) -> str:
    """Returns a model card in Markdown.

    Args:
        report: the contents of `export.json`.
    """
    parts = [
        f"# {report['variant']}: {report['title']}",
        *_network(report),
        *origin.training(report),
        *origin.shipped(report),
        *origin.published(report),
        *measured.accuracy(report),
        *measured.files(report),
        *measured.agreement(report),
        *usage.usage(report),
        *_use(report),
        *_provenance(report),
    ]
    return "\n".join(parts) + "\n"


def text_of_network(report: Report) -> str:
    """Returns the model card of a network that was saved and not exported.

    Args:
        report: what `reports.of_network` returned, and `provenance`.
    """
    parts = [
        f"# {report['variant']}: {report['title']}",
        *_network(report),
        *origin.training(report),
        *origin.shipped(report),
        *usage.usage(report),
        *_use(report),
        *_provenance(report, "Saved"),
    ]
    return "\n".join(parts) + "\n"


def _network(report: Report) -> list[str]:
    height, width, channels = report["input_shape"]
    labels = report["labels"]
    named = "" if report["labels_are_names"] else ", whose names are not known"
    more = f", … ({len(labels) - _LABELS_SHOWN} more)" if len(labels) > _LABELS_SHOWN else ""
    return [
        "",
        f"- Source of the network: {_source(report['source'])}",
        f"- Parameters: {report['parameters']:,}; multiply-accumulates per image: "
        f"{report['macs']:,}",
        f"- Input: RGB pixels 0–255, {report.get('input_dtype', 'uint8')} "
        f"[N, {height}, {width}, {channels}]; standardized in the network",
        f"- Output: {len(labels)} classes{named}: {', '.join(labels[:_LABELS_SHOWN])}{more}",
    ]


def _source(source: str) -> str:
    """Returns a source; if it is a document's number, with the document's title."""
    number = re.match(r"document (\d+)", source)
    return f"{source}: {variants.DOCUMENTS[number.group(1)]}" if number else source


def _use(report: Report) -> list[str]:
    data = "what the network was trained on, and under which license, is not known."
    if report["trained"] is not None:
        data = license_of(report["trained"]["dataset"])
    weights = ""
    if report["published"] is not None:
        data = license_of(report["published"]["dataset"])
        weights = f"Weights: {report['published']['license']}. "
    return [
        "",
        "## Use and limits",
        "",
        "For teaching, for research and as a baseline. The network knows only the classes above "
        f"and names one of them for any image. {_seen(report['image_plan'])}. A SavedModel turns "
        "JPEG and PNG upright as their EXIF orientation says; for other formats, turn images "
        "first. Scores are softmax outputs, not calibrated probabilities. The network has not been "
        "tested for bias or robustness: no decision about people should rest on it.",
        "",
        f"License: code and network definition Apache-2.0. {weights}Data: {data}",
    ]


def _seen(plan: Mapping[str, Any]) -> str:
    if plan["warp"]:
        side = plan["square_size"]
        return f"An image of any shape is squeezed into {side} x {side} pixels first"
    if plan.get("resize") == ANTIALIASED_BILINEAR:
        return (
            f"An image is resized to a short side of {plan['square_size']} pixels as torchvision "
            "does it, and reduced to its center square, so the rest of it is not seen"
        )
    return "An image is reduced to its center square first, so the rest of it is not seen"


def _provenance(report: Report, done: str = "Exported") -> list[str]:
    return [
        "",
        "## Provenance",
        "",
        f"- `{report['model']}`, SHA-256 `{report['model_sha256']}`",
        f"- {done} by commit `{report['commit']}` with TensorFlow {report['tensorflow']} and "
        f"Keras {report['keras']} on {report['date']}",
    ]
