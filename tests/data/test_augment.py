"""Image operations against plain numpy versions, eager and in a pipeline; draws; names."""

import numpy as np
import pytest
import tensorflow as tf

from keras_alexnet.data import augment, augment_list, augmentations, views
from keras_alexnet.data.augmentation import Context, PixelStatistics
from keras_alexnet.data.augmentations import ColorNoise, Crop, Cutout, Flip
from keras_alexnet.errors import UsageError
from keras_alexnet.networks.spec import ImagePlan

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (5, 12, 14, 3), np.uint8)
PLAN = ImagePlan(square_size=32, crop_size=32, crop_padding=4, input_size=32)
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


def noise(images, draws, form, statistics=STATISTICS):
    return ColorNoise(form).apply(images, draws, Context(PLAN, statistics))


def plain_mirrored_border():
    return np.pad(IMAGES, ((0, 0), (4, 4), (4, 4), (0, 0)), mode="reflect")


def plain_cutout():
    """Squares of 4 pixels around (row, column), cut off at the border of the image."""
    images = IMAGES.copy()
    for image, (row, column) in zip(images, OFFSETS, strict=True):
        image[max(0, row - 2) : row + 2, max(0, column - 2) : column + 2] = [125, 123, 114]
    return images


OPERATIONS = {
    "flip": (lambda i, f, o, z: views.flip_horizontal(i, f), plain_flip, 0),
    "crop": (lambda i, f, o, z: views.crop_at(i, o, 8), plain_crop, 0),
    "pad": (lambda i, f, o, z: views.pad(i, 4), plain_pad, 0),
    "mirrored border": (lambda i, f, o, z: views.pad(i, 4, reflect=True), plain_mirrored_border, 0),
    "cutout": (
        lambda i, f, o, z: Cutout("4").apply(i, o, Context(PLAN, STATISTICS)),
        plain_cutout,
        0,
    ),
    "center": (lambda i, f, o, z: views.center_crop(i, 8), lambda: IMAGES[:, 2:10, 3:11], 0),
    "five": (lambda i, f, o, z: views.five_crops(i, 8), plain_five_crops, 0),
    "mirrors": (
        lambda i, f, o, z: views.with_mirrors(views.five_crops(i, 8)),
        lambda: np.concatenate([plain_five_crops(), plain_five_crops()[:, :, :, ::-1]], axis=1),
        0,
    ),
    "enlarge": (lambda i, f, o, z: views.enlarge(i, 29), lambda: plain_enlarge(IMAGES, 29), 0.51),
    "enlarge views": (
        lambda i, f, o, z: views.enlarge_views(i[:, None], 29),
        lambda: plain_enlarge(IMAGES, 29)[:, None],
        0.51,
    ),
    "paper noise": (
        lambda i, f, o, z: noise(i, z, "paper"),
        lambda: plain_noise("paper"),
        1e-3,
    ),
    "2012 noise": (
        lambda i, f, o, z: noise(i, z, "2012"),
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
    batched = np.concatenate(list(dataset.as_numpy_iterator()))
    # A product of matrices may be rounded differently for another number of rows.
    np.testing.assert_allclose(batched, eager, rtol=0, atol=1e-4 if "noise" in name else 0)


@pytest.mark.parametrize("few", [0, 100])
@pytest.mark.parametrize("reflects", [None, "reflect"])
def test_a_crop_and_the_flip_after_it_are_one(monkeypatch, few, reflects):
    monkeypatch.setattr(views, "_FEW_PLACES", few)
    plan = ImagePlan(square_size=12, crop_size=9, crop_padding=2, input_size=9)
    crop, flip = Crop(reflects), Flip()
    squares, context = tf.constant(IMAGES[:, :, :12]), Context(plan)
    offsets = tf.constant([[0, 0], [7, 7], [3, 0], [1, 6], [0, 7]])
    expected = flip.apply(crop.apply(squares, offsets, context), FLIPS, context)
    made = tf.function(lambda *draws: augment.augmented(squares, [flip, crop], draws, context))
    assert np.array_equal(made(tf.constant(FLIPS), offsets), expected)
    pad = "reflect" if reflects else "constant"
    padded = np.pad(IMAGES[1, :, :12], [(2, 2), (2, 2), (0, 0)], pad)
    assert np.array_equal(expected[1], padded[7:16, 7:16])


def test_enlarging_floats_is_not_rounded():
    values = RANDOM.normal(size=(2, 6, 6, 3)).astype(np.float32)
    enlarged = views.enlarge(tf.constant(values), 13)
    assert enlarged.dtype == tf.float32
    np.testing.assert_allclose(enlarged, plain_enlarge(values, 13), atol=1e-5)


def test_color_noise_has_the_strength_that_the_sources_state():
    """networks.md: about 4.4 gray levels on CIFAR for the paper, 10.6 for the program."""
    normal = tf.constant(RANDOM.normal(size=(4000, 3)).astype(np.float32))
    black = tf.zeros([4000, 1, 1, 3])
    paper = noise(black, normal, "paper").numpy()
    program = noise(black, normal, "2012").numpy() * 1.1
    for added, strength in ((paper, 4.4), (program - program.mean(axis=0), 10.6)):
        norms = np.sqrt((added**2).sum(axis=-1).mean())
        assert abs(norms - strength) < 0.25
    assert paper.min() < -5  # not clipped


def test_color_noise_survives_gray_data():
    gray = STATISTICS._replace(covariance=np.full((3, 3), 4000.0))
    noisy = noise(IMAGES, NORMAL, "2012", gray).numpy()
    assert np.isfinite(noisy).all()


def draws(seed, epoch, images):
    chosen = [Crop(), Flip(), ColorNoise("paper")]
    return augment.draws_of_epoch(chosen, seed, epoch, images, PLAN)


def test_draws_are_those_of_the_published_runs():
    offsets, flips, colors = (drawn.numpy() for drawn in draws(3, 5, 4))
    assert augment.order_of_epoch(3, 5, 6).numpy().tolist() == [3, 4, 2, 1, 5, 0]
    assert offsets.tolist() == [[2, 0], [8, 8], [0, 0], [0, 8]]
    assert flips.tolist() == [True, True, False, False]
    np.testing.assert_allclose(colors[0], [-0.11013283, 0.82712233, -0.28851846], rtol=1e-6)


def test_draws_depend_on_seed_and_epoch():
    first = draws(1, 2, 1000)
    again = draws(1, tf.constant(2, tf.int64), 1000)
    for one, other in zip(first, again, strict=True):
        assert np.array_equal(one, other)
    for seed, epoch in ((1, 3), (2, 2), (2, 1)):
        others = draws(seed, epoch, 1000)
        assert not any(np.array_equal(a, b) for a, b in zip(first, others, strict=True))


def test_draws_have_the_distributions_named():
    offsets, flips, colors = (drawn.numpy() for drawn in draws(0, 0, 20_000))
    assert abs(flips.mean() - 0.5) < 0.02
    assert np.array_equal(np.unique(offsets), np.arange(9))  # 0 to 8 inclusive
    assert np.abs(np.bincount(offsets.ravel()) / offsets.size - 1 / 9).max() < 0.01
    assert abs(colors.mean()) < 0.03 and abs(colors.std() - 1) < 0.03
    columns = np.column_stack([flips, offsets, colors]).astype(float)
    assert np.abs(np.corrcoef(columns.T) - np.eye(6)).max() < 0.03


def test_alternating_flips_show_each_image_in_both_forms():
    flips = [
        augment.draws_of_epoch([Flip("alternating")], 1, epoch, 1000, PLAN)[0].numpy()
        for epoch in range(6)
    ]
    for first in (0, 2, 4):
        assert np.array_equal(flips[first], ~flips[first + 1])
    for one, other in ((0, 2), (2, 4)):
        assert 400 < np.sum(flips[one] != flips[other]) < 600
    assert np.array_equal(flips[2], augment.draws_of_epoch([Flip()], 1, 2, 1000, PLAN)[0])


def test_crops_reflect_the_border():
    squares, corner = tf.constant(IMAGES[:, :12, :12]), tf.zeros([5, 2], tf.int32)
    plan = ImagePlan(square_size=12, crop_size=12, crop_padding=4, input_size=12)
    reflected, plain = (Crop(p).apply(squares, corner, Context(plan)) for p in ("reflect", None))
    assert np.array_equal(reflected, plain_mirrored_border()[:, :12, :12])
    assert not plain[:, :4].numpy().any()


@pytest.mark.parametrize(
    ("parameter", "square", "first", "last"),
    [("2", 32, 2, 6), ("reflect, 2", 32, 2, 6), ("3", 33, 1, 7), ("9", 32, 0, 8), (None, 32, 0, 8)],
)
def test_crops_are_no_farther_from_the_center_than_asked(parameter, square, first, last):
    plan = ImagePlan(square_size=square, crop_size=32, crop_padding=4, input_size=32)
    corners = Crop(parameter).draw(augment.key_of(0, 0, 2), 20_000, plan).numpy()
    assert np.array_equal(np.unique(corners), np.arange(first, last + 1))
    assert len(np.unique(corners, axis=0)) == (last + 1 - first) ** 2


def test_cutout_can_cover_every_pixel():
    centers = Cutout("8").draw(augment.key_of(0, 0, 4), 20_000, PLAN).numpy()
    assert np.array_equal(np.unique(centers), np.arange(32))


def test_order_is_a_permutation_that_changes_every_epoch():
    orders = [augment.order_of_epoch(5, epoch, 300).numpy() for epoch in range(3)]
    assert all(np.array_equal(np.sort(order), np.arange(300)) for order in orders)
    assert not np.array_equal(orders[0], orders[1]) and not np.array_equal(orders[1], orders[2])
    assert np.array_equal(orders[1], augment.order_of_epoch(5, 1, 300))


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (["flop"], "Unknown augmentation 'flop'. Did you mean 'flip'.*Known: crop, flip, cutout"),
        (["flip("], r"a name, such as flip.*Received: 'flip\('"),
        (["flip(3)"], r"its parameter must be alternating, or left out. Received: flip\(3\)"),
        (["crop(mirror)"], "its parameters must be reflect, a number of pixels, both, or none"),
        (["crop(0)"], r"reflect, a number of pixels, both, or none. Received: crop\(0\)"),
        (["crop(2, reflect)"], "must be reflect, a number of pixels, both, or none"),
        (["crop(reflect, 2, 3)"], "must be reflect, a number of pixels, both, or none"),
        (["cutout"], "its parameter must be the side of the square in pixels"),
        (["cutout(0)"], "its parameter must be the side of the square in pixels"),
        (["color_noise"], "its parameter must be paper or 2012. Received: color_noise"),
        (["color_noise(loud)"], r"must be paper or 2012. Received: color_noise\(loud\)"),
        (["flip(until=0)"], "whole number of epochs of at least 1. Received: flip.until=0"),
        (["flip(until=x)"], "whole number of epochs of at least 1"),
        (["flip", "crop", "flip(until=3)"], "named only once. Received: flip twice"),
    ],
)
def test_names_that_cannot_be_used(entries, message):
    with pytest.raises(UsageError, match=message):
        augment_list.parse(entries)


def test_registering():
    class Other(Flip):
        name = "flip"

    class Elsewhere(Flip):
        name, stage = "elsewhere", "outputs"

    with pytest.raises(UsageError, match="named 'flip' already exists"):
        augmentations.register(Other)
    with pytest.raises(UsageError, match="Unknown stage of an augmentation 'outputs'"):
        augmentations.register(Elsewhere)
    with pytest.raises(UsageError, match="Unknown augmentation 'elsewhere'"):
        augmentations.unregister("elsewhere")
    known = ["crop", "flip", "cutout", "color_noise", "randaugment", "random_erasing"]
    assert augmentations.list_augmentations() == known
