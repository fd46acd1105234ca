"""Weights in fewer bits: how far each may be from what it was, and how much room it takes."""

import numpy as np
import pytest

from keras_alexnet import UsageError
from keras_alexnet.weights import quantized

# Kernel's shape → the axes of the window of one output.
KERNELS = {
    (3, 3, 4, 8): (0, 1, 2),  # convolution
    (12, 5): (0,),  # dense
    (2, 3, 3, 3, 4, 8): (2, 3, 4),  # locally connected: outputs at each of 2 x 3 positions
}


def _tensors(shape):
    random = np.random.default_rng(0)
    outputs = np.logspace(-3, 1, shape[-1])  # of different sizes
    kernel = (random.normal(size=shape) * outputs).astype(np.float32)
    kernel[..., 1] = 0
    return {"a/kernel": kernel, "a/bias": random.normal(size=shape[-1]).astype(np.float32)}


@pytest.mark.parametrize("shape", KERNELS, ids=str)
def test_int8_is_within_half_a_step_of_its_own_output(shape):
    tensors = _tensors(shape)
    stored = quantized.pack(tensors, "int8")
    found = quantized.unpack(stored)
    kernel, scale = tensors["a/kernel"], stored["a/kernel_scale"]
    largest = np.abs(kernel).max(axis=KERNELS[shape], keepdims=True)
    assert stored["a/kernel"].dtype == np.int8 and scale.shape == largest.shape
    assert np.all(np.abs(found["a/kernel"] - kernel) <= largest / 127 * 0.5001)
    assert np.abs(found["a/kernel"]).max() == pytest.approx(np.abs(kernel).max(), rel=1e-6)
    assert not found["a/kernel"][..., 1].any()
    assert found.keys() == tensors.keys()
    np.testing.assert_array_equal(found["a/bias"], tensors["a/bias"])


@pytest.mark.parametrize("shape", KERNELS, ids=str)
def test_float16_is_within_its_rounding(shape):
    tensors = _tensors(shape)
    stored = quantized.pack(tensors, "float16")
    assert stored["a/kernel"].dtype == np.float16 and stored.keys() == tensors.keys()
    found = quantized.unpack(stored)
    assert found["a/kernel"].dtype == np.float32
    kernel = tensors["a/kernel"]
    assert np.all(np.abs(found["a/kernel"] - kernel) <= np.abs(kernel) * 2**-11 + 2**-25)
    np.testing.assert_array_equal(found["a/bias"], tensors["a/bias"])


def test_an_unknown_form_is_named():
    with pytest.raises(UsageError, match="Unknown form 'int4'.*Known: int8, float16"):
        quantized.pack({}, "int4")
