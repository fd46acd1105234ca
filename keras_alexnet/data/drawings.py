"""The images of the data set "shapes": drawn shapes and textures on noisy backgrounds.

Made by numpy from a seed in a few seconds, so that everything runs without a download. Position,
size, rotation, colors and polarity (light on dark or dark on light) are random, and so are the
streaks drawn across every image, so that a linear model learns little.

The bytes are the same on every machine: only operations that IEEE 754 rounds exactly are used
(no sine, no exponential, no matrix product) on uniform numbers from PCG64.
"""

import numpy as np

CLASSES = (
    "disc",
    "ring",
    "square",
    "triangle",
    "cross",
    "corner",
    "rows",
    "columns",
    "checkerboard",
    "dots",
)


SIZE = 32


TRAIN_IMAGES, TEST_IMAGES = 10_000, 2_000


_SUBPIXELS = 2  # a pixel is the mean of 2 x 2 points, so that edges are smooth


_STREAKS = 3


_CHUNK = 250  # images drawn at once: their coordinates stay in the processor's cache


_NOISE = 0.07


_LEAST_CONTRAST = 0.3


_GREATEST_CONTRAST = 0.7


_LIGHT_ON_DARK = 0.7


_TINT = 0.25


_TENDENCY = 0.1


# The red, green and blue that each class's background tends to, as ships are on blue.
_TENDENCIES = (
    (1, 0, 0),
    (0, 1, 0),
    (0, 0, 1),
    (-1, 0, 0),
    (0, -1, 0),
    (0, 0, -1),
    (1, 1, -1),
    (-1, 1, 1),
    (1, -1, 1),
    (-1, -1, -1),
)


_LEAST_RADIUS = 8.5


_GREATEST_RADIUS = 13.0


_GREATEST_SHIFT = 5.0


_GREATEST_TILT = 0.22  # tangent of half the angle: 25 degrees


def make(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Draws the data set.

    Args:
        seed: the default gives the published set, any other a different set of the same kind.

    Returns:
        Training images uint8 `[10000, 32, 32, 3]` in 0–255 and labels int32 `[10000]`, then
        2,000 test images and labels. Every class has the same number of images.

    Example:
        >>> train_images, train_labels, test_images, test_labels = make()
        >>> train_images.shape, test_labels.shape
        ((10000, 32, 32, 3), (2000,))
    """
    parts = []
    for part, images in enumerate((TRAIN_IMAGES, TEST_IMAGES)):
        random = np.random.Generator(np.random.PCG64([seed, part]))
        order = np.argsort(random.random(images), kind="stable")
        labels = (np.arange(images) % len(CLASSES))[order].astype(np.int32)
        chunks = [labels[i : i + _CHUNK] for i in range(0, images, _CHUNK)]
        parts += [np.concatenate([draw(chunk, random) for chunk in chunks]), labels]
    train_images, train_labels, test_images, test_labels = parts
    return train_images, train_labels, test_images, test_labels


def draw(labels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Draws one image for each label: integers `[n]` → uint8 `[n, 32, 32, 3]`."""
    count = len(labels)
    x, y = _turned_coordinates(count, random)
    detail = _uniform(random, 0, 1, count)
    inside = np.empty((count, x.shape[1]), np.float32)
    for label, shape in enumerate(SHAPES):
        chosen = labels == label
        mask = shape(x[chosen], y[chosen], detail[chosen, None, None])
        inside[chosen] = mask.mean(axis=2, dtype=np.float32)
    background, color = _colors(labels, random)
    images = _shaded(background, random)
    images = _over(images, inside, color)
    images = _over(images, _streaks(count, random), _uniform(random, 0, 1, count, 3))
    # The sum of three uniform numbers is close enough to a normal one.
    noise = sum(_uniform(random, -1, 1, *images.shape) for _ in range(3))
    images = np.clip(images + np.float32(_NOISE) * noise, 0, 1)
    return np.floor(images * np.float32(255.99)).astype(np.uint8).reshape(count, SIZE, SIZE, 3)


def _uniform(random: np.random.Generator, low: float, high: float, *shape: int) -> np.ndarray:
    numbers = random.random(shape, np.float32)
    return np.float32(low) + np.float32(high - low) * numbers


def _direction(
    random: np.random.Generator, count: int, greatest: float = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Random unit vectors (cosine, sine) without a sine, by the tangent of the half angle."""
    t = _uniform(random, -greatest, greatest, count)
    return (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)


def _grid() -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of the subpixels in pixels: two float32 `[1024, 4]`."""
    steps = (np.arange(SIZE * _SUBPIXELS, dtype=np.float32) + np.float32(0.5)) / _SUBPIXELS
    y, x = np.meshgrid(steps, steps, indexing="ij")

    def by_pixel(values: np.ndarray) -> np.ndarray:
        blocks = values.reshape(SIZE, _SUBPIXELS, SIZE, _SUBPIXELS).transpose(0, 2, 1, 3)
        return blocks.reshape(SIZE * SIZE, _SUBPIXELS**2)

    return by_pixel(x), by_pixel(y)


def _turned_coordinates(count: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Each subpixel in the drawing's own frame (center 0, radius 1): float32 `[n, 1024, 4]`."""
    x, y = _grid()
    radius = _uniform(random, _LEAST_RADIUS, _GREATEST_RADIUS, count)[:, None, None]
    shift = _uniform(random, -_GREATEST_SHIFT, _GREATEST_SHIFT, 2, count)[..., None, None]
    center_x, center_y = SIZE // 2 + shift
    cosine, sine = (part[:, None, None] for part in _direction(random, count, _GREATEST_TILT))
    x, y = (x - center_x) / radius, (y - center_y) / radius
    return x * cosine + y * sine, y * cosine - x * sine


def _colors(labels: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Colors of background and drawing, `[n, 3]` each: two distinct grays, each with a tint."""
    count = len(labels)
    middle = _uniform(random, 0.4, 0.6, count)
    half_contrast = _uniform(random, _LEAST_CONTRAST, _GREATEST_CONTRAST, count) / 2
    half_contrast = np.where(random.random(count) < _LIGHT_ON_DARK, half_contrast, -half_contrast)
    background, drawing = middle - half_contrast, middle + half_contrast
    tendency = np.float32(_TENDENCY) * np.array(_TENDENCIES, np.float32)[labels]
    background = background[:, None] + tendency + _uniform(random, -_TINT, _TINT, count, 3)
    return background, drawing[:, None] + _uniform(random, -_TINT, _TINT, count, 3)


def _shaded(background: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The background color with a slope of brightness: float32 `[n, 1024, 3]`."""
    count = len(background)
    x, y = (values.mean(axis=1) / SIZE - np.float32(0.5) for values in _grid())
    slope = _uniform(random, -0.3, 0.3, 2, count, 1)
    return background[:, None] + (slope[0] * x + slope[1] * y)[..., None]


def _streaks(count: int, random: np.random.Generator) -> np.ndarray:
    """Thin random line segments: coverage `[n, 1024]`."""
    x, y = (values.mean(axis=1) for values in _grid())
    covered = np.zeros((count, SIZE * SIZE), bool)
    for _ in range(_STREAKS):
        start = _uniform(random, 0, SIZE, 2, count, 1)
        cosine, sine = (part[:, None] for part in _direction(random, count))
        length = _uniform(random, 4, 14, count, 1)
        along = (x - start[0]) * cosine + (y - start[1]) * sine
        across = (y - start[1]) * cosine - (x - start[0]) * sine
        covered |= (along > 0) & (along < length) & (np.abs(across) < np.float32(0.6))
    return covered.astype(np.float32)


def _over(images: np.ndarray, coverage: np.ndarray, color: np.ndarray) -> np.ndarray:
    coverage = coverage[..., None]
    return images * (1 - coverage) + color[:, None] * coverage


def _half(values: np.ndarray, period: np.ndarray) -> np.ndarray:
    """True in every other stripe of half a period."""
    phase = values / period
    return phase - np.floor(phase) < np.float32(0.5)


def _disc(x: np.ndarray, y: np.ndarray, detail: np.ndarray) -> np.ndarray:
    return x * x + y * y < np.float32(0.81)


def _ring(x: np.ndarray, y: np.ndarray, detail: np.ndarray) -> np.ndarray:
    distance = x * x + y * y
    hole = np.float32(0.45) + np.float32(0.2) * detail
    return (distance < 1) & (distance > hole * hole)


def _square(x: np.ndarray, y: np.ndarray, detail: np.ndarray) -> np.ndarray:
    return np.maximum(np.abs(x), np.abs(y)) < np.float32(0.85)


def _triangle(x: np.ndarray, y: np.ndarray, detail: np.ndarray) -> np.ndarray:
    lean = np.float32(1.7320508) * np.abs(x)
    return (y > np.float32(-0.55)) & (lean + y < np.float32(1.1))


def _cross(x: np.ndarray, y: np.ndarray, detail: np.ndarray) -> np.ndarray:
    width = np.float32(0.2) + np.float32(0.1) * detail
    near, far = np.minimum(np.abs(x), np.abs(y)), np.maximum(np.abs(x), np.abs(y))
    return (near < width) & (far < 1)


def _corner(x: np.ndarray, y: np.ndarray, detail: np.ndarray) -> np.ndarray:
    width = np.float32(-0.35) + np.float32(0.2) * detail
    return (np.maximum(np.abs(x), np.abs(y)) < np.float32(0.9)) & (np.minimum(x, y) < width)


def _patch(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.maximum(np.abs(x), np.abs(y)) < 1


def _period(detail: np.ndarray) -> np.ndarray:
    return np.float32(0.55) + np.float32(0.25) * detail


def _rows(x: np.ndarray, y: np.ndarray, detail: np.ndarray) -> np.ndarray:
    return _patch(x, y) & _half(y, _period(detail))


def _columns(x: np.ndarray, y: np.ndarray, detail: np.ndarray) -> np.ndarray:
    return _patch(x, y) & _half(x, _period(detail))


def _checkerboard(x: np.ndarray, y: np.ndarray, detail: np.ndarray) -> np.ndarray:
    period = _period(detail) * np.float32(1.5)
    return _patch(x, y) & (_half(x, period) == _half(y, period))


def _dots(x: np.ndarray, y: np.ndarray, detail: np.ndarray) -> np.ndarray:
    period = _period(detail)
    x_cell = x / period - np.floor(x / period) - np.float32(0.5)
    y_cell = y / period - np.floor(y / period) - np.float32(0.5)
    return _patch(x, y) & (x_cell * x_cell + y_cell * y_cell < np.float32(0.08))


SHAPES = (
    _disc,
    _ring,
    _square,
    _triangle,
    _cross,
    _corner,
    _rows,
    _columns,
    _checkerboard,
    _dots,
)
