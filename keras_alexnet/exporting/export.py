"""export(model, out): writes what is asked for, compares it with Keras, and only then shows it."""

import contextlib
import dataclasses
import errno
import json
import pathlib

import tensorflow as tf
from absl import logging

from keras_alexnet.data import decode
from keras_alexnet.errors import UserError
from keras_alexnet.evaluation.evaluator import Evaluator
from keras_alexnet.exporting import agreement, formats, latency, model_card, onnx, versions
from keras_alexnet.exporting.agreement import ComparisonImages
from keras_alexnet.exporting.config import ExportConfig
from keras_alexnet.exporting.formats import ExportedModel
from keras_alexnet.networks import variants
from keras_alexnet.networks.summary import layer_table
from keras_alexnet.trained import TrainedNetwork
from keras_alexnet.utils import files, provenance
from keras_alexnet.utils.terminal import Progress

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


# What a disk that is full, or a limit on the size of files, shows itself as.
_FULL = {
    errno.ENOSPC,
    errno.EFBIG,
    errno.EDQUOT,
    tf.errors.ResourceExhaustedError,
    tf.errors.UnknownError,
}


def export(config: ExportConfig) -> dict:
    """Exports a trained network, and checks that what it wrote computes what the network does.

    A SavedModel goes to `out/<version>/`, TFLite files to `out/tflite/`, ONNX to `out/onnx/`, each
    with a `model_card.md` and an `export.json`. A `.keras` file without `labels.txt` beside it is
    exported with class numbers as labels.

    Args:
        config: what to export, where to, and how.

    Returns:
        What `export.json` holds: sizes, hashes, agreement, accuracies and latencies by file.

    Raises:
        UsageError: for an option that cannot be used.
        UserError: if model or data cannot be read, if nothing can be written, or if a file
            computes something else than the network; nothing is left of the export then.

    Example:
        >>> import keras_alexnet as ka
        >>> config = ka.ExportConfig(model="runs/mine", out="saved_models/mine")
        >>> report = ka.export(config)  # doctest: +SKIP
    """
    if config.record is not None:
        files.read_rows(config.record, COLUMNS)  # one that cannot take the rows is found out now
    folder = pathlib.Path(config.out)
    version = versions.free_version(folder, config.version)
    if "onnx" in config.programs:
        onnx.check_installed()
    network = TrainedNetwork.load(config.model, config.variant).require_keras("An export")
    earlier = earlier_files(config, network)
    images = agreement.find_images(config, network)
    with versions.staged(folder) as stage:
        with _nothing_left(folder):
            written = _write(config, network, images, version, stage)
        report = _report(config, network, images, written)
        _judge(config, network, written, report)
        if config.latency:
            for name, seconds in formats.latencies(written).items():
                report["files"][name]["latency_seconds"] = seconds
        with _nothing_left(folder):
            for place in formats.card_folders(written.values()):
                told = {**report, "files": {**earlier.get(place.name, {}), **report["files"]}}
                files.write_text(place / model_card.NAME, model_card.text(told))
                files.write_json(place / REPORT, told)
            versions.publish(stage, folder)
    for program in written.values():
        logging.info("Written: %s", folder / program.place)
    if config.record is not None:
        for row in _rows(report):
            files.record(config.record, row, COLUMNS)
    return report


def _write(
    config, network, images: ComparisonImages, version: int, stage
) -> dict[str, ExportedModel]:
    calibration = images.calibration_inputs() if "tflite int8" in config.programs else None
    written = {}
    for name, program in formats.write(network, config, stage, version, calibration):
        logging.info("Converted to %s.", name)
        written[name] = program
    return written


@contextlib.contextmanager
def _nothing_left(out: pathlib.Path):
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        reason = decode.reason(error)
        full = " Is the disk full?" if _FULL & {getattr(error, "errno", None), type(error)} else ""
        raise UserError(
            f"Nothing was exported to {out}, since writing failed: {reason}.{full}"
        ) from error


def _report(
    config: ExportConfig, network: TrainedNetwork, images: ComparisonImages, written
) -> dict:
    """All that is known of the export but its latencies."""
    with Progress(len(images), "comparing") as progress:
        agreements = agreement.compare(
            network,
            {name: _logits_of(program, config.input_dtype) for name, program in written.items()},
            images.batches(),
            progress.advance,
        )
    row, source = variants.get(network.variant), images.source
    calibrated = "tflite int8" in written
    return {
        "variant": network.variant,
        "title": row.title,
        "source": row.source,
        "model": network.path.name,
        "model_sha256": network.sha256,
        "input_shape": list(network.input_shape),
        "input_dtype": config.input_dtype,
        "image_plan": dataclasses.asdict(network.plan),
        "labels": list(network.labels),
        "labels_are_names": network.labels_are_names,
        "parameters": network.model.count_params(),
        "macs": layer_table(network.model).totals["macs"],
        "trained": network.results,
        "dataset": source and source.name,
        "data_sha256": source and source.sha256,
        "data_note": source and source.note,
        "skipped_images": len(source.skipped) if source else 0,
        "compared_on": images.described,
        "calibration_images": len(images.calibration) if calibrated else 0,
        "seed": config.seed,
        "accuracy": _accuracies(config, network, images),
        "keras_model": dataclasses.asdict(agreements[agreement.KERAS]),
        "keras_model_bytes": network.path.stat().st_size,
        "files": {
            name: {
                **program.facts(),
                "compared_on": images.described,
                "agreement": dataclasses.asdict(agreements[name]),
            }
            for name, program in written.items()
        },
        "processor": latency.processor(),
        **provenance.provenance(),
    }


def _logits_of(program: ExportedModel, input_dtype: str):
    return lambda images: program.logits(images.astype(input_dtype))


def _accuracies(
    config: ExportConfig, network: TrainedNetwork, images: ComparisonImages
) -> dict[str, dict]:
    """Number of views → loss, top1 and top5 of the Keras model on the test images."""
    if images.test is None:
        return {}
    return {
        str(views): Evaluator(network.model, images.test, network.plan, views=views)
        .run(f"evaluating {views} views")
        .figures()
        for views in config.views
    }


def _judge(config: ExportConfig, network: TrainedNetwork, written, report: dict) -> None:
    """Raises a `UserError` if an export disagrees with the network, unless that is allowed."""
    agreements = {
        name: agreement.Agreement(**facts["agreement"]) for name, facts in report["files"].items()
    }
    exact = [name for name, program in written.items() if program.exact]
    found = agreement.disagreements(agreements, exact, trained=network.config is not None)
    report["disagreements"] = found
    if found and not config.allow_disagreement:
        raise UserError(
            f"Nothing was exported to {config.out}, since {'; '.join(found)} (on "
            f"{report['compared_on']}). --allow_disagreement writes it all the same."
        )
    for line in found:
        logging.warning("Written all the same: %s.", line)


def _rows(report: dict) -> list[dict]:
    """Returns a row of `COLUMNS` for each file."""
    recipe = report["trained"]["recipe"] if report["trained"] else None
    rows = []
    for name, facts in report["files"].items():
        seconds = facts.get("latency_seconds", {})
        found = {
            "recipe": recipe,
            "file": name,
            "test_images": facts["agreement"]["images"] if report["dataset"] else None,
            "milliseconds_1_thread": 1000 * seconds["1"] if seconds else None,
            "milliseconds_2_threads": 1000 * seconds["2"] if seconds else None,
        }
        rows.append({**report, **facts, **facts["agreement"], **found})
    return rows


REPORT = "export.json"


def earlier_files(config: ExportConfig, network: TrainedNetwork) -> dict[str, dict[str, dict]]:
    """Finds what an export will leave in `tflite` and `onnx`, to be told of in their model cards.

    Returns:
        Name of the folder → name of the program → what its own report said of it.

    Raises:
        UserError: if it is of another network, or takes other pixels: one card cannot tell of
            both, and whoever takes a file would be misled.
    """
    return {kind: _left_in(kind, config, network) for kind in ("tflite", "onnx")}


def _left_in(kind: str, config: ExportConfig, network: TrainedNetwork) -> dict[str, dict]:
    folder = pathlib.Path(config.out) / kind
    written = {_file_name(name, network) for name in config.programs if name.startswith(kind)}
    left = {path.name for path in folder.glob(f"*.{kind}")} - written
    if not left or not written:
        return {}
    report = _read_report(folder / REPORT)
    alike = report.get("model_sha256") == network.sha256
    alike &= report.get("input_dtype") == config.input_dtype
    alike &= report.get("labels") == list(network.labels)
    known = {name: facts for name, facts in report.get("files", {}).items() if _in(facts, left)}
    if not alike or len(known) < len(left):
        raise UserError(
            f"{folder} holds {', '.join(sorted(left))} of another network, of other labels or of "
            "another input dtype, and this export would leave it there beside its own. Export it "
            "anew as well, remove it, or give another --out."
        )
    return known


def _file_name(program: str, network: TrainedNetwork) -> str:
    kind, _, quantization = program.partition(" ")
    return f"{network.variant}{'_' if quantization else ''}{quantization}.{kind}"


def _in(facts: dict, names: set[str]) -> bool:
    return pathlib.PurePath(facts["file"]).name in names


def _read_report(path: pathlib.Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
