"""Each image operation against a plain numpy version, eagerly and inside a tf.data pipeline."""

import numpy as np
import pytest
import tensorflow as tf

from keras_alexnet.data import augment
from keras_alexnet.data.augment import PixelStatistics

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (5, 12, 14, 3), np.uint8)
FLIPS = np.array([True, False, True, True, False])
OFFSETS = np.array([[0, 0], [3, 5], [4, 6], [0, 6], [4, 0]], np.int32)
NORMAL = RANDOM.normal(size=(5, 3)).astype(np.float32)
STATISTICS = PixelStatistics(
    mean=np.array([125.0, 123.0, 114.0]),
    covariance=np.array([[3910.0, 3562.0, 3342.0], [3562, 3833, 3763], [3342, 3763, 4417]]),
    images=50_000,
    sampled=False,
)


def plain_flip():
    return np.stack([i[:, ::-1] if f else i for i, f in zip(IMAGES, FLIPS, strict=True)])


def plain_crop():
    return np.stack([i[t : t + 8, x : x + 8] for i, (t, x) in zip(IMAGES, OFFSETS, strict=True)])


def plain_pad():
    padded = np.zeros((5, 20, 22, 3), np.uint8)
    padded[:, 4:-4, 4:-4] = IMAGES
    return padded


def plain_five_crops():
    corners = [(2, 3), (0, 0), (0, 6), (4, 0), (4, 6)]  # center first
    return np.stack([IMAGES[:, y : y + 8, x : x + 8] for y, x in corners], axis=1)


def plain_enlarge(images, size):
    """Bilinear: output pixel i looks at (i + 1/2) · side / size − 1/2, kept inside the image."""

    def ends(side):
        place = np.clip((np.arange(size) + 0.5) * side / size - 0.5, 0, side - 1)
        low = np.minimum(np.floor(place).astype(int), side - 2)
        return low, place - low

    (y, dy), (x, dx) = ends(images.shape[1]), ends(images.shape[2])
    dy, dx = dy[:, None, None], dx[None, :, None]
    values = images.astype(float)
    above = values[:, y][:, :, x] * (1 - dx) + values[:, y][:, :, x + 1] * dx
    below = values[:, y + 1][:, :, x] * (1 - dx) + values[:, y + 1][:, :, x + 1] * dx
    return above * (1 - dy) + below * dy


def plain_noise(form):
    scaled = STATISTICS.covariance / 255**2 if form == "paper" else STATISTICS.covariance
    values, vectors = np.linalg.eigh(scaled)
    noisy = []
    for image, z in zip(IMAGES.astype(float), NORMAL, strict=True):
        added = np.zeros(3)
        for k in range(3):
            axis = vectors[:, k] * np.sign(vectors[np.abs(vectors[:, k]).argmax(), k])
            if form == "paper":
                added += axis * 0.1 * z[k] * values[k] * 255
            else:
                added += axis * 0.1 * z[k] * np.sqrt(values[k])
        if form == "paper":
            noisy.append(image + added)
        else:
            noisy.append((image - STATISTICS.mean + added) / 1.1 + STATISTICS.mean)
    return np.stack(noisy)


OPERATIONS = {
    "flip": (lambda i, f, o, z: augment.flip_horizontal(i, f), plain_flip, 0),
    "crop": (lambda i, f, o, z: augment.crop(i, o, 8), plain_crop, 0),
    "pad": (lambda i, f, o, z: augment.pad(i, 4), plain_pad, 0),
    "center": (lambda i, f, o, z: augment.center_crop(i, 8), lambda: IMAGES[:, 2:10, 3:11], 0),
    "five": (lambda i, f, o, z: augment.five_crops(i, 8), plain_five_crops, 0),
    "mirrors": (
        lambda i, f, o, z: augment.with_mirrors(augment.five_crops(i, 8)),
        lambda: np.concatenate([plain_five_crops(), plain_five_crops()[:, :, :, ::-1]], axis=1),
        0,
    ),
    "enlarge": (lambda i, f, o, z: augment.enlarge(i, 29), lambda: plain_enlarge(IMAGES, 29), 0.51),
    "enlarge views": (
        lambda i, f, o, z: augment.enlarge_views(i[:, None], 29),
        lambda: plain_enlarge(IMAGES, 29)[:, None],
        0.51,
    ),
    "paper noise": (
        lambda i, f, o, z: augment.color_noise(i, z, STATISTICS, "paper"),
        lambda: plain_noise("paper"),
        1e-3,
    ),
    "2012 noise": (
        lambda i, f, o, z: augment.color_noise(i, z, STATISTICS, "2012"),
        lambda: plain_noise("2012"),
        1e-3,
    ),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation(name):
    operation, plain, tolerance = OPERATIONS[name]
    arguments = IMAGES, FLIPS, OFFSETS, NORMAL
    eager = operation(*map(tf.constant, arguments)).numpy()
    np.testing.assert_allclose(eager.astype(float), plain().astype(float), rtol=0, atol=tolerance)
    assert eager.dtype == (np.float32 if "noise" in name else np.uint8)
    # The batch size is unknown inside the pipeline, the rest of the shape is not.
    dataset = tf.data.Dataset.from_tensor_slices(arguments).batch(3).map(operation)
    assert dataset.element_spec.shape[1:] == eager.shape[1:]
    assert np.array_equal(np.concatenate(list(dataset.as_numpy_iterator())), eager)


def test_enlarging_floats_is_not_rounded():
    values = RANDOM.normal(size=(2, 6, 6, 3)).astype(np.float32)
    enlarged = augment.enlarge(tf.constant(values), 13)
    assert enlarged.dtype == tf.float32
    np.testing.assert_allclose(enlarged, plain_enlarge(values, 13), atol=1e-5)


def test_color_noise_has_the_strength_that_the_sources_state():
    """networks.md: about 4.4 gray levels on CIFAR for the paper, 10.6 for the program."""
    draws = tf.constant(RANDOM.normal(size=(4000, 3)).astype(np.float32))
    black = tf.zeros([4000, 1, 1, 3])
    paper = augment.color_noise(black, draws, STATISTICS, "paper").numpy()
    program = augment.color_noise(black, draws, STATISTICS, "2012").numpy() * 1.1
    for noise, strength in ((paper, 4.4), (program - program.mean(axis=0), 10.6)):
        norms = np.sqrt((noise**2).sum(axis=-1).mean())
        assert abs(norms - strength) < 0.25
    assert paper.min() < -5  # not clipped


def test_color_noise_survives_gray_data():
    gray = STATISTICS._replace(covariance=np.full((3, 3), 4000.0))
    noisy = augment.color_noise(IMAGES, NORMAL, gray, "2012").numpy()
    assert np.isfinite(noisy).all()


def test_draws_depend_on_seed_and_epoch():
    first = augment.draws_of_epoch(1, 2, 1000, 8)
    again = augment.draws_of_epoch(1, tf.constant(2, tf.int64), 1000, 8)
    for one, other in zip(first, again, strict=True):
        assert np.array_equal(one, other)
    for seed, epoch in ((1, 3), (2, 2), (2, 1)):
        others = augment.draws_of_epoch(seed, epoch, 1000, 8)
        assert not any(np.array_equal(a, b) for a, b in zip(first, others, strict=True))


def test_draws_have_the_distributions_named():
    draws = augment.draws_of_epoch(0, 0, 20_000, 8)
    assert abs(draws.flips.numpy().mean() - 0.5) < 0.02
    offsets = draws.offsets.numpy()
    assert np.array_equal(np.unique(offsets), np.arange(9))  # 0 to 8 inclusive
    assert np.abs(np.bincount(offsets.ravel()) / offsets.size - 1 / 9).max() < 0.01
    colors = draws.colors.numpy()
    assert abs(colors.mean()) < 0.03 and abs(colors.std() - 1) < 0.03
    columns = np.column_stack([draws.flips, offsets, colors]).astype(float)
    assert np.abs(np.corrcoef(columns.T) - np.eye(6)).max() < 0.03


def test_order_is_a_permutation_that_changes_every_epoch():
    orders = [augment.order_of_epoch(5, epoch, 300).numpy() for epoch in range(3)]
    assert all(np.array_equal(np.sort(order), np.arange(300)) for order in orders)
    assert not np.array_equal(orders[0], orders[1]) and not np.array_equal(orders[1], orders[2])
    assert np.array_equal(orders[1], augment.order_of_epoch(5, 1, 300))
