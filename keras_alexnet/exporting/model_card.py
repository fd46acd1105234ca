"""The model card: a network's origin, accuracy, files and use, in Markdown."""

import re
from collections.abc import Mapping
from typing import Any

from keras_alexnet.exporting import formats
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
        *_training(report),
        *_shipped(report),
        *_published(report),
        *_accuracy(report),
        *_files(report),
        *_agreement(report),
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
        *_training(report),
        *_shipped(report),
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


def _training(report: Report) -> list[str]:
    trained = report["trained"]
    if trained is None:
        published = report["published"]
        known = "Not known: exported from a `.keras` file without its run."
        if published is not None:
            known = f"By {published['publisher']} on {published['dataset']}; see Weights."
        return ["", "## Training", "", known]
    recipe = dict(trained["recipe_as_run"])
    name, note = recipe.pop("name"), recipe.pop("note")
    given = {field: value for field, value in recipe.items() if value not in (None, "", {}, [])}
    fields = ", ".join(f"{field} {value}" for field, value in given.items())
    overrides = f" Changed from the recipe: {trained['overrides']}." if trained["overrides"] else ""
    return [
        "",
        "## Training",
        "",
        f"- Data: {trained['dataset']}, {trained['train_images']:,} images, SHA-256 "
        f"`{trained['data_sha256']}` (of {trained['data_sha256_of']}); "
        f"{trained['skipped_images']} skipped"
        + (f"; {trained['data_note']}" if trained["data_note"] else ""),
        f"- Recipe {name} ({note.rstrip('.')}): {fields}.{overrides}",
        f"- {trained['epochs']} epochs, {trained['steps']:,} steps of "
        f"{trained['global_batch_size']} images in {trained['precision']} on "
        f"{trained['devices']}, seed {trained['seed']}; commit `{trained['commit']}`, "
        f"{trained['date']}",
        f"- At the end: top-1 {_percent(trained['test_top1'])}, top-5 "
        f"{_percent(trained['test_top5'])} with {trained['views']} view(s) of "
        f"{trained['test_images']:,} test images",
    ]


def _shipped(report: Report) -> list[str]:
    shipped = report["shipped"]
    if shipped is None:
        return []
    return [
        "",
        "## Weights",
        "",
        f"`{shipped['file']}`, which comes with keras_alexnet: weights `{shipped['name']}`, stored "
        f"as {shipped['stored_as']}, SHA-256 `{shipped['sha256']}`. Exactly these weights, on the "
        f"{shipped['test_images']:,} test images of {shipped['dataset']} (SHA-256 "
        f"`{shipped['data_sha256']}`):",
        "",
        *_by_views(shipped["accuracy"]),
    ]


def _published(report: Report) -> list[str]:
    published = report["published"]
    if published is None:
        return []
    found = published["accuracy"]["1"]
    return [
        "",
        "## Weights",
        "",
        f"`{published['name']}`, published by {published['publisher']} under "
        f"{published['license']}: <{published['url']}>, {published['bytes']:,} bytes, SHA-256 "
        f"`{published['sha256']}`. As {published['publisher']} states it, top-1 is "
        f"{100 * found['top1']:.3f} % and top-5 {100 * found['top5']:.3f} % with one view of the "
        f"{published['test_images']:,} validation images of {published['dataset']}; keras_alexnet "
        "has not measured it.",
    ]


def _accuracy(report: Report) -> list[str]:
    if not report["accuracy"]:
        return ["", "## Accuracy", "", f"Not measured. Compared on {report['compared_on']}."]
    return [
        "",
        "## Accuracy",
        "",
        f"The Keras model on {report['compared_on']} (SHA-256 `{report['data_sha256']}`)"
        + (f"; {report['skipped_images']} skipped" if report["skipped_images"] else "")
        + (f"; {report['data_note']}" if report["data_note"] else "")
        + ".",
        "",
        *_by_views(report["accuracy"]),
    ]


def _by_views(accuracy: Mapping[str, Mapping[str, float]]) -> list[str]:
    rows = [
        f"| {views} | {_percent(found['top1'])} | {_percent(found['top5'])} | {found['loss']:.4f} |"
        for views, found in accuracy.items()
    ]
    return ["| views | top-1 | top-5 | loss |", "|---|---|---|---|", *rows]


def _files(report: Report) -> list[str]:
    keras_top1 = report["keras_model"]["top1"]
    rows = [
        f"| Keras model | {report['keras_model_bytes'] / 1e6:.2f} MB | – | – | "
        f"{'–' if keras_top1 is None else _percent(keras_top1)} | Keras {report['keras']} |"
    ]
    for name, facts in report["files"].items():
        seconds = facts.get("latency_seconds", {})
        times = [f"{1000 * seconds[n]:.2f} ms" if n in seconds else "–" for n in ("1", "2")]
        accuracy = facts["agreement"]["top1"]
        top1 = "–" if accuracy is None else _percent(accuracy)
        size = f"{facts['bytes'] / 1e6:.2f} MB"
        rows.append(f"| {name} | {size} | {' | '.join(times)} | {top1} | {facts['runtime']} |")
    hashes = [
        f"- `{file}`: `{sha256}`"
        for facts in report["files"].values()
        for file, sha256 in facts["sha256"].items()
    ]
    return [
        "",
        "## Files",
        "",
        f"Latency is the median of one image at a time on {report['processor']}.",
        "",
        "| file | size | 1 thread | 2 threads | top-1 | runtime |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
        "SHA-256 of every file except this card and `export.json`:",
        "",
        *hashes,
    ]


def _agreement(report: Report) -> list[str]:
    rows = [
        f"| {name} | {found['largest_difference']:.2g} | {found['relative_difference']:.1e} | "
        f"{_percent(found['top1_agreement'])} |"
        for name, found in ((n, facts["agreement"]) for n, facts in report["files"].items())
    ]
    notes = [f"- **Disagrees, which was allowed:** {line}." for line in report["disagreements"]]
    for name, facts in report["files"].items():
        if facts["compared_on"] != report["compared_on"]:
            notes.append(f"- {name} was exported earlier and compared on {facts['compared_on']}.")
        notes += [f"- {name} {note}." for note in _format_notes(name, facts)]
    if report["calibration_images"]:
        notes.append(
            f"- int8 was calibrated with {report['calibration_images']} training images of "
            f"{report['dataset']}, chosen by seed {report['seed']}."
        )
    return [
        "",
        "## Agreement with the Keras model",
        "",
        f"Logits on {report['compared_on']}. Relative differences are divided by the largest "
        "logit.",
        "",
        "| file | largest difference | relative | same top-1 |",
        "|---|---|---|---|",
        *rows,
        *(["", *notes] if notes else []),
    ]


def _format_notes(name: str, facts: dict[str, Any]) -> list[str]:
    kind = name.partition(" ")[0]
    # A file of an earlier export may have a format that is no longer registered.
    return formats.get(kind).notes(facts) if kind in formats.NAMES else []


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


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
