"""The private TensorFlow names that this package uses, all here and checked by version.

TensorFlow has no public way to do what these do. `TESTED` is the range of versions that they were
tested with; outside of it a warning is logged once, and a name that no longer exists raises a
`UserError` where it is needed.
"""

import contextlib
import functools
import importlib
import types
from collections.abc import Iterator
from typing import Any

import tensorflow as tf
from absl import logging

from keras_alexnet.errors import UserError

TESTED = ("2.21", "2.22")  # from the first, up to but not including the second


def tflite_schema() -> types.ModuleType:
    """Returns the module of the classes that read and write the tables of a TFLite file."""
    return _private("tensorflow.lite.python.schema_py_generated")


def calibrate_tflite(converter: tf.lite.TFLiteConverter) -> bytes:
    """Converts to a float TFLite file that holds the ranges of all activations.

    This is the file that `converter.convert()` makes before it quantizes.
    """
    if not hasattr(converter, "_experimental_calibrate_only"):
        raise _gone("TFLiteConverter._experimental_calibrate_only")
    converter._experimental_calibrate_only = True
    return converter.convert()


def quantize_tflite(model: bytes, **options: Any) -> bytes:
    """Quantizes a calibrated TFLite file, as TensorFlow's converter does in its last step."""
    return _private("tensorflow.lite.python.convert", "mlir_quantize")(model, **options)


def op_determinism_is_on() -> bool:
    """Returns whether `tf.config.experimental.enable_op_determinism` was called."""
    return _private("tensorflow.python.framework.config", "is_op_determinism_enabled")()


def turn_op_determinism_off() -> None:
    """Reverses `tf.config.experimental.enable_op_determinism`."""
    _private("tensorflow.python.framework.config", "disable_op_determinism")()


def onednn_is_on() -> bool:
    """Returns whether TensorFlow, since its import, computes with oneDNN."""
    return _private("tensorflow.python.util._pywrap_util_port", "IsMklEnabled")()


def profiler_messages() -> types.ModuleType:
    """Returns the module of the messages that a trace of TensorFlow's profiler holds."""
    return _private("tensorflow.tsl.profiler.protobuf.xplane_pb2")


@contextlib.contextmanager
def gradients_forgotten() -> Iterator[None]:
    """Removes from TensorFlow's registry the gradient functions that tracing its body registers.

    Each all-reduce registers one, which keeps the whole graph in memory: every run in the same
    process would leak its graph. If the registry no longer exists, nothing is removed.
    """
    registry = getattr(_private("tensorflow.python.framework.ops"), "gradient_registry", None)
    registered = getattr(registry, "_registry", {})
    before = set(registered)
    try:
        yield
    finally:
        for name in registered.keys() - before:
            registered.pop(name, None)


def _private(module: str, name: str | None = None) -> Any:
    _warn_of_untested_version()
    try:
        found = importlib.import_module(module)
        return found if name is None else getattr(found, name)
    except (ImportError, AttributeError) as error:
        raise _gone(name or module) from error


def _gone(name: str) -> UserError:
    return UserError(
        f"TensorFlow {tf.__version__} no longer has {name}. Install "
        f"tensorflow>={TESTED[0]},<{TESTED[1]}."
    )


@functools.cache
def _warn_of_untested_version() -> None:
    low, high, found = (_numbers(version) for version in (*TESTED, tf.__version__))
    if not low <= found < high:
        logging.warning(
            "keras_alexnet was tested with TensorFlow from %s to below %s; this is %s.",
            *(*TESTED, tf.__version__),
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])
