"""TF Serving's warm-up requests: fixed images for every signature."""

import os
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from keras_alexnet.exporting.formats.saved_model import EXTRA
from keras_alexnet.trained import TrainedNetwork
from keras_alexnet.utils import files

REQUESTS = "tf_serving_warmup_requests"

# Convolutions take different paths for one image and for several. At most four, because a server
# that is configured for smaller batches would reject the request and then the model.
BATCHES = (1, 4)


def write(folder: str | os.PathLike, network: TrainedNetwork, input_dtype: str = "uint8") -> bool:
    """Writes warm-up requests to a SavedModel's folder.

    The images are gray ramps. The requests do not name the model, because the name under which it
    will be served is unknown, and TF Serving ignores it during warm-up.

    Args:
        folder: the SavedModel's folder; the file is `assets.extra/tf_serving_warmup_requests`.
        network: the network that was exported there.
        input_dtype: "uint8" or "float32", as in the export.

    Returns:
        Whether they were written; this needs the package tensorflow-serving-api.

    Example:
        >>> write("saved_models/mine/1", network)  # doctest: +SKIP
        True
    """
    try:
        from tensorflow_serving.apis import predict_pb2, prediction_log_pb2
    except ImportError as error:
        logging.warning(
            "No warm-up requests are written, because tensorflow-serving-api cannot be imported "
            '(%s). pip install -e ".[serving]" installs it.',
            error,
        )
        return False
    with files.atomic_write(pathlib.Path(folder) / EXTRA / REQUESTS) as temporary:
        with tf.io.TFRecordWriter(str(temporary)) as writer:
            for signature, name, values in _requests(network, input_dtype):
                request = predict_pb2.PredictRequest()
                request.model_spec.signature_name = signature
                request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
                log = prediction_log_pb2.PredictLog(request=request)
                record = prediction_log_pb2.PredictionLog(predict_log=log)
                writer.write(record.SerializeToString(deterministic=True))
    return True


def _requests(network: TrainedNetwork, input_dtype: str) -> Iterator[tuple[str, str, Any]]:
    """Yields signatures, the names of their inputs, and values for those inputs."""
    side, _, _ = network.input_shape
    for count in BATCHES:
        pixels = _ramps(count, side).astype(input_dtype)
        yield "serving_default", "image", pixels
        yield "features", "image", pixels
        yield "image_bytes", "image_bytes", _encoded(count, network.plan.square_size)


def _encoded(count: int, size: int) -> list[bytes]:
    """Returns JPEGs, which the decoder can shrink while it decodes, and PNGs, in turn."""
    images = _ramps(count, 2 * size)
    return [
        (tf.io.encode_png if number % 2 else tf.io.encode_jpeg)(image).numpy()
        for number, image in enumerate(images)
    ]


def _ramps(count: int, side: int) -> np.ndarray:
    """Returns uint8 [count, side, side, 3]: ramps that start at different columns."""
    ramp = np.linspace(0, 255, side).astype(np.uint8)
    rows = [np.roll(ramp, number * side // count) for number in range(count)]
    return np.broadcast_to(np.stack(rows)[:, None, :, None], (count, side, side, 3))
