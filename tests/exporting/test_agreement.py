"""Comparing exported models with Keras, and judging what is found."""

import types

import keras
import numpy as np
import pytest

import keras_alexnet as ka
from keras_alexnet import ExportConfig
from keras_alexnet.exporting import agreement
from keras_alexnet.exporting.comparison_images import DRAWN, drawn_images
from keras_alexnet.exporting.formats import Output


@pytest.fixture(scope="module")
def network():
    image = keras.Input([4, 4, 3])
    model = keras.Model(image, keras.layers.Dense(3)(keras.layers.Flatten()(image)))
    return types.SimpleNamespace(model=model, input_shape=(4, 4, 3))


def _batches(sizes=(5, 3), labeled=True):
    random = np.random.default_rng(0)
    for size in sizes:
        images = random.integers(0, 256, (size, 4, 4, 3)).astype(np.uint8)
        yield images, random.integers(0, 3, size).astype(np.int32) if labeled else None


def _keras(network):
    return lambda images: network.model(images.astype("float32")).numpy()


def test_differences_are_those_of_the_worst_logit_of_any_batch(network):
    exact = _keras(network)

    def off_in_the_last_batch(images):
        logits = exact(images)
        logits[-1, 1] += 0.5 * (len(images) == 3)
        return logits

    advanced = []
    programs = {"exact": exact, "off": off_in_the_last_batch}
    found = agreement.compare(network, programs, _batches(), advanced.append)
    assert advanced == [5, 3]
    largest = max(np.abs(exact(images)).max() for images, _ in _batches())
    assert found["exact"].largest_difference <= 1e-4 * largest
    assert found["off"].images == 8
    assert found["off"].largest_difference == pytest.approx(0.5, rel=1e-3)
    assert found["off"].relative_difference == pytest.approx(0.5 / largest, rel=1e-3)


def test_accuracies_and_same_top1_are_counted(network):
    exact = _keras(network)
    images, labels = (np.concatenate(parts) for parts in zip(*_batches(), strict=True))
    truth = np.argmax(exact(images), axis=1)

    def turned(images):
        return np.roll(exact(images), 1, axis=1)

    found = agreement.compare(network, {"turned": turned}, _batches())
    assert found["keras"].top1 == pytest.approx(np.mean(truth == labels))
    assert found["turned"].top1 == pytest.approx(np.mean((truth + 1) % 3 == labels))
    assert found["keras"].top1_agreement == 1 and found["turned"].top1_agreement == 0
    assert found["keras"].top5 == 1
    unlabeled = agreement.compare(network, {}, _batches(labeled=False))["keras"]
    assert unlabeled.top1 is None and unlabeled.top5 is None


def test_nan_is_the_largest_difference_and_fails(network):
    found = agreement.compare(
        network, {"broken": lambda images: np.full([len(images), 3], np.nan)}, _batches()
    )
    assert found["broken"].largest_difference == np.inf and found["broken"].top1 == 0
    [line] = agreement.disagreements([Output("broken")], found, trained=False)
    assert "broken differs from the Keras model by inf" in line


def test_weights_that_are_not_finite_are_named():
    image = keras.Input([4, 4, 3])
    dense = keras.layers.Dense(3, bias_initializer=keras.initializers.Constant(np.inf))
    model = keras.Model(image, dense(keras.layers.Flatten()(image)))
    broken = types.SimpleNamespace(model=model, input_shape=(4, 4, 3))
    with pytest.raises(ka.UserError, match="outputs are not finite"):
        agreement.compare(broken, {}, _batches())


def _agreement(**changed):
    values = dict(images=1000, largest_difference=0.0, relative_difference=0.0, top1_agreement=1.0)
    return agreement.Agreement(**{**values, **changed}, top1=None, top5=None)


@pytest.mark.parametrize("relative, fails", [(0.9e-4, False), (1.1e-4, True), (float("nan"), True)])
def test_exact_outputs_are_held_to_1e_4(relative, fails):
    found = {"some": _agreement(relative_difference=relative)}
    assert bool(agreement.disagreements([Output("some")], found, trained=False)) == fails
    # Other number types are reported, and not judged by their logits.
    assert not agreement.disagreements([Output("some", exact=False)], found, trained=True)


@pytest.mark.parametrize(
    "images, share, trained, fails",
    [
        (1000, 0.979, True, True),
        (1000, 0.981, True, False),
        (999, 0.5, True, False),
        (1000, 0.5, False, False),
    ],
)
def test_rough_outputs_of_a_trained_run_are_held_to_their_least_agreement(
    images, share, trained, fails
):
    output = Output("tflite int8", exact=False, least_agreement=0.98)
    found = {"tflite int8": _agreement(images=images, top1_agreement=share)}
    assert bool(agreement.disagreements([output], found, trained=trained)) == fails


def test_int8_is_held_to_98_percent():
    config = ExportConfig(model="a", out="b", formats=["tflite"], quantization=["float32", "int8"])
    exact, rough = config.outputs
    assert (exact.name, exact.exact, exact.least_agreement) == ("tflite float32", True, None)
    assert (rough.exact, rough.calibrated, rough.least_agreement) == (False, True, 0.98)


def test_drawn_images_are_the_same_each_time_and_use_the_range(network):
    images = drawn_images(network)
    assert images.shape == (DRAWN, 4, 4, 3) and images.dtype == np.uint8
    np.testing.assert_array_equal(images, drawn_images(network))
    assert images.min() < 40 and images.max() > 215 and 90 < images.mean() < 165
