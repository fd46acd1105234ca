"""Two small networks, saved and exported in every format that `keras_alexnet.predict` takes."""

import functools
import importlib.util
import pathlib
import types

import numpy as np
import tensorflow as tf
from PIL import Image

import keras_alexnet
from keras_alexnet import run_folder
from keras_alexnet.data import decode, views
from keras_alexnet.exporting.formats import onnx, saved_model, tflite
from keras_alexnet.trained import TrainedNetwork

CLASSES = 7
TOLERANCE = 2e-5  # of scores of different float32 implementations, with logits up to tens


def network(folder: pathlib.Path, seed: int, classes: int = CLASSES) -> TrainedNetwork:
    """A run's folder with a network whose confident predictions differ between images."""
    model = keras_alexnet.build("cifar_v2", num_classes=classes, seed=seed)
    kernel = model.get_layer("logits").kernel
    kernel.assign(kernel * 300)
    run_folder.save(folder, model, [f"class {number} ü" for number in range(classes)])
    return TrainedNetwork.load(folder)


@functools.cache
def made(root: pathlib.Path) -> types.SimpleNamespace:
    """Paths below `root`: `run` and `file` are the network of `exported`/2, `old` of `exported`/1,
    `lite` is the TFLite file, `onnx` the ONNX file or None without the packages that write it,
    `small` a run of three classes."""
    exported = root / "exported"
    old, new = network(root / "old", seed=1), network(root / "run", seed=2)
    saved_model.write(old, exported / "1")
    saved_model.write(new, exported / "2")
    lite = exported / "tflite" / "cifar_v2_float32.tflite"
    lite.parent.mkdir()
    lite.write_bytes(tflite.convert(new, "float32"))
    onnx_file = exported / "onnx" / "cifar_v2.onnx"
    onnx_file.parent.mkdir()
    can_write = all(map(importlib.util.find_spec, ("onnx", "onnxruntime", "tf2onnx")))
    if can_write:
        onnx.write(new, onnx_file)
    network(root / "small", seed=3, classes=3)
    return types.SimpleNamespace(
        run=root / "run",
        file=root / "run" / run_folder.MODEL,
        old=root / "old",
        small=root / "small",
        exported=exported,
        lite=lite,
        onnx=onnx_file if can_write else None,
        network=new,
        labels=root / "run" / run_folder.LABELS,
        photos=_photos(root / "photos"),
    )


def _photos(folder: pathlib.Path) -> pathlib.Path:
    """Images of many sizes, colors and formats, and files to ignore."""
    (folder / "below" / "deeper").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    waves = _waves(90, 130)
    color = Image.fromarray(waves)
    alpha = np.dstack([waves, np.arange(90 * 130).reshape(90, 130, 1) % 256]).astype(np.uint8)
    for name, image in {
        "alpha.png": Image.fromarray(alpha),
        "below/bitmap.bmp": color,
        "below/cmyk.jpg": color.convert("CMYK"),
        "below/deeper/UPPER.JPEG": color.rotate(180),
        "deep.png": Image.fromarray(waves[..., 0].astype(np.uint16) * 257),
        "gif.gif": Image.fromarray(255 - waves).convert("P"),
        "gray.jpg": color.convert("L"),
        "large.jpg": Image.fromarray(_waves(1500, 1100)),
        "palette.png": color.transpose(Image.Transpose.TRANSPOSE).convert("P"),
        "tiny.png": Image.fromarray(waves[:1, :2]),
        ".hidden/no.png": color,
        ".no.png": color,
    }.items():
        image.save(folder / name)
    (folder / "notes.txt").write_text("no image")
    return folder


def _waves(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width] / 20
    channels = [np.sin(x), np.cos(y), np.sin(x + 2 * y)]
    return np.uint8(127 + 120 * np.stack(channels, axis=-1))


def save_foreign(folder: pathlib.Path, name: str, spec: tf.TensorSpec, outputs: list[str]) -> None:
    """A SavedModel of a different project, with a signature whose outputs are its input."""
    module = tf.Module()
    module.same = tf.function(lambda x: {y: tf.identity(x) for y in outputs}, [spec])
    tf.saved_model.save(module, str(folder), signatures={name: module.same})


def expected(found: TrainedNetwork, contents: list[bytes]) -> np.ndarray:
    """Probabilities `[N, classes]` for inputs that evaluation's functions make one by one."""
    plan = found.plan
    inputs = [
        views.center_view(decode.decode_square(each, *plan.square)[None], plan) for each in contents
    ]
    pixels = tf.cast(tf.concat(inputs, axis=0), tf.float32)
    return tf.nn.softmax(found.model(pixels, training=False)).numpy()
