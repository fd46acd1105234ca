"""`ship`: makes the weights that come with the package, and their card, from a run's folder."""

import dataclasses
import os
import pathlib
import re
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from absl import logging

from keras_alexnet.data.dataset import Dataset
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.evaluation.evaluator import Evaluator
from keras_alexnet.exporting import reports
from keras_alexnet.exporting.config import ShipConfig
from keras_alexnet.exporting.model_card import license_of
from keras_alexnet.networks.build import build, standardize_layer
from keras_alexnet.trained import TrainedNetwork
from keras_alexnet.utils import outputs, provenance
from keras_alexnet.weights import compatibility, quantized, shipped_file
from keras_alexnet.weights.source import variables_of

MOST_LOST = 0.001  # of top-1, by storing weights in fewer bits
MOST_BYTES = 30 * 10**6  # of all weights that come with the package


def ship(config: ShipConfig) -> dict[str, Any]:
    """Writes a run's weights as they come with the package: `<variant>-<name>.safetensors`.

    Each form is written to a temporary folder, loaded from there as users load it, and evaluated on
    all test images of the run's data. The first that loses less than 0.1 point of top-1 against the
    run's float32 weights replaces what was in `out`.

    Args:
        config: the run, and where to write.

    Returns:
        The card, which is written beside the weights.

    Raises:
        UsageError: if a setting cannot be used.
        UserError: if the run has not ended, is not of a network as `build` makes it by default, or
            its data are missing or have changed; or if every form loses too much. Then nothing is
            written.

    Example:
        >>> card = ship(ShipConfig(model="runs/mine", out="shipped"))  # doctest: +SKIP
        >>> card["stored_as"], card["accuracy"]["1"]["top1"]  # doctest: +SKIP
        ('int8', 0.8071)
    """
    out = pathlib.Path(shipped_file.FOLDER if config.out is None else config.out)
    outputs.check_folder(out, "out")
    network = TrainedNetwork.load(config.model).require_keras("ship")
    if network.config is None or network.results is None:
        raise UserError(f"ship needs the folder of a run that has ended. Received: {config.model}.")
    reports.check_results(network)
    _check_default(network)
    name = config.name or network.results["dataset"]
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise UsageError(
            "name must be of lower-case letters, digits, - and _, because it becomes a part of a "
            f"file's name. Received: {name}. Pass --name."
        )
    data = _load_data(network, config)
    card = _described(network, data, name)
    with tempfile.TemporaryDirectory() as folder:
        stage = pathlib.Path(folder) / f"{network.variant}-{name}{shipped_file.WEIGHTS}"
        stored, card = _smallest(network, data, card, stage, config.forms)
        card = _measured(stage, data, card, config.views)
    shipped_file.write(out / stage.name, stored, card)
    _log_sizes(out / stage.name)
    return shipped_file.read_card(out / stage.name)


def _check_default(network: TrainedNetwork) -> None:
    """Raises a UserError unless `build` makes the network from its card alone."""
    built = build(network.variant, num_classes=len(network.labels), input_shape=network.input_shape)
    chains = compatibility.chain(built), compatibility.chain(network.model)
    if differing := compatibility.differences(*chains):
        raise UserError(
            f"{network.path} cannot be shipped, because it is not {network.variant} as build makes "
            f"it by default: {'; '.join(differing)}. Train it without these changes."
        )


def _load_data(network: TrainedNetwork, config: ShipConfig) -> Dataset:
    """Loads the data of the run, which are tested as the run tested them."""
    data = network.load_data(config.data)
    network.check_data(data)
    trained_on = (network.results or {})["data_sha256"]
    if data.sha256 != trained_on:
        raise UserError(
            f"{data.name} is not what the run was trained on: its SHA-256 should be {trained_on}. "
            f"Received: {data.sha256}. Name the data with --dataset and --data_dir."
        )
    return data


def _described(network: TrainedNetwork, data: Dataset, name: str) -> dict[str, Any]:
    """Returns a card without what is measured of the stored weights."""
    pixels = standardize_layer(network.model)
    return {
        "variant": network.variant,
        "name": name,
        "stored_as": "",
        "parameters": network.model.count_params(),
        "labels": list(network.labels),
        "input_size": network.plan.input_size,
        "image_plan": dataclasses.asdict(network.plan),
        "pixel_mean": list(pixels.mean),
        "pixel_std": list(pixels.std),
        "accuracy": {},
        "top1_before": None,
        "dataset": data.name,
        "data_sha256": data.sha256,
        "data_sha256_of": data.sha256_of,
        "test_images": len(data.test),
        "license": f"Weights: Apache-2.0. Data: {license_of(data.name)}",
        "command": _command(network),
        "training": _without_places(network.results or {}),
        "check": [],
        **provenance.provenance(),
    }


def _smallest(
    network: TrainedNetwork,
    data: Dataset,
    card: Mapping[str, Any],
    stage: pathlib.Path,
    forms: Sequence[str],
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Writes the first form that loses little to `stage`, and returns its tensors and card."""
    before = _figures(network, data, 1)["top1"]
    tensors, _ = variables_of(network.model)
    for form in forms:
        stored = quantized.pack(tensors, form)
        of_form = {**card, "stored_as": form, "top1_before": before}
        shipped_file.write(stage, stored, of_form)
        top1 = _figures(TrainedNetwork.load(stage), data, 1)["top1"]
        logging.info(
            "%s: top-1 %.2f %%, before %.2f %%; %s bytes.",
            *(form, 100 * top1, 100 * before, f"{stage.stat().st_size:,}"),
        )
        if before - top1 < MOST_LOST:
            return stored, of_form
    raise UserError(
        f"Nothing was shipped, because each of {', '.join(forms)} loses {100 * MOST_LOST:g} point "
        "of top-1 or more; the log says how much. Allow other --forms."
    )


def _measured(
    stage: pathlib.Path, data: Dataset, card: Mapping[str, Any], views: Sequence[int]
) -> dict[str, Any]:
    """Returns the card with what is measured of the stored weights, loaded as users load them."""
    network = TrainedNetwork.load(stage)
    logits = network.logits(shipped_file.check_images(network.plan.input_size))
    accuracy = {str(number): _figures(network, data, number) for number in views}
    return {**card, "accuracy": accuracy, "check": np.round(logits.astype(float), 5).tolist()}


def _figures(network: TrainedNetwork, data: Dataset, views: int) -> dict[str, float]:
    evaluator = Evaluator(network, data.test, network.plan, views=views)
    return evaluator.run(f"evaluating {views} views").figures()


def _command(network: TrainedNetwork) -> str:
    """Returns the command that trains such a network; its data are anywhere."""
    config, results = (network.config or {})["config"], network.results or {}
    given = {name: config.get(name) for name in ("variant", "recipe", "dataset", "data_dir")}
    given |= {name: config.get(name) for name in ("splits", "labels_csv", "seed", "precision")}
    for name in ("data_dir", "labels_csv"):
        given[name] = given[name] and os.path.basename(os.path.normpath(given[name]))
    words = [
        f"--{name} {shlex.quote(str(value))}" for name, value in given.items() if value is not None
    ]
    for override in results["overrides"].split():
        name, _, value = override.partition("=")
        value = value.partition("@")[0] if name == "weights" else value
        switch = {"True": f"--{name}", "False": f"--no-{name}"}
        words.append(switch.get(value, f"--{name} {shlex.quote(value)}"))
    return f"keras-alexnet train {' '.join(words)}"


def _without_places(results: Mapping[str, Any]) -> dict[str, Any]:
    """Returns results.json without the places of files on this machine."""
    found = {**results, "workdir": os.path.basename(results["workdir"])}
    if results.get("weights"):
        file = os.path.basename(results["weights"]["file"])
        found["weights"] = {**results["weights"], "file": file}
    return found


def _log_sizes(weights: pathlib.Path) -> None:
    total = sum(each.stat().st_size for each in weights.parent.glob(f"*{shipped_file.WEIGHTS}"))
    logging.info(
        "Written: %s, %s bytes; all weights beside it together: %s bytes.",
        *(weights, f"{weights.stat().st_size:,}", f"{total:,}"),
    )
    if total > MOST_BYTES:
        logging.warning("These are more than %s bytes: ship fewer networks.", f"{MOST_BYTES:,}")
