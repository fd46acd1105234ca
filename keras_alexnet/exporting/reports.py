"""The reports of an export: export.json, rows of exports.csv, earlier files."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from keras_alexnet import run_folder
from keras_alexnet.errors import UserError
from keras_alexnet.evaluation.evaluator import Evaluator
from keras_alexnet.exporting import agreement, latency
from keras_alexnet.exporting.agreement import Agreement
from keras_alexnet.exporting.comparison_images import ComparisonImages
from keras_alexnet.exporting.config import ExportConfig
from keras_alexnet.exporting.formats import ExportedModel
from keras_alexnet.networks import variants
from keras_alexnet.networks.summary import layer_table
from keras_alexnet.trained import TrainedNetwork
from keras_alexnet.utils import json_files, provenance
from keras_alexnet.utils.json_schema import COUNT, OneOf
from keras_alexnet.weights import shipped_file

NAME = "export.json"

# The columns of saved_models/exports.csv, in order.
COLUMNS = (
    "variant",
    "recipe",
    "dataset",
    "file",
    "bytes",
    "milliseconds_1_thread",
    "milliseconds_2_threads",
    "test_images",
    "top1",
    "top1_agreement",
    "relative_difference",
    "runtime",
    "processor",
    "model_sha256",
    "commit",
    "date",
)


def check_results(network: TrainedNetwork) -> None:
    """Raises a `UserError` if results.json, if there is one, lacks what model cards tell."""
    if network.results is not None:
        path, schema = network.path.with_name(run_folder.RESULTS), run_folder.RESULTS_SCHEMA
        json_files.matched(network.results, schema, path, run_folder.RESULTS_ADVICE, nan=True)


# What is read of an earlier export.json, and what a model card tells of its files.
_EARLIER = {
    **dict.fromkeys(("model_sha256", "input_dtype"), str),
    "labels": [str],
    "files": {
        ...: {
            **dict.fromkeys(("file", "runtime", "compared_on"), str),
            "bytes": COUNT,
            "sha256": {...: str},
            "float_operators?": [str],
            "latency_seconds?": {...: float},
            "agreement": {
                **dict.fromkeys(("largest_difference", "relative_difference"), float),
                "top1": OneOf(None, float),
                "top1_agreement": float,
            },
        }
    },
}


def report(
    config: ExportConfig,
    network: TrainedNetwork,
    images: ComparisonImages,
    written: Mapping[str, ExportedModel],
    agreements: Mapping[str, Agreement],
) -> dict[str, Any]:
    """Returns the contents of export.json, without latencies.

    Args:
        config: the settings of the export.
        network: the network that was exported.
        images: the images that were compared on.
        written: name → the written model.
        agreements: what `agreement.compare` returned.
    """
    trained = network.config is not None or network.card is not None
    return {
        **of_network(network),
        "input_dtype": config.input_dtype,
        **_of_data(config, images),
        "accuracy": _accuracies(config, network, images),
        "keras_model": dataclasses.asdict(agreements[agreement.KERAS]),
        "keras_model_bytes": network.path.stat().st_size,
        "files": {
            name: {
                **model.facts(),
                "compared_on": images.described,
                "agreement": dataclasses.asdict(agreements[name]),
            }
            for name, model in written.items()
        },
        "disagreements": agreement.disagreements(config.outputs, agreements, trained),
        "processor": latency.processor(),
        **provenance.provenance(),
    }


def of_network(network: TrainedNetwork) -> dict[str, Any]:
    """Returns the part of a report that describes the network itself."""
    spec = variants.get(network.variant)
    return {
        "variant": network.variant,
        "title": spec.title,
        "source": spec.source,
        "model": network.path.name,
        "model_sha256": network.sha256,
        "input_shape": list(network.input_shape),
        "image_plan": dataclasses.asdict(network.plan),
        "labels": list(network.labels),
        "labels_are_names": network.labels_are_names,
        "parameters": network.model.count_params(),
        "macs": layer_table(network.model).totals["macs"],
        "trained": network.results,
        **shipped_file.origin(network.card, _OF_SHIPPED),
    }


_OF_SHIPPED = (
    *("name", "file", "sha256", "stored_as", "dataset", "data_sha256", "test_images"),
    *("accuracy", "license"),
)


def _of_data(config: ExportConfig, images: ComparisonImages) -> dict[str, Any]:
    dataset, calibrated = images.dataset, any(output.calibrated for output in config.outputs)
    return {
        "dataset": dataset and dataset.name,
        "data_sha256": dataset and dataset.sha256,
        "data_note": dataset and dataset.note,
        "skipped_images": len(dataset.skipped) if dataset else 0,
        "compared_on": images.described,
        "calibration_images": len(images.training) if calibrated and images.training else 0,
        "seed": config.seed,
    }


def _accuracies(
    config: ExportConfig, network: TrainedNetwork, images: ComparisonImages
) -> dict[str, dict]:
    """Returns a dict: number of views → the Keras model's metrics on the test images."""
    if images.test is None:
        return {}
    return {
        str(views): Evaluator(network.model, images.test, network.plan, views=views)
        .run(f"evaluating {views} views")
        .figures()
        for views in config.views
    }


def rows(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns a row with the `COLUMNS`, and more, for each file of a report."""
    recipe = report["trained"]["recipe"] if report["trained"] else None
    found = []
    for name, facts in report["files"].items():
        seconds = facts.get("latency_seconds", {})
        columns = {
            "recipe": recipe,
            "file": name,
            "test_images": facts["agreement"]["images"] if report["dataset"] else None,
            "milliseconds_1_thread": 1000 * seconds["1"] if seconds else None,
            "milliseconds_2_threads": 1000 * seconds["2"] if seconds else None,
        }
        found.append({**report, **facts, **facts["agreement"], **columns})
    return found


def earlier_files(config: ExportConfig, network: TrainedNetwork) -> dict[str, dict[str, dict]]:
    """Finds the earlier files that this export leaves in place, for the model card to list.

    Returns:
        A dict: name of the folder → name of the output → the facts in its own report.

    Raises:
        UserError: if a file is of a different network or takes different pixels, because one card
            cannot describe both.
    """
    written: dict[str, set[str]] = {}
    for each, output in config.outputs_by_format:
        if not each.versioned:
            names = written.setdefault(each.name, set())
            names.add(each.file_name(output, network.variant))
    return {name: _left_in(name, names, config, network) for name, names in written.items()}


def _left_in(
    name: str, written: set[str], config: ExportConfig, network: TrainedNetwork
) -> dict[str, dict]:
    folder = pathlib.Path(config.out) / name
    left = {path.name for path in folder.glob(f"*.{name}")} - written
    if not left:
        return {}
    path, found = folder / NAME, {}
    if os.path.lexists(path):
        advice = f"Export {', '.join(sorted(left))} again as well, or remove the folder."
        found = json_files.read(path, _EARLIER, advice, nan=True)
    alike = (
        found.get("model_sha256") == network.sha256
        and found.get("input_dtype") == config.input_dtype
        and found.get("labels") == list(network.labels)
    )
    known = {
        output: facts
        for output, facts in found.get("files", {}).items()
        if pathlib.PurePath(facts["file"]).name in left
    }
    if not alike or len(known) < len(left):
        raise UserError(
            f"{folder} holds {', '.join(sorted(left))} with a different network, labels or input "
            "dtype, which this export would leave beside its own files. Export it again as well, "
            "remove it, or pass a different --out."
        )
    return known
