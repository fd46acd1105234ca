"""Caffe's AlexNet with random weights: the `.caffemodel`, and the prototxt for OpenCV to read."""

import dataclasses

import numpy as np

from keras_alexnet.networks import variants
from keras_alexnet.networks.spec import NetworkSpec
from support import caffe_files
from support.networks import shrunk

LRN = (5, 1e-4, 0.75, 1.0)
# name, kind, (units, kernel, stride, zeros on each side, groups) or (kernel, stride)
_LAYERS = (
    ("conv1", "Convolution", (96, 11, 4, 0, 1)),
    ("lrn1", "LRN", ()),
    ("pool1", "Pooling", (3, 2)),
    ("conv2", "Convolution", (256, 5, 1, 2, 2)),
    ("lrn2", "LRN", ()),
    ("pool2", "Pooling", (3, 2)),
    ("conv3", "Convolution", (384, 3, 1, 1, 1)),
    ("conv4", "Convolution", (384, 3, 1, 1, 2)),
    ("conv5", "Convolution", (256, 3, 1, 1, 2)),
    ("pool5", "Pooling", (3, 2)),
    ("fc6", "InnerProduct", (4096,)),
    ("fc7", "InnerProduct", (4096,)),
    ("fc8", "InnerProduct", (1000,)),
)
_SMALL_UNITS = {"InnerProduct": 12, "Convolution": 8}


def described(small=False, classes=1000):
    """Yields the layers, with few units each if `small`."""
    for name, kind, numbers in _LAYERS:
        if name == "fc8":
            numbers = (classes,)
        elif small and kind in _SMALL_UNITS:
            numbers = (_SMALL_UNITS[kind], *numbers[1:])
        yield name, kind, numbers


def weights(small=False, classes=1000, seed=0):
    """Random kernels and biases by name, in Caffe's layout, that preserve the signal's size."""
    generator = np.random.default_rng(seed)
    channels, found = 3, {}
    for name, kind, numbers in described(small, classes):
        if kind == "Convolution":
            units, kernel, _, _, groups = numbers
            shape = (units, channels // groups, kernel, kernel)
        elif kind == "InnerProduct":
            units = numbers[0]
            shape = (units, channels * 36 if name == "fc6" else channels)
        else:
            continue
        scale = np.sqrt(2 / np.prod(shape[1:])) / (50 if name == "conv1" else 1)
        kernel = generator.standard_normal(shape, np.float32) * np.float32(scale)
        found[name] = (kernel, generator.standard_normal(units, np.float32) / 10)
        channels = units
    return found


def caffemodel(tensors, *, old=False, order=None, lrn=LRN, **options):
    """The bytes of a `.caffemodel`; `order` is a different order of the layers' names."""
    kinds = {name: kind for name, kind, _ in _LAYERS}
    layers = [
        caffe_files.layer(
            name,
            kinds[name],
            tensors.get(name, ()),
            old=old,
            lrn=lrn if kinds[name] == "LRN" else None,
            **options,
        )
        for name in order or kinds
    ]
    return caffe_files.net(layers, old=old)


def prototxt(small=False, classes=1000):
    """The network in Caffe's text format."""
    lines = ['input: "data"', *(f"input_dim: {size}" for size in (1, 3, 227, 227))]
    below = "data"
    for name, kind, numbers in described(small, classes):
        parameters = ""
        if kind == "Convolution":
            units, kernel, stride, pad, group = numbers
            parameters = (
                f"convolution_param {{ num_output: {units} kernel_size: {kernel} stride: {stride} "
                f"pad: {pad} group: {group} }}"
            )
        elif kind == "Pooling":
            parameters = f"pooling_param {{ pool: MAX kernel_size: {numbers[0]} stride: 2 }}"
        elif kind == "LRN":
            parameters = "lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 k: 1 }"
        else:
            parameters = f"inner_product_param {{ num_output: {numbers[0]} }}"
        lines.append(
            f'layer {{ name: "{name}" type: "{kind}" bottom: "{below}" top: "{name}" '
            f"{parameters} }}"
        )
        below = name
        if kind in _SMALL_UNITS and name != "fc8":
            below = f"{name}_relu"
            lines.append(
                f'layer {{ name: "{below}" type: "ReLU" bottom: "{name}" top: "{below}" }}'
            )
    return "\n".join(lines)


def small_row() -> NetworkSpec:
    """Returns Caffe's network with few filters and units, named "caffe_small"."""
    return shrunk(
        variants.get("alexnet_caffe"), filters=8, units=12, name="caffe_small", num_classes=7
    )


def in_order(spec: NetworkSpec, bgr: bool) -> NetworkSpec:
    """Returns a network that reads BGR or RGB."""
    standardization = dataclasses.replace(spec.standardization, bgr=bgr)
    return dataclasses.replace(spec, standardization=standardization)


def by_opencv(cv2, text, model):
    """Returns a function of B, G, R values `[1, 3, 227, 227]`: each layer's output by its name.

    Outputs of layers with an activation are taken after it. Maps are `[1, height, width,
    channels]`.
    """
    net = cv2.dnn.readNetFromCaffe(
        np.frombuffer(text.encode(), np.uint8), np.frombuffer(model, np.uint8)
    )
    net.enableFusion(False)
    names = [name for name, _, _ in _LAYERS]
    known = set(net.getLayerNames())
    asked = [f"{name}_relu" if f"{name}_relu" in known else name for name in names]

    def outputs(images):
        net.setInput(np.ascontiguousarray(images))
        found = [np.array(output) for output in net.forward(asked)]
        return {
            name: np.moveaxis(output, 1, -1) if output.ndim == 4 else output
            for name, output in zip(names, found, strict=True)
        }

    return outputs
