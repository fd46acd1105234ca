"""Batches: what is in them, in which order, and what happens to a file that cannot be read."""

import dataclasses
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_alexnet as ka
from keras_alexnet.data import (
    augment,
    augmentations,
    batching,
    failures,
    images,
    memory_budget,
    pipeline,
    views,
)
from keras_alexnet.data.image_files import ImageFiles
from keras_alexnet.data.images import ImageArray
from keras_alexnet.data.pipeline import eval_batches, train_batches
from keras_alexnet.data.splits import Split
from keras_alexnet.distributed import devices
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.networks.image_plan import ImagePlan

CIFAR = ImagePlan(square_size=16, crop_size=16, crop_padding=2, input_size=16)
IMAGENET = ImagePlan(square_size=16, crop_size=12, crop_padding=0, input_size=12)
RESIZED = ImagePlan(square_size=16, crop_size=16, crop_padding=2, input_size=27)
PLANS = {"cifar": CIFAR, "imagenet": IMAGENET, "resized": RESIZED}
IMAGES = 22


def pixels(count=IMAGES, size=16, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), np.uint8)


@pytest.fixture
def split():
    """22 images of 16 x 16 in memory; image i has the label i, and stands at row 25 - i."""
    reversed_rows = Split.of(ImageArray(pixels(26)), np.arange(26)).subset(range(25, 3, -1))
    return Split(np.arange(IMAGES, dtype=np.int32), reversed_rows.pixels, reversed_rows.rows)


@pytest.fixture
def squares(split):
    return split.pixels.images[split.rows]


@pytest.fixture
def files(tmp_path):
    """22 PNG files of different sizes; image i has the label i."""
    random = np.random.default_rng(0)
    names = [f"{i:02d}.png" for i in range(IMAGES)]
    for name in names:
        image = random.integers(0, 256, (*random.integers(10, 40, 2), 3), np.uint8)
        (tmp_path / name).write_bytes(tf.io.encode_png(image).numpy())
    return Split.of(ImageFiles(tmp_path, names), np.arange(IMAGES))


@pytest.fixture
def streaming(monkeypatch):
    """No decoded image may be kept."""
    monkeypatch.setattr(memory_budget, "BYTES", 0)


def take(dataset, batches):
    return [(i.numpy(), labels.numpy()) for i, labels in itertools.islice(dataset, batches)]


def equal(one, other):
    return len(one) == len(other) and all(
        np.array_equal(images, other_images) and np.array_equal(labels, other_labels)
        for (images, labels), (other_images, other_labels) in zip(one, other, strict=True)
    )


def plain_train_image(square, plan, flip, offset):
    padding = plan.crop_padding
    padded = np.pad(square, [(padding, padding), (padding, padding), (0, 0)])
    top, left = offset
    crop = padded[top : top + plan.crop_size, left : left + plan.crop_size]
    return crop[:, ::-1] if flip else crop


@pytest.mark.parametrize("plan", [CIFAR, IMAGENET])
def test_training_images_are_those_that_the_draws_ask_for(split, squares, plan):
    batches = take(train_batches(split, plan, global_batch_size=5, seed=3, start_epoch=1), 5)
    order = augment.order_of_epoch(3, 1, IMAGES).numpy()
    crop_and_flip = [augmentations.Crop(), augmentations.Flip()]
    draws = augment.draws_of_epoch(crop_and_flip, 3, 1, IMAGES, plan)
    offsets, flips = (drawn.numpy() for drawn in draws)
    assert np.array_equal(np.concatenate([labels for _, labels in batches]), order)
    seen = np.concatenate([images for images, _ in batches])
    for image, i in zip(seen, order, strict=True):
        expected = plain_train_image(squares[i], plan, flips[i], offsets[i])
        assert np.array_equal(image, expected)
    assert set(offsets.ravel()) == set(range(16 + 2 * plan.crop_padding - plan.crop_size + 1))


def test_enlarged_after_cropping(split):
    small = take(train_batches(split, CIFAR, global_batch_size=22, seed=0), 1)[0][0]
    large = take(train_batches(split, RESIZED, global_batch_size=22, seed=0), 1)[0][0]
    assert large.shape == (22, 27, 27, 3) and large.dtype == np.uint8
    assert np.array_equal(large, views.enlarge(small, 27))


def test_without_flip_and_crop_the_squares_themselves(split, squares):
    dataset = train_batches(split, CIFAR, global_batch_size=22, seed=0, augment=())
    batch, labels = take(dataset, 1)[0]
    assert np.array_equal(batch, squares[labels])


def test_every_image_once_an_epoch_in_another_order_and_another_guise(split):
    batches = take(train_batches(split, CIFAR, global_batch_size=5, seed=0), 15)
    assert [len(labels) for _, labels in batches] == [5, 5, 5, 5, 2] * 3
    assert pipeline.steps_per_epoch(split, 5) == 5
    epochs = [batches[i : i + 5] for i in (0, 5, 10)]
    orders = [np.concatenate([labels for _, labels in epoch]) for epoch in epochs]
    for order in orders:
        assert np.array_equal(np.sort(order), np.arange(IMAGES))
    guises = [
        np.concatenate([images for images, _ in epoch])[np.argsort(order)]
        for epoch, order in zip(epochs, orders, strict=True)
    ]
    for a, b in itertools.combinations(range(3), 2):
        assert not np.array_equal(orders[a], orders[b])
        changed = (guises[a] != guises[b]).any(axis=(1, 2, 3)).mean()
        assert changed > 0.8


def test_drop_remainder(split):
    dataset = train_batches(split, CIFAR, global_batch_size=5, seed=0, drop_remainder=True)
    assert dataset.element_spec[0].shape == (5, 16, 16, 3)
    batches = take(dataset, 8)
    whole = take(train_batches(split, CIFAR, global_batch_size=5, seed=0), 9)
    assert equal(batches, whole[:4] + whole[5:])
    assert pipeline.steps_per_epoch(split, 5, drop_remainder=True) == 4


def test_seeds_differ(split):
    one, other = (
        take(train_batches(split, CIFAR, global_batch_size=22, seed=s), 1) for s in (0, 1)
    )
    assert not np.array_equal(one[0][1], other[0][1])


@pytest.mark.parametrize("source", ["split", "streamed"])
def test_same_seed_same_batches_whatever_the_parallel_calls(source, request, monkeypatch):
    if source == "streamed":
        request.getfixturevalue("streaming")
    split = request.getfixturevalue("split" if source == "split" else "files")
    runs = []
    for calls, threads in ((1, 1), (4, 3), (tf.data.AUTOTUNE, 2)):
        monkeypatch.setattr(tf.data, "AUTOTUNE", calls)
        dataset = train_batches(split, IMAGENET, global_batch_size=4, seed=0)
        options = tf.data.Options()
        options.threading.private_threadpool_size = threads
        runs.append(take(dataset.with_options(options), 12))
    assert equal(runs[0], runs[1]) and equal(runs[0], runs[2])


@pytest.mark.parametrize("source", ["split", "streamed"])
def test_resuming_is_the_same_as_having_iterated(source, request):
    if source == "streamed":
        request.getfixturevalue("streaming")
    split = request.getfixturevalue("split" if source == "split" else "files")
    common = {"global_batch_size": 5, "seed": 0}
    whole = take(train_batches(split, IMAGENET, **common), 14)
    for epoch, step in ((0, 3), (1, 0), (1, 4), (0, 6)):
        resumed = train_batches(split, IMAGENET, **common, start_epoch=epoch, start_step=step)
        assert equal(take(resumed, 4), whole[epoch * 5 + step :][:4]), (epoch, step)


def test_resuming_reads_no_image_before_its_place(files, streaming):
    dataset = train_batches(files, IMAGENET, global_batch_size=5, seed=0, start_step=4)
    take(dataset, 1)
    order = augment.order_of_epoch(0, 0, IMAGES).numpy()
    assert np.array_equal(files.pixels.recent[0], order[20:])


def test_streamed_and_kept_images_are_the_same(files, monkeypatch):
    kept = take(train_batches(files, IMAGENET, global_batch_size=5, seed=0), 7)
    kept_views = take(eval_batches(files, IMAGENET, batch_size=5, views=10), 9)
    monkeypatch.setattr(memory_budget, "BYTES", 0)
    names = [files.name(i) for i in range(len(files))]
    files = Split.of(ImageFiles(files.pixels.path(0).parent, names), files.labels)
    assert equal(kept, take(train_batches(files, IMAGENET, global_batch_size=5, seed=0), 7))
    assert equal(kept_views, take(eval_batches(files, IMAGENET, batch_size=5, views=10), 9))
    assert files.pixels.in_memory(16) is None


@pytest.mark.parametrize(
    ("resize", "names"),
    [
        ("area", ("crop", "flip", "cutout(4)", "color_noise(2012)")),
        ("antialiased_bilinear", ("crop", "cutout(4)", "flip")),
        ("antialiased_bilinear", ()),
    ],
)
def test_crops_are_cut_while_decoding(files, streaming, monkeypatch, resize, names):
    plan = dataclasses.replace(IMAGENET, resize=resize)
    statistics = pipeline.PixelStatistics(np.full(3, 99.0), np.eye(3) * 5000, 1, True)

    def found():
        arguments = {"global_batch_size": 8, "seed": 1, "statistics": statistics}
        train = take(train_batches(files, plan, **arguments, augment=names), 4)
        return train + (take(eval_batches(files, plan, batch_size=9, views=2), 3) * (not names))

    early = found()
    assert batching.is_encoded(files, plan) and augment.crops_first((), plan)
    monkeypatch.setattr(pipeline, "crops_first", lambda chosen, plan: None)
    assert equal(early, found())


def test_pixels_are_held_once(split):
    array = split.pixels
    assert np.shares_memory(array.images, np.asarray(memoryview(array.tensor)))
    assert split.subset([0, 1]).pixels is array and split.pixels is array


def test_small_images_are_not_stored_enlarged(tmp_path):
    names = [f"{i}.png" for i in range(3)]
    for name, image in zip(names, pixels(3, size=8), strict=True):
        (tmp_path / name).write_bytes(tf.io.encode_png(image).numpy())
    split = Split.of(ImageFiles(tmp_path, names), np.arange(3))
    [(batch, _)] = take(eval_batches(split, CIFAR, batch_size=3), 1)
    assert split.pixels.in_memory(16).images.shape == (3, 8, 8, 3)
    assert batch.shape == (3, 16, 16, 3)
    assert np.array_equal(batch, views.enlarge(pixels(3, size=8), 16))


@pytest.mark.parametrize("form", ["paper", "2012"])
def test_color_noise_is_one_draw_an_image(split, form):
    statistics = pipeline.pixel_statistics(split, CIFAR)
    common = {"global_batch_size": 22, "seed": 0}
    quiet = take(train_batches(split, CIFAR, **common), 1)[0]
    noise = augmentations.ColorNoise(form)
    entries = ("crop", "flip", f"color_noise({form})")
    noisy = train_batches(split, CIFAR, augment=entries, statistics=statistics, **common)
    images, labels = take(noisy, 1)[0]
    assert noisy.element_spec[0].dtype == tf.float32 and np.array_equal(labels, quiet[1])
    [draws] = augment.draws_of_epoch([noise], 0, 0, IMAGES, CIFAR)
    context = augmentations.Context(CIFAR, statistics)
    expected = noise.apply(quiet[0], draws.numpy()[labels], context)
    np.testing.assert_allclose(images, expected, atol=1e-3)
    if form == "paper":
        difference = images - quiet[0]
        assert np.abs(difference - difference[:, :1, :1]).max() < 1e-3


def test_color_noise_ends_after_its_epochs_wherever_one_starts(split):
    common = {"global_batch_size": 8, "seed": 0}
    common["statistics"] = pipeline.pixel_statistics(split, CIFAR)
    always = ("crop", "flip", "color_noise(paper)")
    quiet = take(train_batches(split, CIFAR, **common), 9)
    noisy = take(train_batches(split, CIFAR, **common, augment=always), 6)
    ending = {**common, "augment": ("crop", "flip", "color_noise(paper, until=2)")}
    for start in (0, 4, 6, 8):  # three steps an epoch
        dataset = train_batches(
            split, CIFAR, **ending, start_epoch=start // 3, start_step=start % 3
        )
        assert dataset.element_spec[0].dtype == tf.float32
        for found, expected in zip(
            take(dataset, 9 - start), (noisy + quiet[6:])[start:], strict=True
        ):
            assert np.array_equal(found[0], expected[0]) and np.array_equal(found[1], expected[1])


class Erase(augmentations.Augmentation):
    """Blackens a square at a random place of each image."""

    name = "erase"

    def __init__(self, parameter=None):
        self.size = int(parameter)

    def draw(self, key, images, plan):
        largest = plan.input_size - self.size
        return tf.random.stateless_uniform([images, 2], key, 0, largest + 1, tf.int32, "philox")

    def apply(self, images, draws, context):
        places = tf.range(context.plan.input_size)
        inside = (places >= draws[..., None]) & (places < draws[..., None] + self.size)
        erased = inside[:, 0, :, None, None] & inside[:, 1, None, :, None]
        if tf.reduce_any(erased):  # which AutoGraph converts
            images = tf.where(erased, tf.zeros_like(images), images)
        return images


@pytest.fixture
def erase():
    augmentations.register(Erase)
    yield Erase("5")
    augmentations.unregister("erase")


def test_a_new_augmentation_has_its_own_draws_and_changes_no_other(split, erase):
    common = {"global_batch_size": 22, "seed": 0}
    [(plain, labels)] = take(train_batches(split, CIFAR, **common), 1)
    batches = train_batches(split, CIFAR, augment=("crop", "flip", "erase(5)"), **common)
    [(images, same_labels)] = take(batches, 1)
    assert np.array_equal(labels, same_labels) and images.dtype == np.uint8
    [corners] = augment.draws_of_epoch([erase], 0, 0, IMAGES, CIFAR)
    for image, expected, (top, left) in zip(images, plain, corners.numpy()[labels], strict=True):
        expected[top : top + 5, left : left + 5] = 0
        assert np.array_equal(image, expected)
    assert len({tuple(corner) for corner in corners.numpy()}) > 10


def test_a_new_augmentation_is_known_to_a_training_run(config, erase, unsaved_figures):
    overrides = {**config.overrides, "augment": ("crop", "flip", "erase(5)"), "epochs": 1}
    ka.train(dataclasses.replace(config, overrides=overrides, max_steps=1))


def test_several_augmentations_that_end(split, erase):
    common = {"global_batch_size": 22, "seed": 0}
    entries = ("crop(until=3)", "flip", "erase(5, until=1)")
    batches = take(train_batches(split, CIFAR, augment=entries, **common), 4)
    in_force = [("crop", "flip", "erase(5)"), ("crop", "flip"), ("crop", "flip"), ("flip",)]
    for epoch, expected in enumerate(in_force):
        others = train_batches(split, CIFAR, augment=expected, start_epoch=epoch, **common)
        assert equal(batches[epoch : epoch + 1], take(others, 1))


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
@pytest.mark.parametrize("count", [1, 2, 10])
def test_evaluation_views(split, squares, plan, count):
    padding = plan.crop_padding // 2 if count == 10 else 0
    border = (padding, padding)
    padded = np.pad(squares, [(0, 0), border, border, (0, 0)], mode="reflect")
    room = padded.shape[1] - plan.crop_size
    corners = [(room // 2, room // 2), (0, 0), (0, room), (room, 0), (room, room)]
    crops = [
        padded[:, y : y + plan.crop_size, x : x + plan.crop_size]
        for y, x in (corners if count == 10 else corners[:1])
    ]
    crops += [crop[:, :, ::-1] for crop in crops] if count > 1 else []
    expected = [views.enlarge(crop, plan.input_size) for crop in crops]
    expected = np.stack(expected, axis=1) if count > 1 else expected[0]
    dataset = eval_batches(split, plan, batch_size=5, views=count)
    batches = take(dataset, 99)
    assert np.array_equal(np.concatenate([images for images, _ in batches]), expected)
    assert np.array_equal(np.concatenate([labels for _, labels in batches]), np.arange(IMAGES))
    assert dataset.element_spec[0].shape[1:] == expected.shape[1:]
    assert dataset.element_spec[1].dtype == tf.int32


@pytest.mark.parametrize("source", ["split", "streamed"])
def test_distributed_batches_are_the_same(source, request):
    if source == "streamed":
        request.getfixturevalue("streaming")
    split = request.getfixturevalue("split" if source == "split" else "files")
    strategy = devices.strategy_for(2)
    dataset = train_batches(split, IMAGENET, global_batch_size=8, seed=0)
    distributed = strategy.experimental_distribute_dataset(dataset)
    joined = [
        tuple(np.concatenate(strategy.experimental_local_results(part)) for part in batch)
        for batch in itertools.islice(distributed, 7)
    ]
    assert equal(joined, take(dataset, 7))


def test_large_images_are_stored_as_squares(tmp_path):
    names = [f"{i}.png" for i in range(3)]
    for name, image in zip(names, pixels(3, size=40), strict=True):
        (tmp_path / name).write_bytes(tf.io.encode_png(image).numpy())
    split = Split.of(ImageFiles(tmp_path, names), np.arange(3))
    assert split.pixels.in_memory(16).images.shape == (3, 16, 16, 3)


def test_users_can_fit(split):
    strategy = devices.strategy_for(2)
    with strategy.scope():
        model = keras.Sequential([keras.Input([16, 16, 3]), keras.layers.Flatten()])
        model.add(keras.layers.Dense(IMAGES))
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    history = model.fit(
        train_batches(split, CIFAR, global_batch_size=4, seed=0),
        steps_per_epoch=pipeline.steps_per_epoch(split, 4),
        validation_data=eval_batches(split, CIFAR, batch_size=4),
        epochs=2,
        shuffle=False,
        verbose=0,
    )
    assert len(history.history["val_loss"]) == 2


def test_pixel_statistics(split, squares, files, monkeypatch):
    statistics = pipeline.pixel_statistics(split, CIFAR)
    values = squares.reshape(-1, 3).astype(float)
    np.testing.assert_allclose(statistics.mean, values.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(statistics.covariance, np.cov(values.T, bias=True), rtol=1e-9)
    assert statistics.images == IMAGES and not statistics.sampled
    monkeypatch.setattr(memory_budget, "BYTES", 0)
    monkeypatch.setattr(pipeline, "STATISTICS_IMAGES", 7)
    sampled = [pipeline.pixel_statistics(files, CIFAR) for _ in range(2)]
    assert sampled[0].sampled and sampled[0].images == 7
    assert np.array_equal(sampled[0].mean, sampled[1].mean)


def damage(split, index):
    path = split.pixels.path(index)
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize("what", ["damaged", "vanished"])
def test_an_error_while_streaming_names_the_file(files, streaming, what):
    if what == "damaged":
        damage(files, 17)
    else:
        files.pixels.path(17).unlink()
    with pytest.raises(tf.errors.OpError) as caught:
        take(train_batches(files, IMAGENET, global_batch_size=5, seed=0), 5)
    explained = failures.explain(files, caught.value)
    assert isinstance(explained, UserError)
    assert "17.png" in str(explained) and "--skip_corrupt" in str(explained)


def test_the_search_for_a_damaged_file_begins_at_those_just_read(files, streaming):
    damage(files, 3)
    damage(files, 17)
    files.pixels.recent.append(np.array([16, 17]))
    explained = failures.explain(files, tf.errors.InvalidArgumentError(None, None, "?"))
    assert "17.png" in str(explained) and "03.png" not in str(explained)
    files.pixels.recent.clear()
    explained = failures.explain(files, tf.errors.InvalidArgumentError(None, None, "?"))
    assert "17.png" in str(explained) and "03.png" in str(explained)


def test_other_errors_are_passed_on(files, split):
    error = tf.errors.ResourceExhaustedError(None, None, "out of memory")
    damage(files, 3)
    for any_split in (files, split):
        assert "out of memory" in str(failures.explain(any_split, error))


def test_damaged_files_are_named_when_decoded_into_memory(files):
    for index in (3, 17):
        damage(files, index)
    with pytest.raises(UserError, match="2 of 22 images .*03.png .*17.png .*--skip_corrupt"):
        train_batches(files, IMAGENET, global_batch_size=5, seed=0)


def test_few_images_are_decoded_as_many_are(files, monkeypatch):
    damage(files, 3)
    names = [files.name(i) for i in range(len(files))]
    found = []
    for few in (0, 256):
        monkeypatch.setattr(images, "_FEW", few)
        several = ImageFiles(files.pixels.path(0).parent, names)
        with pytest.raises(UserError, match=r"1 of 22 images .*03\.png"):
            several.in_memory(16)
        several.leave_out([3])
        found.append(several.in_memory(16).images)
    assert np.array_equal(*found) and not found[0][3].any() and found[0][4].any()


def test_arguments_out_of_range(split):
    with pytest.raises(UsageError, match="at least 1. Received: 0"):
        train_batches(split, CIFAR, global_batch_size=0, seed=0)
    with pytest.raises(UsageError, match="23 images cannot be filled from 22"):
        train_batches(split, CIFAR, global_batch_size=23, seed=0, drop_remainder=True)
    with pytest.raises(UsageError, match="1, 2 or 10. Received: 5"):
        eval_batches(split, CIFAR, batch_size=5, views=5)
    with pytest.raises(UsageError, match="needs the training pixels.*statistics=None"):
        train_batches(split, CIFAR, global_batch_size=5, seed=0, augment=["color_noise(paper)"])
    with pytest.raises(UsageError, match="Unknown variant 'cifar'"):
        eval_batches(split, "cifar", batch_size=5)


def test_a_plan_by_the_name_of_its_variant(split):
    batch, _ = take(eval_batches(split, "cifar_v1", batch_size=22), 1)[0]
    assert batch.shape == (22, 32, 32, 3)
