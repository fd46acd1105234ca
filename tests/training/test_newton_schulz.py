"""Tests for `training/newton_schulz.py`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_alexnet.distributed.precision import precision
from keras_alexnet.training.newton_schulz import make_orthogonal
from keras_alexnet.utils import tensorflow_private


@pytest.mark.parametrize(
    "shape", [(75, 64), (1600, 64), (6, 40), (7, 7), (2, 3, 90, 16), (3, 4, 25), (9, 1)]
)
def test_long_wide_and_stacked_matrices_end_as_those_of_keras(shape):
    rng = np.random.default_rng(0)
    # Singular values that differ by five orders of magnitude, as those of gradients do.
    matrices = rng.normal(size=shape) * 10 ** rng.uniform(-5, 0, [shape[-1]])
    matrices = matrices.astype("float32")
    muon = keras.optimizers.Muon()
    expected = muon.zeropower_via_newtonschulz5(matrices, muon.ns_steps)
    found = make_orthogonal(matrices)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    scaled = make_orthogonal(1000 * matrices, scale=0.25)
    np.testing.assert_allclose(scaled, 0.25 * expected, atol=5e-6)
    largest = np.linalg.svd(found, compute_uv=False).max()
    assert 0.6 < largest < 1.3


def test_a_step_of_zeros_stays_zero():
    assert not np.any(make_orthogonal(np.zeros([12, 5], "float32")))


@pytest.mark.parametrize("shape", [(1600, 64), (24, 90), (3, 90, 16)])
def test_the_graph_rewriter_leaves_it_in_float32(shape):
    if not tensorflow_private.onednn_is_on():
        pytest.skip("needs oneDNN")
    rng = np.random.default_rng(0)
    # Of few directions, as the first steps of a run are: in bfloat16, these became NaN.
    few = rng.normal(size=(*shape[:-1], 2)) @ rng.normal(size=(*shape[:-2], 2, shape[-1]))
    matrices = tf.constant(few, "float32")
    expected = make_orthogonal(matrices)
    with precision("graph_bfloat16"):
        found = tf.function(make_orthogonal)(matrices)
    np.testing.assert_allclose(found, expected, atol=1e-4)
