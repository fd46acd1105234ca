"""Copies of networks under another dtype policy."""

import keras
import numpy as np
import pytest

import keras_alexnet as ka
from keras_alexnet.distributed.precision import precision
from keras_alexnet.networks.policies import in_policy


@pytest.mark.parametrize(
    ("variant", "size"), [("cifar_v2", 32), ("cuda_convnet_11pct", 32), ("alexnet_two_tower", 67)]
)
def test_weights_rounded_once_give_what_a_mixed_policy_gives(variant, size):
    options = {"seed": 1, "num_classes": 3, "input_shape": (size, size, 3)}
    model = ka.build(variant, **options)
    before = [np.array(weight) for weight in model.weights]
    cast = in_policy(model, "bfloat16")
    with precision("mixed_bfloat16"):
        mixed = ka.build(variant, **options)
    pixels = np.random.default_rng(0).integers(0, 256, [2, size, size, 3]).astype(np.float32)
    found, wanted = (np.array(each(pixels, training=False)) for each in (cast, mixed))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, wanted)
    logits = cast.get_layer("logits")
    assert (logits.compute_dtype, logits.kernel.dtype) == ("float32", "float32")
    assert {layer.kernel.dtype for layer in cast.layers if hasattr(layer, "kernel")} == {
        *("bfloat16", "float32")
    }
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)
    assert keras.config.dtype_policy().name == "float32"
