"""bvlc_alexnet.npy: Caffe's weights for TensorFlow, a pickle that is read without running it."""

import io
import os

import numpy as np
import pytest
import tensorflow as tf

import keras_alexnet
from keras_alexnet import UserError, convert, weights
from keras_alexnet.networks import variants
from keras_alexnet.weights import references
from keras_alexnet.weights.source import read_source
from support import caffe_networks, torch_files
from support.cifar_copies import python2_pickle
from support.fixed_weights import relative_error
from support.networks import registered
from support.photographs import photographs

CLASSES = 7
GROUPS = {"conv2": 2, "conv4": 2, "conv5": 2}


@pytest.fixture(scope="module")
def small():
    """The name of Caffe's network with few filters and units."""
    spec = caffe_networks.small_row()
    with registered(spec):
        yield spec.name


def tensorflows(tensors):
    """Arrays of Caffe as caffe-tensorflow turns them: `kaffe/transformers.py`, DataReshaper."""
    turned = {}
    for name, (kernel, bias) in tensors.items():
        if kernel.ndim == 4:
            kernel = kernel.transpose(2, 3, 1, 0)
        elif name == "fc6":
            filters = kernel.reshape(len(kernel), -1, 6, 6).transpose(2, 3, 1, 0)
            kernel = filters.reshape(kernel.shape[::-1])
        else:
            kernel = kernel.transpose(1, 0)
        turned[name] = [kernel, bias]
    return turned


@pytest.fixture(scope="module")
def caffes():
    return caffe_networks.weights(small=True, classes=CLASSES)


@pytest.fixture(scope="module")
def layers(caffes):
    return tensorflows(caffes)


def npy(layers):
    """What numpy.save writes of a dictionary under Python 3."""
    buffer = io.BytesIO()
    np.save(buffer, layers)
    return buffer.getvalue()


def header():
    return npy({}).partition(b"\n")[0] + b"\n"


def by_python2(layers):
    """What it wrote under Python 2: texts and numbers are strings, arrays are by columns."""
    named = {name.encode(): value for name, value in layers.items()}
    array = np.empty((), object)
    array[()] = named
    return header() + python2_pickle(array)


def by_early_python3(layers):
    """Under Python 3, in a protocol of Python 2: bytes are texts that are encoded."""
    array = np.empty((), object)
    array[()] = layers
    return header() + torch_files.pickled(array, protocol=2)


FORMS = {
    "Python 3": npy,
    "Python 2": by_python2,
    "protocol 2": by_early_python3,
    "dictionaries": lambda layers: npy(
        {name: {"biases": bias, "weights": kernel} for name, (kernel, bias) in layers.items()}
    ),
    "float64": lambda layers: npy(
        {name: [each.astype(">f8") for each in arrays] for name, arrays in layers.items()}
    ),
}


def by_kratzert(layers, pixels, mean):
    """The network of kratzert's alexnet.py: RGB pixels in, logits out."""

    def convolved(values, name, stride, padding):
        kernel, bias = layers[name]
        groups = GROUPS.get(name, 1)
        parts = zip(tf.split(values, groups, 3), tf.split(kernel, groups, 3), strict=True)
        return tf.nn.relu(tf.concat([tf.nn.conv2d(*p, stride, padding) for p in parts], 3) + bias)

    def pooled(values):
        return tf.nn.max_pool2d(values, 3, 2, "VALID")

    def normalized(values):
        return tf.nn.local_response_normalization(values, 2, 1.0, 2e-05, 0.75)

    values = np.float32(pixels - np.float32(mean))[..., ::-1]
    values = pooled(normalized(convolved(values, "conv1", 4, "VALID")))
    values = pooled(normalized(convolved(values, "conv2", 1, "SAME")))
    for name in ("conv3", "conv4", "conv5"):
        values = convolved(values, name, 1, "SAME")
    values = tf.reshape(pooled(values), [len(pixels), -1])
    for name in ("fc6", "fc7"):
        values = tf.nn.relu(values @ layers[name][0] + layers[name][1])
    return (values @ layers["fc8"][0] + layers["fc8"][1]).numpy()


@pytest.fixture(scope="module")
def from_caffe(small, caffes, tmp_path_factory):
    """The network with the weights of the `.caffemodel`, of which OpenCV says that it is right."""
    file = tmp_path_factory.mktemp("caffe") / "net.caffemodel"
    file.write_bytes(caffe_networks.caffemodel(caffes))
    return keras_alexnet.build(small, weights=file)


@pytest.mark.parametrize("form", FORMS)
def test_the_weights_are_those_of_caffes_file(form, small, layers, from_caffe, tmp_path):
    file = tmp_path / "bvlc_alexnet.npy"
    file.write_bytes(FORMS[form](layers))
    model = keras_alexnet.build(small, weights=file)
    for got, wanted in zip(model.get_weights(), from_caffe.get_weights(), strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_the_logits_are_those_of_kratzerts_network(small, layers, tmp_path, monkeypatch):
    monkeypatch.setitem(convert.SOURCES, "kratzert", ("tensorflow", small))
    file = tmp_path / "bvlc_alexnet.npy"
    file.write_bytes(npy(layers))
    loaded, _ = convert.convert(file, tmp_path / "net.keras", source="kratzert")
    assert loaded.kind == "tensorflow" and loaded.layers[-1] == "logits"
    spec, pixels = variants.get(small), photographs(2, 227)
    wanted = by_kratzert(layers, pixels, spec.standardization.mean)
    model = keras_alexnet.build(small, weights=tmp_path / "net.keras")
    assert relative_error(wanted, model(pixels).numpy()) < 1e-5
    # What convert --check compares with.
    assert references.installed_framework("tensorflow") == "TensorFlow"
    found = references.reference_logits(read_source(file, spec), spec, pixels)
    assert relative_error(wanted, found) < 1e-5


def test_a_network_of_rgb_gets_the_first_kernel_turned(small, layers, from_caffe, tmp_path):
    file = tmp_path / "net.npy"
    file.write_bytes(npy(layers))
    np.save(tmp_path / "mean.npy", np.float32([100, 110, 120]))
    spec = caffe_networks.in_order(variants.get(small), False)
    with registered(spec):
        model = keras_alexnet.build(spec.name, num_classes=CLASSES)
        loaded = weights.load(model, file, mean=tmp_path / "mean.npy")
    assert loaded.pixel_mean == (120, 110, 100)
    turned = from_caffe.get_layer("conv1").kernel.numpy()[:, :, ::-1]
    np.testing.assert_array_equal(model.get_layer("conv1").kernel, turned)


ODD = {
    "numbers": (lambda layers: npy(np.ones(3)), "an array of float64, without names of layers"),
    "many objects": (lambda layers: npy(np.array([{}, {}])), "without names of layers"),
    "a list": (lambda layers: npy(np.array([1, None], object)), "without names of layers"),
    "no dictionary": (lambda layers: npy(np.array(None)), "not a dictionary of layers"),
    "nothing": (lambda layers: npy({}), "not a dictionary of layers"),
    "no arrays": (lambda layers: npy({"conv1": 3}), "the layer conv1 has no weights"),
    "texts": (lambda layers: npy({"conv1": [np.array(["a"])]}), "not an array of numbers"),
    "objects": (lambda layers: npy({"conv1": [np.array([{}, 1])]}), "not an array of numbers"),
    "one array for all": (
        lambda layers: npy(dict.fromkeys(map(str, range(99)), [np.ones(999)] * 2)),
        "its layers share their numbers",
    ),
    "cut off": (lambda layers: npy(layers)[:-9], "cannot be read as weights in the form of bvlc"),
    "other bytes": (lambda layers: b"not numpy's", "the magic string is not correct"),
    "a header longer than the file": (
        lambda layers: b"\x93NUMPY\x02\x00" + b"\xff" * 4,
        "cannot be read as weights",
    ),
    "code": (
        lambda layers: (
            header() + torch_files.pickled(torch_files.Call("posix.system", "touch ran"))
        ),
        "calls posix.system: it would run code",
    ),
    "a forged array": (
        lambda layers: header() + b"cnumpy\nndarray\n(I1\ntR.",
        "in a way that numpy does not",
    ),
    "code of numpy": (
        lambda layers: header() + b"cnumpy.f2py\ncompile\n)R.",
        "calls numpy.f2py.compile: it would run code",
    ),
    "no fc8": (
        lambda layers: npy({name: value for name, value in layers.items() if name != "fc8"}),
        "missing: logits weights, logits biases",
    ),
    "an inner product too large": (
        lambda layers: npy({**layers, "fc6": layers["fc7"]}),
        r"misshapen: fc6 weights \(12x12\) for 288x12",
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_not_such_a_file_is_refused(name, small, layers, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make, message = ODD[name]
    (tmp_path / "net.npy").write_bytes(make(layers))
    with pytest.raises(UserError, match=message):
        keras_alexnet.build(small, num_classes=CLASSES, weights="net.npy")
    assert os.listdir(tmp_path) == ["net.npy"]
