"""Serving of an exported SavedModel: requests a second, latency, with and without batching."""

import contextlib
import pathlib
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_alexnet.benchmarks import weighted_networks
from keras_alexnet.benchmarks.catalog import LARGEST_CLIENTS, Settings
from keras_alexnet.benchmarks.report import Attempts, Report
from keras_alexnet.benchmarks.serving_side import SIDE
from keras_alexnet.benchmarks.side import started, wait_for_all
from keras_alexnet.data.config import DataSpec
from keras_alexnet.data.load import load_dataset
from keras_alexnet.exporting.formats import saved_model
from keras_alexnet.models import build
from keras_alexnet.trained import TrainedNetwork
from keras_alexnet.utils import machine, terminal

BATCH_TIMEOUT_MICROS = 2000  # that a request waits for others, if fewer than a batch are there

_IMAGES = 64

# What is sent: the signature, its input, and its name in the table.
_INPUTS = {"pixels": ("serving_default", "image"), "JPEG": ("image_bytes", "image_bytes")}


def measure(settings: Settings) -> Report:
    """Lets clients ask the SavedModel of each network.

    Raises:
        UserError: TensorFlow's wheel has no C API, or a request fails.
    """
    threads = settings.threads or len(machine.processors())
    rows: list[dict[str, Any]] = []
    words = [
        f"{threads} threads of the server. Each client sends one image, and the next when it has "
        "an answer. Batching is that of TensorFlow's own library, which TF Serving uses, with a "
        f"timeout of {BATCH_TIMEOUT_MICROS / 1000:g} ms."
    ]
    details: dict[str, Any] = {}
    attempts = Attempts()
    for variant in settings.variants:
        with attempts.at(variant):
            found = _measured(variant, settings, threads)
            details[variant] = found
            for precision, served in found.items():
                turns = [turn["found"] for turn in served["turns"]]
                rows += rows_of(variant, precision, turns)
                first, further = (
                    "unknown" if size is None else f"{size / 1e6:.0f} MB"
                    for size in served["memory"].values()
                )
                words.append(
                    f"{variant} in {precision}: the first version and TensorFlow take {first}, "
                    f"another {further}."
                )
    return Report(rows, words, {"threads": threads, "found": details}, attempts.failed())


def rows_of(
    variant: str, precision: str, turns: Sequence[Sequence[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """Returns a row for each server, input and number of clients.

    Args:
        variant: the network.
        precision: that of its SavedModel.
        turns: what the server's process found in each turn.
    """
    rows = []
    for same in zip(*turns, strict=True):
        latencies = np.concatenate([each["latencies"] for each in same])
        rates = [len(each["latencies"]) / each["seconds"] for each in same]
        middle, late = np.percentile(1000 * latencies, [50, 99]).tolist()
        rows.append(
            {
                "network": variant,
                "precision": precision,
                **{name: same[0][name] for name in ("input", "server", "clients")},
                "requests/s": float(np.median(rates)),
                "median, ms": middle,
                "99th percentile, ms": late,
            }
        )
    return rows


def _measured(variant: str, settings: Settings, threads: int) -> dict[str, Any]:
    """Returns what was found in each precision, whose servers take turns."""
    network = weighted_networks.of_package(variant) or TrainedNetwork.of_model(
        build(variant, seed=0), variant
    )
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as processes:
        folder = pathlib.Path(temporary)
        inputs = _written_inputs(network, folder, settings)
        sides = {}
        for precision in settings.export_precisions:
            saved_model.write(network, folder / precision / "1", precision=precision)
            arguments = {
                "folder": str(folder / precision / "1"),
                "servers": _servers(folder / precision, settings, threads),
                "inputs": inputs,
                "clients": list(settings.clients),
                "requests": settings.requests,
                "threads": threads,
            }
            name = f"{variant}'s server in {precision}"
            side = started(name, SIDE, arguments, tensorflow=False)
            sides[precision] = processes.enter_context(side)
            wait_for_all(sides[precision])
        turns = [
            {name: side.take() for name, side in sides.items()} for _ in range(settings.rounds)
        ]
        return {
            name: {"memory": side.ready["memory"], "turns": [turn[name] for turn in turns]}
            for name, side in sides.items()
        }


def _servers(folder: pathlib.Path, settings: Settings, threads: int) -> dict[str, Any]:
    """Returns by name the SavedModels in `folder`: the exported one, and those that batch."""
    servers = {}
    for most in settings.batch_sizes:
        served = folder / ("1" if most == 1 else f"batching-{most}")
        if most > 1:
            _write_batching(folder / "1", served, most, threads)
        name = "no batching" if most == 1 else f"batches up to {most}"
        servers[name] = {"folder": str(served), "tensors": _tensors(served)}
    return servers


def _written_inputs(
    network: TrainedNetwork, folder: pathlib.Path, settings: Settings
) -> dict[str, str]:
    """Writes what is sent, and returns its files by input."""
    data = load_dataset(DataSpec(settings.dataset, settings.data_dir))
    split = data.test.subset(np.arange(min(_IMAGES, len(data.test))))
    pixels, _ = weighted_networks.inputs_of(split, network.plan)
    jpegs = np.array([tf.io.encode_jpeg(each, quality=90).numpy() for each in pixels])
    written = {}
    for name, values in (("pixels", pixels), ("JPEG", jpegs)):
        written[name] = str(folder / f"{name}.npy")
        np.save(written[name], values)
    return written


def _tensors(folder: pathlib.Path) -> dict[str, tuple[str, str]]:
    found = {}
    for name, (signature, given) in _INPUTS.items():
        tensors = saved_model.tensor_names(folder, signature)
        found[name] = (tensors[given], tensors["logits"])
    return found


def _write_batching(
    folder: pathlib.Path, out: pathlib.Path, most_images: int, threads: int
) -> None:
    """Writes a SavedModel that gathers requests, and asks the one in `folder` with batches."""
    module = tf.Module()
    module.loaded = tf.saved_model.load(str(folder))
    signatures = {}
    for signature, given in _INPUTS.values():
        function = module.loaded.signatures[signature]
        spec = function.structured_input_signature[1][given]
        signatures[signature] = _batching(function, spec, most_images, threads)
    with terminal.quiet():
        tf.saved_model.save(module, str(out), signatures=signatures)


def _batching(function: Any, spec: tf.TensorSpec, most_images: int, threads: int) -> Any:
    # No request is refused: each client waits for its answer, so that no more than these can wait.
    @tf.nondifferentiable_batch_function(
        threads, most_images, BATCH_TIMEOUT_MICROS, max_enqueued_batches=LARGEST_CLIENTS
    )
    def batched(images: tf.Tensor) -> tf.Tensor:
        return function(**{spec.name: images})["logits"]

    @tf.function(input_signature=[spec], autograph=False)
    def served(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"logits": batched(images)}

    return served
