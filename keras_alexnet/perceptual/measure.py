"""Perceptual distances of images in files, and pictures of where the images differ."""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable, Generator, Iterable

import numpy as np
import tensorflow as tf

from keras_alexnet.data import decode
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.perceptual.backbone import SMALLEST
from keras_alexnet.perceptual.config import DistanceConfig
from keras_alexnet.perceptual.layer import PerceptualDistance, map_of, mean_of
from keras_alexnet.perceptual.pairs import Pair, pair_images
from keras_alexnet.predicting.images import InputImage
from keras_alexnet.utils import outputs
from keras_alexnet.utils.reporting import reported
from keras_alexnet.utils.terminal import Progress
from keras_alexnet.utils.text import printable


@dataclasses.dataclass(frozen=True)
class ImageDistance:
    """The perceptual distance of two images.

    Attributes:
        first, second: the paths of the images; None if one has no partner.
        distance: 0 for equal images, and rarely more than 1; None if there was an error.
        error: why there is no distance, or None.

    Example:
        >>> ImageDistance("a.png", "b.png", 0.25).distance
        0.25
    """

    first: str | None
    second: str | None
    distance: float | None = None
    error: str | None = None


@reported
def measure_distances(config: DistanceConfig, *, verbose: int = 1) -> list[ImageDistance]:
    """Measures the perceptual distances of images in files, as `PerceptualDistance` does.

    The images of two folders are paired by their names, with or without endings. An image is
    compared with all images of a folder.

    Args:
        config: the images, and the network that compares them.
        verbose: 0 shows only warnings, 1 also lines and progress bars, 2 lines but no bars.

    Returns:
        An `ImageDistance` for each pair, sorted by name. One that cannot be measured has an
        `error`: an image without a partner, or one that cannot be read, is smaller than 31 x 31,
        or differs in size.

    Raises:
        UsageError: if a setting cannot be used.
        UserError: if the weights cannot be read, or a folder has no images.

    Example:
        >>> for name, value in {"black": 0, "white": 255}.items():
        ...     image = tf.fill([64, 64, 3], tf.constant(value, tf.uint8))
        ...     tf.io.write_file(f"{name}.png", tf.io.encode_png(image))
        >>> model = keras_alexnet.AlexNet(False, None, variant="alexnet_owt")
        >>> config = DistanceConfig(first="black.png", second="white.png", weights=model)
        >>> [found] = measure_distances(config)
        >>> found.distance > 0, found.error
        (True, None)
    """
    return list(iter_distances(config))


def iter_distances(config: DistanceConfig) -> Generator[ImageDistance, None, None]:
    """Like `measure_distances`, but yields each distance as soon as it is measured."""
    for name in ("first", "second"):
        if getattr(config, name) is None:
            raise UsageError(f"{name} must be an image or a folder of images. Received: None.")
    pairs = pair_images(os.fspath(config.first), os.fspath(config.second))
    if config.maps is not None:
        outputs.check_folder(config.maps, "maps")
    # Not before two images were read, because weights may have to be downloaded.
    parts = functools.cache(lambda: _parts_of(PerceptualDistance(config.weights)))
    with Progress(len(pairs), "comparing") as progress:
        for pair in pairs:
            first, second = (image and image.name for image in (pair.first, pair.second))
            try:
                # The shortest decimal number that is equal in float32.
                distance = float(str(_measured(parts, pair, config)))
                yield ImageDistance(first, second, distance)
            except _Unmeasured as error:
                yield ImageDistance(first, second, error=str(error))
            progress.advance(1)


class _Unmeasured(Exception):
    """The reason why a pair has no distance."""


def _parts_of(layer: PerceptualDistance) -> tf.types.experimental.PolymorphicFunction:
    """Returns a function that is traced once for images of all sizes."""
    image = tf.TensorSpec([1, None, None, 3], tf.float32)
    return tf.function(layer.by_layer, input_signature=[image, image], autograph=False)


def _measured(
    parts: Callable[[], tf.types.experimental.PolymorphicFunction],
    pair: Pair,
    config: DistanceConfig,
) -> np.float32:
    if pair.first is None or pair.second is None:
        folder = config.first if pair.first is None else config.second
        raise _Unmeasured(f"there is no image of this name in {printable(os.fspath(folder))}")
    images = [_read(image, config.max_image_pixels) for image in (pair.first, pair.second)]
    _check_sizes(pair, images, config.resize)
    first, second = (tf.cast(image, tf.float32)[None] for image in images)
    if first.shape != second.shape:
        second = tf.image.resize(second, first.shape[1:3], "bilinear", antialias=True)
    found = parts()(first, second)
    distance = mean_of(found).numpy()[0]
    if not np.isfinite(distance):
        raise _Unmeasured("the network's activations overflow: are these its weights?")
    if config.maps is not None:
        from keras_alexnet.perceptual.picture import save_map

        values = map_of(found, tf.shape(first)[1:3])[0].numpy()
        path = pathlib.Path(config.maps) / f"{pair.name}.png"
        save_map(path, images, (pair.first.name, pair.second.name), values, distance)
    return distance


def _read(image: InputImage, max_pixels: int) -> tf.Tensor:
    try:
        with tf.device("/CPU:0"):
            return decode.decode_image(tf.constant(image.read()), max_pixels)
    except (OSError, tf.errors.OpError) as error:
        raise _Unmeasured(f"{printable(image.name)}: {decode.reason(error)}") from error


def _check_sizes(pair: Pair, images: Iterable[tf.Tensor], resize: bool) -> None:
    sizes = [tuple(image.shape[:2]) for image in images]
    said = [f"{height}x{width}" for height, width in sizes]
    if sizes[0] != sizes[1] and not resize:
        raise _Unmeasured(
            f"both images must have the same size. Received: {said[0]} and {said[1]} (height x "
            "width). --resize (resize=True) resizes the second to the size of the first"
        )
    if min(sizes[0]) < SMALLEST:
        raise _Unmeasured(f"images must be at least {SMALLEST}x{SMALLEST}. Received: {said[0]}")


def raise_failed(found: Iterable[ImageDistance]) -> None:
    """Raises the error of a command some of whose pairs could not be compared.

    Raises:
        UserError: there is one with an error.
    """
    found = list(found)
    failed = [each for each in found if each.error is not None]
    if len(found) == 1 and failed:
        raise UserError(f"The images could not be compared: {failed[0].error}.")
    if failed:
        pairs = [filter(None, (each.first, each.second)) for each in failed[:3]]
        named = ", ".join(" and ".join(map(printable, pair)) for pair in pairs)
        named += ", …" if len(failed) > 3 else ""
        raise UserError(f"{len(failed)} of {len(found)} pairs could not be compared: {named}")
