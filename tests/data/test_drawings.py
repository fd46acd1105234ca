"""The built-in set: the same bytes everywhere, balanced, and beyond a linear model."""

import hashlib

import keras
import numpy as np
import pytest

from keras_alexnet import models
from keras_alexnet.data import drawings, pipeline
from keras_alexnet.data.load import load_dataset


@pytest.fixture(scope="module")
def made():
    return drawings.make()


def test_form(made):
    train_images, train_labels, test_images, test_labels = made
    assert train_images.shape == (10_000, 32, 32, 3) and test_images.shape == (2_000, 32, 32, 3)
    assert train_images.dtype == np.uint8 and train_labels.dtype == np.int32
    assert np.bincount(train_labels).tolist() == [1_000] * 10
    assert np.bincount(test_labels).tolist() == [200] * 10
    assert len(drawings.CLASSES) == len(set(drawings.CLASSES)) == 10
    assert train_images.min() == 0 and train_images.max() == 255
    # Neither ordered by class nor the same image twice.
    assert np.abs(np.bincount(train_labels[:1_000]) - 100).max() < 40
    every = np.concatenate([train_images, test_images]).reshape(12_000, -1)
    assert len({row.tobytes() for row in every}) == 12_000


def test_the_bytes_are_the_published_ones(made):
    digest = hashlib.sha256(b"".join(part.tobytes() for part in made)).hexdigest()
    assert digest == "4248abf2eec5c0b127257c39e1d701d614dd669263b0c32a5889df991900428a"


def test_another_seed_is_another_set(made):
    labels = np.arange(10)
    one, again, other = (
        drawings.draw(labels, np.random.Generator(np.random.PCG64(seed))) for seed in (1, 1, 2)
    )
    assert np.array_equal(one, again) and not np.array_equal(one, other)


def test_the_data_set_is_this_one(made):
    data = load_dataset("shapes")
    assert np.array_equal(data.train.pixels.images, made[0])
    assert np.array_equal(data.test.labels, made[3])
    assert np.array_equal(load_dataset("shapes", seed=1).train.labels, made[1])
    assert data.name == "shapes" and data.class_names == drawings.CLASSES and data.note is None


@pytest.mark.parametrize("label", range(10), ids=drawings.CLASSES)
def test_every_class_has_a_drawing_of_its_own(label):
    frame = np.linspace(-1, 1, 41, dtype=np.float32)
    y, x = np.meshgrid(frame, frame, indexing="ij")
    detail = np.full_like(x, 0.5)
    drawn = drawings.SHAPES[label](x, y, detail)
    assert 0.1 < drawn.mean() < 0.9
    others = [s(x, y, detail) for i, s in enumerate(drawings.SHAPES) if i != label]
    assert min((drawn != other).mean() for other in others) > 0.1


def test_a_linear_model_stays_under_one_half(made):
    train_images, train_labels, test_images, test_labels = made
    pixels, test_pixels = (
        images.reshape(len(images), -1).astype(np.float32) / 255
        for images in (train_images, test_images)
    )
    mean = pixels.mean(axis=0)
    pixels, test_pixels = pixels - mean, test_pixels - mean
    targets = np.eye(10, dtype=np.float32)[train_labels]
    scatter, correlation = pixels.T @ pixels, pixels.T @ targets
    accuracies = []
    for penalty in (10, 100, 1_000):  # the best lies between
        weights = np.linalg.solve(scatter + penalty * np.eye(3_072, dtype=np.float32), correlation)
        accuracies.append(((test_pixels @ weights).argmax(axis=1) == test_labels).mean())
    assert 0.2 < max(accuracies) < 0.47, accuracies


@pytest.mark.slow
def test_cifar_v1_passes_nine_tenths():
    data = load_dataset("shapes")
    model = models.build("cifar_v1", seed=0)
    batch, epochs = 64, 10
    steps = pipeline.steps_per_epoch(data.train, batch)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps * (epochs - 2), warmup_target=5e-4, warmup_steps=steps * 2
    )
    model.compile(
        keras.optimizers.Adam(rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    batches = pipeline.train_batches(data.train, "cifar_v1", global_batch_size=batch, seed=0)
    model.fit(batches, epochs=epochs, steps_per_epoch=steps, verbose=0)
    test = pipeline.eval_batches(data.test, "cifar_v1", batch_size=250)
    assert model.evaluate(test, return_dict=True, verbose=0)["accuracy"] > 0.9
