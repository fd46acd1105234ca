"""`export`: writes models, compares them with Keras, and then publishes them."""

import contextlib
import dataclasses
import errno
import pathlib
from collections.abc import Iterator

import tensorflow as tf
from absl import logging

from keras_alexnet.data import decode
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.exporting import (
    agreement,
    formats,
    hub_card,
    latency,
    model_card,
    reports,
    versions,
)
from keras_alexnet.exporting.comparison_images import ComparisonImages, find_images
from keras_alexnet.exporting.config import ExportConfig
from keras_alexnet.exporting.formats import ExportedModel
from keras_alexnet.trained import TrainedNetwork
from keras_alexnet.utils import files, outputs
from keras_alexnet.utils.html import Results
from keras_alexnet.utils.reporting import reported
from keras_alexnet.utils.terminal import Progress

# The errors of a full disk or of a limit on the size of files.
_FULL = {
    errno.ENOSPC,
    errno.EFBIG,
    errno.EDQUOT,
    tf.errors.ResourceExhaustedError,
    tf.errors.UnknownError,
}


@reported
def export(config: ExportConfig, *, verbose: int = 1) -> dict:
    """Exports a trained network, and checks that every export computes what Keras does.

    A SavedModel goes to `out/<version>/`, files of other formats to `out/<format>/`, each with a
    `model_card.md` and an `export.json`. `out/README.md` has the card once more, with the front
    matter that the Hugging Face Hub reads. If a `.keras` file has no `labels.txt` beside it, the
    labels are class numbers.

    Args:
        config: what to export, where, and how.
        verbose: 0 shows only warnings, 1 also lines and progress bars, 2 lines but no bars.

    Returns:
        The contents of `export.json`: sizes, hashes, agreement, accuracies and latencies by file.

    Raises:
        UsageError: if a setting cannot be used with this network.
        UserError: if model or data cannot be read, nothing can be written, or an export computes
            something different from the network. Then nothing of the export remains.

    Example:
        >>> import keras_alexnet as ka
        >>> config = ka.ExportConfig(model="runs/mine", out="saved_models/mine")
        >>> report = ka.export(config)  # doctest: +SKIP
    """
    _check_formats(config)
    _check_precision(config)
    if config.record is not None:  # what cannot take the rows fails now
        outputs.check_file(config.record, "record")
        files.read_rows(config.record, reports.COLUMNS)
    folder = pathlib.Path(config.out)
    version = versions.free_version(folder, config.version)
    outputs.check_folder(folder, "out")
    for name in config.formats:
        formats.get(name).check_installed()
    network = TrainedNetwork.load(config.model, config.variant).require_keras("An export")
    reports.check_results(network)
    for name in config.formats:
        formats.get(name).check(config, network)
    earlier = reports.earlier_files(config, network)
    images = find_images(config, network)
    with versions.staged(folder) as stage:
        with _nothing_at_a_signal(folder):
            with _nothing_left(folder):
                written = _write(config, network, images, version, stage)
            report = _compare(config, network, images, written)
            if config.latency:
                for name, seconds in latency.latencies(written).items():
                    report["files"][name]["latency_seconds"] = seconds
        with _nothing_left(folder):
            for place in dict.fromkeys(model.card_folder for model in written.values()):
                both = {**report, "files": {**earlier.get(place.name, {}), **report["files"]}}
                files.write_text(place / model_card.NAME, model_card.text(both))
                files.write_json(place / reports.NAME, both)
            versions.publish(stage, folder)
        left = {name: facts for each in earlier.values() for name, facts in each.items()}
        everything = {**report, "files": {**left, **report["files"]}}
        hub_card.write(folder, everything, model_card.text(everything))
    for model in written.values():
        logging.info("Written: %s", folder / model.place)
    if config.record is not None:
        for row in reports.rows(report):
            files.record(config.record, row, reports.COLUMNS)
    return Results(report)


# Setting → what it is for, and the formats that have that.
_ONLY_FOR = {
    **dict.fromkeys(("layers", "web_runtime"), ("the page in the browser", ("web",))),
    "quantization": ("TFLite files", ("tflite", "web")),
    "version": ("the SavedModel", ("saved_model",)),
}


def _check_formats(config: ExportConfig) -> None:
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    for name, (what, having) in _ONLY_FOR.items():
        given = getattr(config, name)
        if given != defaults[name] and not set(having) & set(config.formats):
            shown = ",".join(given) if isinstance(given, tuple) else given
            raise UsageError(
                f"{name} is for {what}. Add {' or '.join(having)} to the formats, or leave it out. "
                f"Received: {name}={shown} with formats={','.join(config.formats)}."
            )


def _check_precision(config: ExportConfig) -> None:
    if config.precision == "float32":
        return
    if "saved_model" not in config.formats:
        raise UsageError(
            f"precision={config.precision} is for a SavedModel: add saved_model to the formats, or "
            "leave it out. TFLite files have --quantization. "
            f"Received: {', '.join(config.formats)}."
        )
    for name in config.formats:
        if name != "saved_model":
            logging.info("precision=%s does not change %s.", config.precision, name)


def _write(
    config: ExportConfig,
    network: TrainedNetwork,
    images: ComparisonImages,
    version: int,
    stage: pathlib.Path,
) -> dict[str, ExportedModel]:
    """Writes every output to the stage, and returns the written models by name."""
    job = formats.ExportJob(network, config, stage, version)
    if any(output.calibrated for output in config.outputs):
        job = formats.ExportJob(network, config, stage, version, images.calibration())
    written = {}
    for export_format, output in config.outputs_by_format:
        written[output.name] = export_format.write(output, job)
        logging.info("Converted to %s.", output.name)
    return written


@contextlib.contextmanager
def _nothing_at_a_signal(out: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as error:
        error.add_note(f"Nothing was exported to {out}.")
        raise


@contextlib.contextmanager
def _nothing_left(out: pathlib.Path) -> Iterator[None]:
    """Explains errors in writing, after which the stage is removed."""
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        reason = decode.reason(error)
        full = " Is the disk full?" if _FULL & {getattr(error, "errno", None), type(error)} else ""
        raise UserError(
            f"Nothing was exported to {out}, because writing failed: {reason}.{full}"
        ) from error


def _compare(
    config: ExportConfig,
    network: TrainedNetwork,
    images: ComparisonImages,
    written: dict[str, ExportedModel],
) -> dict:
    """Returns the report, without latencies.

    Raises:
        UserError: if an output disagrees with the network, and that is not allowed.
    """
    with Progress(len(images), "comparing") as progress:
        agreements = agreement.compare(
            network,
            {name: _logits_of(model, config.input_dtype) for name, model in written.items()},
            images.batches(),
            progress.advance,
        )
    report = reports.report(config, network, images, written, agreements)
    found = report["disagreements"]
    if found and not config.allow_disagreement:
        raise UserError(
            f"Nothing was exported to {config.out}, because {'; '.join(found)} (on "
            f"{images.described}). Pass --allow_disagreement to write it anyway."
        )
    for line in found:
        logging.warning("Written although %s.", line)
    return report


def _logits_of(model: ExportedModel, input_dtype: str) -> agreement.Logits:
    return lambda images: model.logits(images.astype(input_dtype))
