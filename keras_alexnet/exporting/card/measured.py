"""What an export measured: accuracy, files, latency, agreement with Keras."""

from collections.abc import Mapping
from typing import Any

from keras_alexnet.exporting import formats
from keras_alexnet.exporting.card.numbers import by_views, percent

Report = Mapping[str, Any]


def accuracy(report: Report) -> list[str]:
    """Returns the lines on the accuracy of the Keras model."""
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
        *by_views(report["accuracy"]),
    ]


def files(report: Report) -> list[str]:
    """Returns the lines on the files, their sizes, latencies and hashes."""
    keras_top1 = report["keras_model"]["top1"]
    rows = [
        f"| Keras model | {report['keras_model_bytes'] / 1e6:.2f} MB | – | – | "
        f"{'–' if keras_top1 is None else percent(keras_top1)} | Keras {report['keras']} |"
    ]
    for name, facts in report["files"].items():
        seconds = facts.get("latency_seconds", {})
        times = [f"{1000 * seconds[n]:.2f} ms" if n in seconds else "–" for n in ("1", "2")]
        found = facts["agreement"]["top1"]
        top1 = "–" if found is None else percent(found)
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


def agreement(report: Report) -> list[str]:
    """Returns the lines on how far the files differ from the Keras model."""
    rows = [
        f"| {name} | {found['largest_difference']:.2g} | {found['relative_difference']:.1e} | "
        f"{percent(found['top1_agreement'])} |"
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
