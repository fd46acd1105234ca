"""Weights files of any bytes end in a UserError, and take no more memory than their size allows."""

import dataclasses
import io
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import keras_alexnet
from keras_alexnet import UserError, weights
from keras_alexnet.networks import variants
from keras_alexnet.networks.spec import ClassifierSpec, ConvolutionSpec, FlattenSpec, MaxPoolSpec
from keras_alexnet.weights import caffe_file, caffe_tensorflow, pytorch
from support import caffe_files, torch_files
from support.networks import registered

BYTES_FOR_EACH = 100  # of memory for a byte of the file; a layer of three bytes is some objects
BYTES_IN_ALL = 2_000_000

checked = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def model():
    """A network with the layers of Caffe's, each kind once."""
    full = variants.get("alexnet_caffe")
    spec = dataclasses.replace(
        full,
        name="caffe_tiny",
        num_classes=2,
        features=(
            ConvolutionSpec("conv1", 2, kernel=3),
            full.features[1],
            MaxPoolSpec("pool1", size=2, stride=2),
        ),
        head=(FlattenSpec("flatten"), ClassifierSpec("logits")),
    )
    with registered(spec):
        yield keras_alexnet.build("caffe_tiny", input_shape=(8, 8, 3))


def caffemodel(lrn=(5, 1e-4, 0.75, 1.0), **options):
    """The network of `model`, as Caffe writes it."""
    arrays = {"conv1": [(2, 3, 3, 3), (2,)], "fc8": [(2, 18), (2,)]}
    kinds = {"conv1": "Convolution", "lrn1": "LRN", "pool1": "Pooling", "fc8": "InnerProduct"}
    layers = [
        caffe_files.layer(
            name,
            kind,
            [np.full(shape, 0.5, np.float32) for shape in arrays.get(name, ())],
            lrn=lrn if kind == "LRN" else None,
            **options,
        )
        for name, kind in kinds.items()
    ]
    return caffe_files.net(layers, old=options.get("old", False))


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def safetensors():
    from safetensors.numpy import save

    return save({"conv1.0.weight": np.ones([2, 3, 3, 3], np.float32), "b": np.ones(3, np.float16)})


def npy_header(text):
    header = text.encode("latin1")
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


@st.composite
def damaged(draw, contents):
    """Bytes of a file with some replaced, cut out, repeated or put in."""
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(contents)))
        length = draw(st.integers(0, 12))
        new = draw(st.one_of(st.binary(max_size=12), st.just(contents[place : place + 40])))
        contents = contents[:place] + new + contents[place + length :]
    return contents[: draw(st.integers(0, len(contents)))] if draw(st.booleans()) else contents


def assert_only_user_errors(read, path, contents):
    path.write_bytes(contents)
    tracemalloc.start()
    try:
        return read(path)
    except UserError as error:
        assert path.name in str(error)
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < BYTES_IN_ALL + BYTES_FOR_EACH * len(contents)
    return None


class TestCaffe:
    def test_the_files_to_damage_are_whole(self, model, tmp_path):
        for number, options in enumerate(({}, {"old": True}, {"double": True}, {"packed": False})):
            path = tmp_path / f"{number}.caffemodel"
            path.write_bytes(caffemodel(**options))
            assert weights.load(model, path).layers == ("conv1", "logits")

    @checked
    @given(st.one_of(st.binary(max_size=200), damaged(caffemodel()), damaged(caffemodel(old=True))))
    @example(caffemodel(lrn=(0, 1e-4, 0.75, 1.0)))
    def test_weights(self, model, tmp_path, contents):
        assert_only_user_errors(
            lambda path: weights.load(model, path), tmp_path / "net.caffemodel", contents
        )

    @checked
    @given(
        names=st.lists(st.one_of(st.just(b"conv1"), st.binary(max_size=9)), max_size=4),
        kinds=st.lists(st.one_of(st.just(b"LRN"), st.binary(max_size=9)), min_size=4, max_size=4),
        shape=st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 4), max_size=70),
        numbers=st.lists(st.floats(width=64), max_size=9),
        size=st.integers(0, 2**32 - 1) | st.just(0),
        constants=st.tuples(*[st.floats(width=32)] * 3),
    )
    @example([b"conv1"], [b"LRN"] * 4, [1] * 70, [1.0], 5, (1.0, 1.0, 1.0))
    @example([b"lrn1", b"\xff"], [b"LRN", b"\xfe"] * 2, [1], [1e300], 0, (1.0, 1.0, 1.0))
    def test_messages_of_any_contents(
        self, model, tmp_path, names, kinds, shape, numbers, size, constants
    ):
        net = caffe_file.message_class("Net")()
        for name, kind in zip(names, kinds, strict=False):
            layer = net.layer.add(name=name, type=kind)
            blob = layer.blobs.add()
            blob.shape.dim.extend(shape)
            blob.double_data.extend(numbers)
            layer.lrn.local_size = size
            layer.lrn.alpha, layer.lrn.beta, layer.lrn.k = constants
        assert_only_user_errors(
            lambda path: weights.load(model, path),
            tmp_path / "net.caffemodel",
            net.SerializeToString(),
        )

    @checked
    @given(
        st.one_of(
            st.binary(max_size=100),
            damaged(caffe_files.blob(np.full([1, 3, 2, 2], 100.0), old=True)),
            damaged(caffe_files.blob(np.full([3], 100.0), double=True)),
        )
    )
    def test_means_in_binaryproto(self, tmp_path, contents):
        mean = assert_only_user_errors(
            caffe_file.read_mean, tmp_path / "mean.binaryproto", contents
        )
        assert mean is None or (mean.dtype == np.float32 and len(mean) == 3)

    @checked
    @given(
        st.one_of(
            st.binary(max_size=100),
            damaged(npy(np.full([3, 2, 2], 100.0))),
            damaged(npy(np.full([3], 100, np.uint8))),
            st.builds(
                "{{'descr': {!r}, 'fortran_order': {!r}, 'shape': {!r}}}\n".format,
                st.sampled_from(["<f4", "|u1", "<f8", "|O", "<U3", "[('a', '<f4')]", "<f3", 3]),
                st.booleans() | st.none(),
                st.lists(st.integers(-3, 2**70), max_size=4).map(tuple) | st.just("3"),
            ).map(npy_header),
        )
    )
    @example(npy_header("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 0, 5)}\n"))
    @example(npy_header("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 99999, 999)}\n"))
    @example(npy_header("(" * 9000 + "\n"))
    @example(b"PK\x03\x04 a zip file")
    @example(b"\x93NUMPY\x02\x00" + b"\xff" * 4)  # a header longer than the file
    def test_means_in_npy(self, tmp_path, contents):
        mean = assert_only_user_errors(caffe_file.read_mean, tmp_path / "mean.npy", contents)
        assert mean is None or (mean.dtype == np.float32 and len(mean) == 3)


STATE = {"epoch": 3, "state_dict": {"w": torch_files.tensor(), "b": torch_files.tensor(size=(3,))}}
OLDER = torch_files.older(STATE, torch_files.STORED)

# Operations of pickles that mean something, in any order.
OPERATIONS = [
    *(b"(", b")", b"\x85", b"\x86", b"t", b"l", b"]", b"}", b"a", b"e", b"s", b"u", b"R", b"b"),
    *(b"N", b"\x88", b"\x94", b"\x93", b".", b"\x81", b"o", b"Q", b"0", b"1", b"2", b"X\1\0\0\0w"),
    *(b"q\x01", b"h\x01", b"r\xff\xff\xff\x7f", b"K\x03", b"J\xff\xff\xff\xff", b"\x8a\x01\x7f"),
    *(b"ccollections\nOrderedDict\n", b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch\nSize\n"),
    *(b"ctorch._utils\n_rebuild_parameter\n", b"ctorch\nFloatStorage\n", b"cos\nsystem\n"),
    *(b"ctorch._tensor\n_rebuild_from_type_v2\n", b"cnumpy\ndtype\n", b"c_codecs\nencode\n"),
    b"X\x07\0\0\0storage" + b"ctorch\nFloatStorage\n" + b"X\1\0\0\0\x30NK\x06t",
]


@st.composite
def operations(draw, contents):
    """A pickle with some of its operations replaced, or of nothing but such."""
    if draw(st.booleans()):
        return b"".join(draw(st.lists(st.sampled_from(OPERATIONS), max_size=40))) + b"."
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(contents)))
        new = draw(st.sampled_from(OPERATIONS)) * draw(st.integers(1, 3))
        contents = contents[:place] + new + contents[place + draw(st.integers(0, 8)) :]
    return contents


# A list, of which few bytes each could make a dictionary again and again.
REPEATED = (
    b"}(K\0]q\1(" + b"".join(b"(K%cNt" % (number % 256) for number in range(999)) + b"e"
    b"K\1ccollections\nOrderedDict\nq\2K\3h\1\x85q\3"
    + b"".join(b"J%bh\2h\3R" % n.to_bytes(4, "little") for n in range(999))
    + b"u"
)


LAYERS = np.array({"conv1": [np.ones([3, 3, 3, 2], np.float32), np.ones(2)]})
PICKLED_HEADER = npy(LAYERS).partition(b"\n")[0] + b"\n"

# A text, of which few bytes each could make bytes, and arrays of them, again and again.
ENCODED = (
    b"}(K\0X\0\x10\0\0" + b"x" * 4096 + b"q\1K\1X\x06\0\0\0latin1q\2K\2c_codecs\nencode\nq\3"
    b"K\4h\1h\2\x86q\4" + b"".join(b"J%bh\3h\4R" % n.to_bytes(4, "little") for n in range(2999))
)


class TestCaffeTensorflow:
    @checked
    @given(
        st.one_of(
            damaged(npy(LAYERS)),
            damaged(PICKLED_HEADER + torch_files.pickled(LAYERS)),
            operations(torch_files.pickled(LAYERS)).map(lambda contents: PICKLED_HEADER + contents),
        )
    )
    @example(PICKLED_HEADER + ENCODED + b"u.")
    @example(b"\x93NUMPY\x02\x00" + b"\xff" * 4)  # a header longer than the file
    @example(npy_header("{'descr': '|O', 'fortran_order': False, 'shape': (99999,)}\n"))
    def test_arrays_of_layers(self, tmp_path, contents):
        found = assert_only_user_errors(caffe_tensorflow.read, tmp_path / "net.npy", contents)
        assert found is None or {array.dtype for array in found.values()} <= {np.dtype("float32")}


class TestPyTorch:
    @checked
    @given(
        st.one_of(
            st.binary(max_size=100),
            damaged(torch_files.zipped(STATE, torch_files.STORED)),
            damaged(torch_files.zipped(STATE, torch_files.STORED, packing=8)),
            damaged(OLDER),
            operations(torch_files.pickled(STATE)).map(
                lambda contents: torch_files.archived(
                    {"net/data.pkl": contents, "net/data/0": torch_files.STORED["0"]}
                )
            ),
            operations(OLDER),
        )
    )
    @example(b"]\x94" + b"h\x00a" * 1000 + b".")
    @example(torch_files.older(torch_files.Raw(b"}" + b")" + b"\x85" * 20_000 + b"Ns"), {}))
    @example(torch_files.older(torch_files.Raw(REPEATED), {}))
    @example(torch_files.older(torch_files.Raw(b"X\xff\xff\xff\x7f"), {}))
    def test_pickles(self, tmp_path, contents):
        found = assert_only_user_errors(pytorch.read_tensors, tmp_path / "net.pth", contents)
        assert found is None or {array.dtype for array in found.values()} <= {np.dtype("float32")}

    @checked
    @given(st.one_of(st.binary(max_size=100), damaged(safetensors())))
    @example(safetensors().replace(b'"F32"', b'"I64"'))
    @example(safetensors().replace(b'"F16"', b'"F8_E4M3"'))
    @example((2**62).to_bytes(8, "little") + b"{}")
    def test_safetensors(self, tmp_path, contents):
        found = assert_only_user_errors(
            pytorch.read_tensors, tmp_path / "net.safetensors", contents
        )
        assert found is None or {array.dtype for array in found.values()} <= {np.dtype("float32")}

    @checked
    @given(names=st.lists(st.text(min_size=1, max_size=12), unique=True, max_size=12))
    @example(["²", "a.1", "1.a", "1" * 5000, "0"])
    def test_names_of_tensors(self, names):
        spec = variants.get("cifar_v2")
        for found in (names, [name + part for name in names for part in pytorch.PARTS]):
            known = pytorch.tensor_names(spec, pytorch.without_wrapper(found).values())
            assert list(known) == ["conv1", "conv2", "fc3", "fc4", "logits"]
