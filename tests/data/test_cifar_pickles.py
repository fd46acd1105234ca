"""Pickles of any bytes are read or refused: nothing in them is called, and no memory is claimed."""

import io
import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keras_alexnet.data import cifar_pickles
from keras_alexnet.data.readers import cifar
from keras_alexnet.utils.pickled_arrays import Array, Dtype
from support.cifar_copies import python2_pickle

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 6), np.uint8)
BATCH = {b"data": IMAGES, b"labels": [3, 0, 70000, -1], b"batch_label": b"training batch 1 of 5"}

PROTOCOLS = (3, 4)  # that give arrays and bytes as official files do; so does Python 2


def texts(value, protocol):
    """A pickle of texts and numbers, as Python 3 writes it in protocols without bytes."""
    return pickle.dumps({"label_names": ["cat", "dög", value]}, protocol)


WHOLE = [
    python2_pickle(BATCH),
    *(pickle.dumps(BATCH, protocol) for protocol in PROTOCOLS),
    *(texts(1.5, protocol) for protocol in range(6)),
]

# Pieces that mean something: operations, references to the memo, sizes that are too large.
PIECES = [
    *(b"(", b")", b"\x85", b"\x86", b"\x87", b"t", b"l", b"d", b"]", b"}", b"a", b"e", b"s", b"u"),
    *(b"R", b"b", b"0", b"1", b"2", b"N", b"\x88", b"\x94", b"\x93", b".", b"\x81", b"o", b"Q"),
    *(b"q\x01", b"h\x01", b"h\x02", b"j\x05\0\0\0", b"r\xff\xff\xff\x7f", b"p9\n", b"g9\n"),
    *(b"K\x01", b"K\0", b"J\xff\xff\xff\xff", b"\x8a\x01\x7f", b"\x8b\xff\xff\xff\x7f" + b"x" * 9),
    *(b"I99999999999\n", b"L" + b"9" * 5000 + b"L\n", b"F1e999\n", b"S'\\xff'\n", b"V\\u0000\n"),
    *(b"\x8e" + b"\xff" * 7 + b"\x7f", b"\x95" + b"\xff" * 7 + b"\x7f", b"\x96" + b"\xff" * 8),
    *(b"cnumpy\ndtype\n", b"cnumpy\nndarray\n", b"cnumpy.core.multiarray\n_reconstruct\n"),
    *(b"cos\nsystem\n", b"cnumpy\nfrombuffer\n", b"ccopy_reg\n_reconstructor\n", b"U\x02u1"),
]


@st.composite
def mutated(draw):
    contents = draw(st.sampled_from(WHOLE))
    for _ in range(draw(st.integers(1, 6))):
        place, length = draw(st.integers(0, len(contents))), draw(st.integers(0, 8))
        new = draw(st.one_of(st.binary(max_size=6), st.sampled_from(PIECES)))
        contents = contents[:place] + new * draw(st.integers(1, 3)) + contents[place + length :]
    return contents


def read(contents):
    """What the reader does with a batch and with names."""
    loaded = cifar_pickles.load(contents)
    for value in loaded.values():
        try:
            images = cifar_pickles.pixels(value)
        except ValueError:
            continue
        assert images.dtype == np.uint8 and images.ndim == 2 and images.size <= len(contents)
    return loaded


@pytest.mark.parametrize("contents", WHOLE[:3])
def test_whole_batches(contents):
    loaded = cifar_pickles.load(contents)
    assert np.array_equal(cifar_pickles.pixels(loaded.pop(b"data")), IMAGES)
    assert loaded == {name: value for name, value in BATCH.items() if name != b"data"}


@pytest.mark.parametrize("contents", WHOLE[3:])
def test_names_of_every_protocol(contents):
    assert cifar_pickles.load(contents) == {"label_names": ["cat", "dög", 1.5]}


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.one_of(mutated(), st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join)))
@example(b"(" * 1000 + b"d" * 1000 + b".")
@example(b"]\x94" + b"h\x00a" * 1000 + b".")  # a list that holds itself
def test_any_bytes(contents):
    tracemalloc.start()
    try:
        read(contents)
    except cifar._DAMAGE:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 2_000_000 + 400 * len(contents)


@pytest.mark.parametrize("end", [b"Ns.", b"\x93."])
def test_tuples_in_tuples_are_no_keys(end):
    """Their hash exhausts the stack of C: Python's own unpickler is killed by them."""
    with pytest.raises(pickle.UnpicklingError):
        cifar_pickles.load(b"}" + b")" + b"\x85" * 400_000 + end)


def reduced(*arguments, state=(), call="ndarray"):
    """A pickle whose images are made by calling a name in numpy."""

    class Pickler(pickle._Pickler):
        def save_reduced(self, _):
            self.write(f"cnumpy\n{call}\n".encode())
            self.save(arguments)
            self.write(b"R")
            if state:
                self.save(state)
                self.write(b"b")

        dispatch = {**pickle._Pickler.dispatch, object: save_reduced}

    buffer = io.BytesIO()
    Pickler(buffer, 3).dump({b"data": object(), b"labels": []})
    return buffer.getvalue()


@pytest.mark.parametrize(
    "contents",
    [
        reduced((1,), "O", b"\x41" * 8),  # a pointer to an object, forged
        reduced((1,), "O", b"\x41" * 8, 0, None),
        reduced((10**12,), "u1"),
        reduced(),
        reduced("u1", 0, 1, 2, call="dtype"),
        reduced(["u1"], 0, 1, call="dtype"),
        reduced("u1", call="dtype"),
        reduced("u1", 0, 1, call="_reconstruct"),
        reduced("u1", 0, 1, call="frombuffer"),
        reduced("u1", 0, 1, call="load"),
    ],
)
def test_arrays_are_made_in_one_way_only(contents):
    with pytest.raises(pickle.UnpicklingError, match="does not|in a way that numpy"):
        cifar_pickles.load(contents)


@pytest.mark.parametrize("dtype", ["O", "S1", "U1", "f8", "i8", "i1", "V1", "M8[s]"])
def test_arrays_of_other_types(dtype):
    images = np.zeros((2, 3), dtype) if dtype != "O" else np.array([[{}, 1], [2, 3]], object)
    contents = pickle.dumps({b"data": images}, 3)
    with pytest.raises((pickle.UnpicklingError, ValueError)):
        cifar_pickles.pixels(cifar_pickles.load(contents)[b"data"])


@pytest.mark.parametrize(
    "state",
    [
        (1, (2, 3), None, False, b"123456"),
        (1, (2, 3, 1), "u1", False, b"123456"),
        (1, (-1, 3), "u1", False, b"123456"),
        (1, (2, 10**12), "u1", False, b"123456"),
        (1, (2, 3), "u1", False, ["1", "2"]),
        (1, (2, 3), "u1", False),
        ((((),),),),
    ],
)
def test_states_that_no_array_of_images_has(state):
    state = tuple(Dtype("u1") if part == "u1" else part for part in state)
    with pytest.raises(ValueError):
        cifar_pickles.pixels(Array(state))
