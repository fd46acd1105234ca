"""Inference of exported networks against PyTorch, ONNX Runtime and OpenVINO, at equal top-1."""

import contextlib
import importlib.util
import pathlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from absl import logging

from keras_alexnet.benchmarks import weighted_networks
from keras_alexnet.benchmarks.catalog import Settings
from keras_alexnet.benchmarks.inference_side import PEER, SIDE
from keras_alexnet.benchmarks.machine_report import peak_of_products
from keras_alexnet.benchmarks.report import Attempts, Report
from keras_alexnet.benchmarks.side import Side, started, wait_for_all
from keras_alexnet.benchmarks.timing import quartiles
from keras_alexnet.data.config import DataSpec
from keras_alexnet.data.dataset import Dataset
from keras_alexnet.data.load import load_dataset
from keras_alexnet.errors import UserError
from keras_alexnet.exporting.formats import onnx, saved_model, tflite
from keras_alexnet.networks import variants
from keras_alexnet.trained import TrainedNetwork
from keras_alexnet.utils import machine

TRAINING_IMAGES = 400  # that a classifier is fitted to, and int8 calibrated with
_CALIBRATION_IMAGES = 100

MOST_LOST = 0.005  # of top-1, by a way that is compared

Rows = list[dict[str, Any]]


def measure(settings: Settings) -> Report:
    """Times every way to run each network, in turns.

    Raises:
        UserError: a data set cannot be loaded, or a runtime fails.
    """
    threads = settings.threads or len(machine.processors())
    # The others run what PyTorch exports.
    absent = [peer for peer in settings.peers if not all(map(_is_installed, (peer, "torch")))]
    peers = tuple(peer for peer in settings.peers if peer not in absent)
    data = load_dataset(DataSpec(settings.dataset, settings.data_dir))
    rows: list[dict[str, Any]] = []
    details: dict[str, Any] = {}
    attempts = Attempts()
    for variant in settings.variants:
        with attempts.at(variant):
            found = _Network(variant, data, settings, threads, peers).measured()
            details[variant] = found
            rows += rows_of(variant, found, settings.batch_sizes)
    words = [f"{peer} is absent: it, or torch, is not installed." for peer in absent]
    words += _in_words(rows, threads)
    peak = {"float32 multiply-accumulates a second": peak_of_products()}
    shown = {"threads": threads, "absent": absent, "peak": peak, "found": details}
    return Report(rows, words, shown, attempts.failed())


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


class _Network:
    """One network in all formats, and what is measured of it."""

    def __init__(
        self, variant: str, data: Dataset, settings: Settings, threads: int, peers: tuple[str, ...]
    ) -> None:
        training = data.train.subset(np.arange(min(TRAINING_IMAGES, len(data.train))))
        test = data.test.subset(np.arange(min(settings.test_images, len(data.test))))
        known = weighted_networks.of_package(variant)
        self._weights = "those of the package" if known else "a fitted classifier"
        self._network = known or weighted_networks.fitted(variant, training)
        self._pixels, labels = weighted_networks.inputs_of(test, self._network.plan)
        calibration = training.subset(np.arange(min(_CALIBRATION_IMAGES, len(training))))
        self._calibration, _ = weighted_networks.inputs_of(calibration, self._network.plan)
        self._labels = labels if known is None or _knows(known, data) else None
        self._settings, self._threads, self._peers = settings, threads, peers

    def measured(self) -> dict[str, Any]:
        """Writes the network in all formats, runs all of them in turns, and returns all numbers."""
        settings = self._settings
        with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as stack:
            folder = pathlib.Path(temporary)
            np.save(folder / "images.npy", self._pixels)
            given = {
                "images": str(folder / "images.npy"),
                "batch_sizes": list(settings.batch_sizes),
                "threads": self._threads,
            }
            ours = _ours(self._network, self._calibration, folder)
            others = self._others(folder)
            sides = {}
            for runtime in dict.fromkeys([*ours, *others]):
                opened = {**ours.get(runtime, {}), **others.get(runtime, {})}
                environment = {"OMP_NUM_THREADS": str(self._threads)}
                arguments = {**given, "runtime": runtime, "files": opened}
                name = f"{self._network.variant} in {runtime}"
                side = started(name, SIDE, arguments, tensorflow=False, environment=environment)
                sides[runtime] = stack.enter_context(side)
                wait_for_all(sides[runtime])  # one after the other, for the sake of memory
            turns = [
                {runtime: side.take() for runtime, side in sides.items()}
                for _ in range(settings.rounds)
            ]
            return {
                "weights": self._weights,
                "versions": {runtime: side.ready["version"] for runtime, side in sides.items()},
                "ways": dict(
                    self._ways(sides, turns, {name for each in ours.values() for name in each})
                ),
            }

    def _others(self, folder: pathlib.Path) -> dict[str, dict[str, Any]]:
        """Returns what the other runtimes open, by runtime and name."""
        if not self._peers:
            return {}
        from keras_alexnet.benchmarks.peers import torch_inference, torch_networks

        variant, path = self._network.variant, str(folder / "peer.onnx")
        weights = str(folder / "weights.npz")
        spec = variants.get(variant)
        tensors: dict[str, Any] = torch_networks.tensors_of(self._network.model, spec)
        np.savez(weights, **tensors)
        torch_inference.write_onnx(variant, weights, path)
        opened: dict[str, dict[str, Any]] = {
            "torch": {"PyTorch": {"variant": variant, "weights": weights}},
            "onnxruntime": {PEER: path},
            "openvino": {"OpenVINO": path},
        }
        return {peer: opened[peer] for peer in self._peers}

    def _ways(
        self, sides: Mapping[str, Side], turns: list[dict[str, Any]], ours: set[str]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yields the name of each way, and what was measured of it."""
        wanted = self._network.logits(self._pixels).argmax(-1)
        for runtime, side in sides.items():
            for name, classes in side.ready["classes"].items():
                agreement = float(np.mean(np.array(classes) == wanted))
                found: dict[str, Any] = {
                    "ours": name in ours,
                    "agreement": agreement,
                    "batch_sizes": {
                        size: {
                            key: [turn[runtime][name][size][key] for turn in turns] for key in of
                        }
                        for size, of in turns[0][runtime][name].items()
                    },
                }
                yield name, found | self._judged(np.array(classes), wanted, agreement)

    def _judged(self, classes: np.ndarray, wanted: np.ndarray, agreement: float) -> dict[str, Any]:
        """Returns the top-1, if labels are known, and whether a way is compared."""
        if self._labels is None:
            return {"top1": None, "compared": agreement >= 1 - MOST_LOST}
        right, right_in_keras = classes == self._labels, wanted == self._labels
        # In images: of 200, one is half a point, which the difference of two shares can exceed.
        lost = int(right_in_keras.sum()) - int(right.sum())
        return {"top1": float(right.mean()), "compared": lost <= MOST_LOST * len(classes)}


def _knows(network: TrainedNetwork, data: Dataset) -> bool:
    """Returns whether the classes of the data are the network's, so that labels count."""
    try:
        network.check_data(data)
    except UserError as error:
        logging.info("Top-1 of %s is agreement with Keras: %s", network.variant, error)
        return False
    return True


def _ours(
    network: TrainedNetwork, calibration: np.ndarray, folder: pathlib.Path
) -> dict[str, dict[str, Any]]:
    """Exports a network, and returns what our runtimes open, by runtime and name."""
    lite = {}
    for quantization in tflite.QUANTIZATIONS:
        path = folder / f"{quantization}.tflite"
        path.write_bytes(tflite.convert(network, quantization, calibration=calibration))
        lite[f"TFLite {quantization}"] = str(path)
    precisions = {"SavedModel": "float32"}
    if machine.has_bfloat16():
        precisions["SavedModel bfloat16"] = "bfloat16"
    opened: dict[str, dict[str, Any]] = {
        "litert": lite,
        "tensorflow": {
            name: _written_saved_model(network, folder / name, precision)
            for name, precision in precisions.items()
        },
    }
    if all(map(_is_installed, ("onnx", "tf2onnx", "onnxruntime"))):
        onnx.write(network, folder / "ours.onnx")
        opened["onnxruntime"] = {"ONNX": str(folder / "ours.onnx")}
    return opened


def _written_saved_model(
    network: TrainedNetwork, folder: pathlib.Path, precision: str
) -> dict[str, str]:
    saved_model.write(network, folder, precision=precision)
    tensors = saved_model.tensor_names(folder)
    return {"folder": str(folder), "image": tensors["image"], "logits": tensors["logits"]}


# What was found -----------------------------------------------------------------------------------
def rows_of(variant: str, found: Mapping[str, Any], batch_sizes: Sequence[int]) -> Rows:
    """Returns a row for each number of images: our fastest way against the fastest of others.

    Args:
        variant: the network.
        found: "ways" has by name whether it is "ours", whether it is "compared", and by number of
            images the "seconds" of a call in each round.
        batch_sizes: the numbers of images.

    Returns:
        Rows of a table. "ratio" is the median over rounds of the others' seconds over ours, so that
        more than 1 is faster than the others.
    """
    rows = []
    for size in batch_sizes:
        row: dict[str, Any] = {"network": variant, "images": size}
        fastest = {}
        for side, ours in (("ours", True), ("others", False)):
            seconds = {
                name: way["batch_sizes"][str(size)]["seconds"]
                for name, way in found["ways"].items()
                if way["ours"] == ours and way["compared"]
            }
            if seconds:
                name = min(seconds, key=lambda name: float(np.median(seconds[name])))
                fastest[side] = np.array(seconds[name])
                of_rounds = quartiles((1000 * fastest[side]).tolist())
                row |= {side: name, f"{side}, ms": of_rounds["median"]}
                row[f"{side}, quartiles"] = "{lower_quartile:.3g}–{upper_quartile:.3g}".format(
                    **of_rounds
                )
        if len(fastest) == 2:
            row["ratio"] = float(np.median(fastest["others"] / fastest["ours"]))
        rows.append(row)
    return rows


def _in_words(rows: Rows, threads: int) -> list[str]:
    words = [
        f"Milliseconds of a call on {threads} threads; ratio: the others' time over ours. Compared "
        f"are ways that lose at most {100 * MOST_LOST:g} points of top-1."
    ]
    ratios = {
        f"{row['network']} with {row['images']}": row["ratio"] for row in rows if "ratio" in row
    }
    slower = [f"{name} ({ratio:.2f})" for name, ratio in ratios.items() if ratio < 1]
    if ratios:
        words.append(f"Ours is slower for: {', '.join(slower) or 'none'}.")
    return words
