"""What a weights file's own framework makes of pixels, where it is installed.

Both computations take the file's tensors as they are, and so show whether a conversion is right.
"""

import importlib.util

import numpy as np

from keras_alexnet.networks import spec
from keras_alexnet.networks.spec import NetworkSpec
from keras_alexnet.weights import caffe
from keras_alexnet.weights.source import Source


def installed_framework(kind: str) -> str | None:
    """Returns the name of what can answer for files of a kind; None where it is not installed."""
    if kind == "pytorch" and importlib.util.find_spec("torch"):
        return "PyTorch"
    if kind == "caffe" and importlib.util.find_spec("cv2"):
        import cv2

        return "OpenCV" if hasattr(cv2.dnn, "readNetFromCaffe") else None  # release 5 has none
    return None


def logits_of_source(source: Source, network: NetworkSpec, pixels: np.ndarray) -> np.ndarray:
    """Returns the logits of the `installed_framework`, float32 `[N, classes]`.

    Args:
        source: a file of PyTorch or Caffe.
        network: its network.
        pixels: RGB 0-255, `[N, H, W, 3]`, of the network's input size.
    """
    by = _by_torch if source.kind == "pytorch" else _by_opencv
    return by(source, network, np.float32(pixels))


def _by_torch(source, network, pixels):
    import torch

    functional = torch.nn.functional
    mean, std = (np.float32(v) for v in (network.standardization.mean, network.standardization.std))
    values = torch.tensor(((pixels - mean) / std).transpose(0, 3, 1, 2))
    values = values.flip(1) if network.standardization.bgr else values
    for row in network.layers:
        if row.name in source.names:
            kernel, bias = (torch.tensor(source.tensors[name]) for name in source.names[row.name])
        if isinstance(row, spec.ConvolutionSpec):
            values = functional.pad(values, (*row.padding, *row.padding))
            values = functional.conv2d(values, kernel, bias, row.stride, groups=row.groups).relu()
        elif isinstance(row, spec.LocalResponseNormSpec):
            channels = 2 * row.depth_radius + 1
            constants = (row.alpha * channels, row.beta, row.bias)  # PyTorch divides alpha
            values = functional.local_response_norm(values, channels, *constants)
        elif isinstance(row, spec.MaxPoolSpec):
            values = functional.max_pool2d(values, row.size, row.stride)
        elif isinstance(row, spec.AdaptiveAveragePoolSpec):
            values = functional.adaptive_avg_pool2d(values, row.size)
        elif isinstance(row, spec.DenseSpec):
            values = functional.linear(values.flatten(1), kernel, bias).relu()
        elif isinstance(row, spec.ClassifierSpec):
            values = functional.linear(values.flatten(1), kernel, bias)
    return values.numpy()


def _by_opencv(source, network, pixels):
    import cv2

    mean = source.pixels[0] if source.pixels else network.standardization.mean
    values = (pixels - np.float32(mean)).transpose(0, 3, 1, 2)[:, ::-1]
    text = prototxt(network, caffe.layer_names(network, source.layers), source.classes())
    net = cv2.dnn.readNetFromCaffe(
        np.frombuffer(text.encode(), np.uint8), np.fromfile(source.file, np.uint8)
    )
    net.setInput(np.ascontiguousarray(values))
    return net.forward()


def prototxt(network: NetworkSpec, names: dict[str, str], classes: int) -> str:
    """Returns a network's layers in Caffe's text form, without softmax.

    Args:
        network: of convolutions with equal zeros on all sides, LRN, max pooling and dense layers.
        names: layer with weights → its name in the file.
        classes: number of logits.

    Example:
        >>> row = keras_alexnet.variants.get("cifar_v2")
        >>> prototxt(row, {}, 10).splitlines()[1]
        'layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1" ...
    """
    side, below = network.input_size, "data"
    lines = [f'input: "data" input_dim: 1 input_dim: 3 input_dim: {side} input_dim: {side}']
    for row in network.layers:
        if type(row) not in _PARAMETERS:
            continue
        kind, parameters = _PARAMETERS[type(row)](row, classes)
        name = names.get(row.name, row.name)
        lines.append(
            f'layer {{ name: "{name}" type: "{kind}" bottom: "{below}" top: "{name}" '
            f"{parameters} }}"
        )
        if isinstance(row, (spec.ConvolutionSpec, spec.DenseSpec)):
            lines.append(
                f'layer {{ name: "{name} relu" type: "ReLU" bottom: "{name}" top: "{name}" }}'
            )
        below = name
    return "\n".join(lines)


def _convolution(row, classes):
    return "Convolution", (
        f"convolution_param {{ num_output: {row.filters} kernel_size: {row.kernel} "
        f"stride: {row.stride} pad: {row.padding[0]} group: {row.groups} }}"
    )


def _lrn(row, classes):
    channels = 2 * row.depth_radius + 1
    return "LRN", (
        f"lrn_param {{ local_size: {channels} alpha: {row.alpha * channels:.9g} "
        f"beta: {row.beta} k: {row.bias} }}"
    )


def _pool(row, classes):
    return "Pooling", f"pooling_param {{ pool: MAX kernel_size: {row.size} stride: {row.stride} }}"


def _dense(row, classes):
    units = classes if isinstance(row, spec.ClassifierSpec) else row.units
    return "InnerProduct", f"inner_product_param {{ num_output: {units} }}"


_PARAMETERS = {
    spec.ConvolutionSpec: _convolution,
    spec.LocalResponseNormSpec: _lrn,
    spec.MaxPoolSpec: _pool,
    spec.DenseSpec: _dense,
    spec.ClassifierSpec: _dense,
}
