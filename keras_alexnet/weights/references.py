"""Logits computed by a weights file's own framework, to check conversions.

They use the file's tensors as they are, and so show whether a conversion is right.
"""

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_alexnet.networks import spec
from keras_alexnet.networks.spec import NetworkSpec
from keras_alexnet.weights import caffe
from keras_alexnet.weights.source import Source


def installed_framework(kind: str) -> str | None:
    """Returns the framework that runs files of a kind, or None if it is not installed."""
    if kind == "pytorch" and importlib.util.find_spec("torch"):
        return "PyTorch"
    if kind == "caffe" and importlib.util.find_spec("cv2"):
        import cv2

        return "OpenCV" if hasattr(cv2.dnn, "readNetFromCaffe") else None  # not in release 5
    return "TensorFlow" if kind == "tensorflow" else None


def reference_logits(source: Source, network: NetworkSpec, pixels: np.ndarray) -> np.ndarray:
    """Returns the logits of the `installed_framework`, float32 `[N, classes]`.

    Args:
        source: a file of PyTorch, Caffe or caffe-tensorflow.
        network: its network.
        pixels: RGB 0-255, `[N, H, W, 3]`, of the network's input size.
    """
    by = {"pytorch": _by_torch, "caffe": _by_opencv, "tensorflow": _by_tensorflow}
    return by[source.kind](source, network, np.asarray(pixels, np.float32))


def _by_torch(source: Source, network: NetworkSpec, pixels: np.ndarray) -> np.ndarray:
    import torch

    functional, pixel_constants = torch.nn.functional, network.standardization
    mean, std = (np.asarray(v, np.float32) for v in (pixel_constants.mean, pixel_constants.std))
    values = torch.tensor(((pixels - mean) / std).transpose(0, 3, 1, 2))
    values = values.flip(1) if pixel_constants.bgr else values
    for layer in network.layers:
        if layer.name in source.names:
            kernel, bias = (torch.tensor(source.tensors[name]) for name in source.names[layer.name])
        if isinstance(layer, spec.ConvolutionSpec):
            values = functional.pad(values, (*layer.padding, *layer.padding))
            values = functional.conv2d(
                values, kernel, bias, layer.stride, groups=layer.groups
            ).relu()
        elif isinstance(layer, spec.LocalResponseNormSpec):
            channels = 2 * layer.depth_radius + 1
            constants = (layer.alpha * channels, layer.beta, layer.bias)  # PyTorch divides alpha
            values = functional.local_response_norm(values, channels, *constants)
        elif isinstance(layer, spec.MaxPoolSpec):
            values = functional.max_pool2d(values, layer.size, layer.stride)
        elif isinstance(layer, spec.AdaptiveAveragePoolSpec):
            values = functional.adaptive_avg_pool2d(values, layer.size)
        elif isinstance(layer, spec.DenseSpec):
            values = functional.linear(values.flatten(1), kernel, bias).relu()
        elif isinstance(layer, spec.ClassifierSpec):
            values = functional.linear(values.flatten(1), kernel, bias)
    return values.numpy()


def _by_opencv(source: Source, network: NetworkSpec, pixels: np.ndarray) -> np.ndarray:
    import cv2

    mean = source.pixels[0] if source.pixels else network.standardization.mean
    values = (pixels - np.asarray(mean, np.float32)).transpose(0, 3, 1, 2)[:, ::-1]
    text = prototxt(
        network, caffe.layer_names(network, source.layers), source.classes() or network.num_classes
    )
    net = cv2.dnn.readNetFromCaffe(
        np.frombuffer(text.encode(), np.uint8), np.fromfile(source.file, np.uint8)
    )
    net.setInput(np.ascontiguousarray(values))
    return net.forward()


def _by_tensorflow(source: Source, network: NetworkSpec, pixels: np.ndarray) -> np.ndarray:
    import tensorflow as tf

    mean = source.pixels[0] if source.pixels else network.standardization.mean
    values = tf.constant((pixels - np.asarray(mean, np.float32))[..., ::-1])
    for layer in network.layers:
        if layer.name in source.names:
            kernel, bias = (tf.constant(source.tensors[name]) for name in source.names[layer.name])
        if isinstance(layer, spec.ConvolutionSpec):
            padding = [[0, 0], layer.padding, layer.padding, [0, 0]]
            parts = zip(
                tf.split(tf.pad(values, padding), layer.groups, axis=3),
                tf.split(kernel, layer.groups, axis=3),
                strict=True,
            )
            maps = [tf.nn.conv2d(part, of_group, layer.stride, "VALID") for part, of_group in parts]
            values = tf.nn.relu(tf.concat(maps, axis=3) + bias)
        elif isinstance(layer, spec.LocalResponseNormSpec):
            values = tf.nn.local_response_normalization(
                values, layer.depth_radius, layer.bias, layer.alpha, layer.beta
            )
        elif isinstance(layer, spec.MaxPoolSpec):
            values = tf.nn.max_pool2d(values, layer.size, layer.stride, "VALID")
        elif isinstance(layer, (spec.DenseSpec, spec.ClassifierSpec)):
            values = tf.reshape(values, [len(pixels), -1]) @ kernel + bias
            values = tf.nn.relu(values) if isinstance(layer, spec.DenseSpec) else values
    return values.numpy()


def prototxt(network: NetworkSpec, names: dict[str, str], classes: int) -> str:
    """Returns a network's layers in Caffe's text form, without softmax.

    Args:
        network: of convolutions with equal zeros on all sides, LRN, max pooling and dense layers.
        names: layer with weights → its name in the file.
        classes: number of logits.

    Example:
        >>> network = keras_alexnet.variants.get("cifar_v2")
        >>> prototxt(network, {}, 10).splitlines()[1]
        'layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1" ...
    """
    side, below = network.input_size, "data"
    lines = [f'input: "data" input_dim: 1 input_dim: 3 input_dim: {side} input_dim: {side}']
    for layer in network.layers:
        if type(layer) not in _PARAMETERS:
            continue
        kind, parameters = _PARAMETERS[type(layer)](layer, classes)
        name = names.get(layer.name, layer.name)
        lines.append(
            f'layer {{ name: "{name}" type: "{kind}" bottom: "{below}" top: "{name}" '
            f"{parameters} }}"
        )
        if isinstance(layer, (spec.ConvolutionSpec, spec.DenseSpec)):
            lines.append(
                f'layer {{ name: "{name} relu" type: "ReLU" bottom: "{name}" top: "{name}" }}'
            )
        below = name
    return "\n".join(lines)


def _convolution(layer: Any, classes: int) -> tuple[str, str]:
    return "Convolution", (
        f"convolution_param {{ num_output: {layer.filters} kernel_size: {layer.kernel} "
        f"stride: {layer.stride} pad: {layer.padding[0]} group: {layer.groups} }}"
    )


def _lrn(layer: Any, classes: int) -> tuple[str, str]:
    channels = 2 * layer.depth_radius + 1
    return "LRN", (
        f"lrn_param {{ local_size: {channels} alpha: {layer.alpha * channels:.9g} "
        f"beta: {layer.beta} k: {layer.bias} }}"
    )


def _pool(layer: Any, classes: int) -> tuple[str, str]:
    return (
        "Pooling",
        f"pooling_param {{ pool: MAX kernel_size: {layer.size} stride: {layer.stride} }}",
    )


def _dense(layer: Any, classes: int) -> tuple[str, str]:
    units = classes if isinstance(layer, spec.ClassifierSpec) else layer.units
    return "InnerProduct", f"inner_product_param {{ num_output: {units} }}"


_PARAMETERS: dict[type, Callable[[Any, int], tuple[str, str]]] = {
    spec.ConvolutionSpec: _convolution,
    spec.LocalResponseNormSpec: _lrn,
    spec.MaxPoolSpec: _pool,
    spec.DenseSpec: _dense,
    spec.ClassifierSpec: _dense,
}
