"""Inference of files by one runtime, as one side of a comparison."""

import importlib.metadata
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from keras_alexnet.benchmarks.side import Turns
from keras_alexnet.utils import machine

SIDE = f"{__name__}:serve"

PEER = "ONNX Runtime"  # the name of PyTorch's file in that runtime

_SECONDS, _MOST_CALLS = 0.2, 200  # of one way with one number of images in a turn
_CACHES = 2  # calls that find the caches filled by others, and are not counted

# From pixels, uint8 [n, H, W, 3], to what is called, and from that to logits [n, classes].
Way = tuple[Callable[[np.ndarray], Any], Callable[[Any], np.ndarray]]


def serve(
    turns: Turns,
    *,
    runtime: str,
    files: Mapping[str, Any],
    images: str,
    batch_sizes: list[int],
    threads: int,
) -> None:
    """Opens files in a runtime, and calls each with each number of images in every turn.

    The first answer has the classes that each way ranks first for all images, and the "version" of
    the runtime. A turn's answer has, by name and number of images, the median "seconds" of a call
    and the mean "cpu_seconds".

    Args:
        turns: when to work.
        runtime: one of `RUNTIMES`.
        files: name → what the runtime opens.
        images: file of numpy with pixels, uint8 `[n, H, W, 3]`.
        batch_sizes: numbers of images in a call.
        threads: of a call.
    """
    pixels = np.load(images)
    ways = RUNTIMES[runtime](files, threads)
    classes = {name: _classes(way, pixels, max(batch_sizes)) for name, way in ways.items()}
    calls = {
        (name, size): _prepared(way, pixels, size)
        for name, way in ways.items()
        for size in batch_sizes
    }
    numbers = {key: _number_of_calls(call) for key, call in calls.items()}
    turns.answer({"classes": classes, "version": _version(runtime)})
    while turns.wait():
        found: dict[str, dict[str, Any]] = {name: {} for name in ways}
        for (name, size), call in calls.items():
            found[name][str(size)] = _timed(call, numbers[name, size])
        turns.answer(found)


def _classes(way: Way, pixels: np.ndarray, batch_size: int) -> list[int]:
    prepare, call = way
    parts = [
        call(prepare(pixels[start : start + batch_size]))
        for start in range(0, len(pixels), batch_size)
    ]
    return np.concatenate(parts).argmax(-1).tolist()


def _prepared(way: Way, pixels: np.ndarray, batch_size: int) -> Callable[[], Any]:
    prepare, call = way
    inputs = prepare(np.resize(pixels, (batch_size, *pixels.shape[1:])))
    return lambda: call(inputs)


def _number_of_calls(call: Callable[[], Any]) -> int:
    call()  # the first calls allocate memory and optimize graphs
    usual = statistics.median(_seconds(call) for _ in range(3))
    return max(3, min(_MOST_CALLS, int(_SECONDS / max(usual, 1e-6))))


def _timed(call: Callable[[], Any], calls: int) -> dict[str, float]:
    for _ in range(_CACHES):
        call()
    cpu = time.process_time()
    seconds = statistics.median(_seconds(call) for _ in range(calls))
    return {"seconds": seconds, "cpu_seconds": (time.process_time() - cpu) / calls}


def _seconds(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _version(runtime: str) -> str:
    package = {"litert": "ai-edge-litert"}.get(runtime, runtime)
    try:
        return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        return package


# Ours ---------------------------------------------------------------------------------------------
def _litert(files: Mapping[str, str], threads: int) -> dict[str, Way]:
    from keras_alexnet.runtimes.litert import LiteModel

    return {name: _exported(LiteModel(path, threads)) for name, path in files.items()}


def _exported(model: Any) -> Way:
    return lambda pixels: pixels, lambda pixels: model.run(pixels)["logits"]


def _tensorflow(files: Mapping[str, Mapping[str, str]], threads: int) -> dict[str, Way]:
    from keras_alexnet.runtimes.c_api import Session

    def way(folder: str, image: str, logits: str) -> Way:
        session = Session(folder, threads)
        return lambda pixels: pixels, lambda pixels: session.run({image: pixels}, [logits])[0]

    return {name: way(**given) for name, given in files.items()}


# Others, which take float32 [n, 3, H, W] that is prepared before ----------------------------------
def _channels_first(pixels: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), np.float32)


def _onnxruntime(files: Mapping[str, str], threads: int) -> dict[str, Way]:
    """Files of ours, which take pixels, and of PyTorch's, by their first input."""
    import onnxruntime

    from keras_alexnet.runtimes.onnx_runtime import OnnxModel

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads

    def others(path: str) -> Way:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return _channels_first, lambda images: session.run(["logits"], {"image": images})[0]

    return {
        name: others(path) if name == PEER else _exported(OnnxModel(path, threads))
        for name, path in files.items()
    }


def _openvino(files: Mapping[str, str], threads: int) -> dict[str, Way]:
    import openvino

    def way(path: str, precision: str) -> Way:
        options = {
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": precision,
        }
        request = openvino.Core().compile_model(path, "CPU", options).create_infer_request()
        return _channels_first, lambda images: np.array(request.infer([images])[0])

    # Without instructions for bfloat16, OpenVINO computes in float32 instead.
    precisions = {"float32": "f32"} | ({"bfloat16": "bf16"} if machine.has_bfloat16() else {})
    return {
        f"{name} {precision}": way(path, hint)
        for name, path in files.items()
        for precision, hint in precisions.items()
    }


def _torch(files: Mapping[str, Mapping[str, str]], threads: int) -> dict[str, Way]:
    from keras_alexnet.benchmarks.peers import torch_inference

    return {
        f"{name} {way}": (prepare, call)
        for name, given in files.items()
        for way, (prepare, call) in torch_inference.ways(**given, threads=threads).items()
    }


RUNTIMES: Mapping[str, Callable[[Mapping[str, Any], int], dict[str, Way]]] = {
    "litert": _litert,
    "tensorflow": _tensorflow,
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
    "torch": _torch,
}
