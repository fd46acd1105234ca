"""Decoding of JPEG, PNG, BMP and GIF to uint8 RGB, as TensorFlow graph operations.

JPEG and PNG go through TensorFlow's own kernels, which run in parallel and wherever a saved graph
runs; BMP and GIF, which those read only in part (palettes, transparency), go through Pillow. EXIF
orientation is ignored, as `tf.io` and torchvision's loaders do.
"""

import functools
import io
import re
from collections.abc import Callable

import numpy as np
import tensorflow as tf

_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


_JPEG_MAGIC = b"\xff\xd8\xff"


def decode_image(contents: tf.Tensor) -> tf.Tensor:
    """Decodes one JPEG, PNG, BMP or GIF (first frame), recognized by its first bytes.

    Gray, palette, CMYK and 16-bit images become 8-bit RGB; alpha is composited on white.

    Args:
        contents: string scalar, the encoded file.

    Returns:
        uint8 `[height, width, 3]` in 0–255.

    Raises:
        tf.errors.InvalidArgumentError: the bytes are not an image of these kinds, or damaged.

    Example:
        >>> decode_image(tf.io.encode_png(tf.zeros([4, 5, 1], tf.uint8))).shape
        TensorShape([4, 5, 3])
    """
    return _decode(contents, lambda: _decode_jpeg(contents, 1))


def decode_square(
    contents: tf.Tensor, size: int, warp: bool = False, *, python_free: bool = False
) -> tf.Tensor:
    """Decodes one image and reduces it to its center square of `size` pixels a side.

    A JPEG whose short side is at least twice `size` is first reduced by 2, 4 or 8 inside the
    decoder's inverse cosine transform, to no less than `size`. This is several times faster, and
    the same wherever this function is used, so training and evaluation see the same pixels.

    Args:
        contents: string scalar, the encoded file.
        size: side of the square in pixels.
        warp: squeeze the whole image into the square instead of cutting out its center.
        python_free: use only operations that run without Python, for saved graphs; BMP and GIF are
            then rejected.

    Returns:
        uint8 `[size, size, 3]` in 0–255.

    Raises:
        tf.errors.InvalidArgumentError: as in `decode_image`.

    Example:
        >>> decode_square(tf.io.encode_png(tf.zeros([40, 50, 3], tf.uint8)), 32).shape
        TensorShape([32, 32, 3])
    """

    def jpeg() -> tf.Tensor:
        short_side = tf.reduce_min(tf.io.extract_jpeg_shape(contents)[:2])

        def reduced(ratio: int) -> Callable[[], tf.Tensor]:
            return lambda: _decode_jpeg(contents, ratio)

        # Scaled sides are rounded up by libjpeg, so side // ratio >= size is safe.
        decoded = reduced(8)
        for ratio in (4, 2, 1):  # nested so that the smallest images pass only one condition
            larger = decoded
            decoded = functools.partial(
                tf.cond, short_side >= 2 * ratio * size, larger, reduced(ratio)
            )
        return decoded()

    image = _decode(contents, jpeg, _refused if python_free else _decode_other)
    return square(image, size, warp)


def square(image: tf.Tensor, size: int, warp: bool) -> tf.Tensor:
    """Calls `warped` or `center_square`, as an image plan says."""
    return warped(image, size) if warp else center_square(image, size)


def warped(image: tf.Tensor, size: int) -> tf.Tensor:
    """Resizes one image or a batch to a square, whatever its shape, as Caffe's users do.

    Each axis is reduced by the mean of each new pixel's area or enlarged bilinearly.

    Args:
        image: uint8 `[height, width, 3]` or `[batch, height, width, 3]` in 0–255.
        size: side of the square in pixels.

    Returns:
        uint8 `[size, size, 3]` or `[batch, size, size, 3]`, rounded to the nearest.

    Example:
        >>> warped(tf.zeros([40, 50, 3], tf.uint8), 32).shape
        TensorShape([32, 32, 3])
    """
    reduced = tf.image.resize(image, tf.minimum(tf.shape(image)[-3:-1], size), "area")
    return tf.cast(tf.round(tf.image.resize(reduced, [size, size], "bilinear")), tf.uint8)


def center_square(image: tf.Tensor, size: int) -> tf.Tensor:
    """Cuts the center square out of one image or a batch and resizes it to `size`.

    This is the paper's "rescale the short side, then cut the center" in the reverse order: the
    region is the same, and nothing outside it is computed. Reducing takes the mean of each new
    pixel's area, so that nothing aliases; enlarging is bilinear with half-pixel centers.

    Args:
        image: uint8 `[height, width, 3]` or `[batch, height, width, 3]` in 0–255.
        size: side of the square in pixels.

    Returns:
        uint8 `[size, size, 3]` or `[batch, size, size, 3]`, rounded to the nearest.

    Example:
        >>> center_square(tf.zeros([40, 50, 3], tf.uint8), 32).shape
        TensorShape([32, 32, 3])
    """
    shape = tf.shape(image)
    height, width = (image.shape[axis] or shape[axis] for axis in (-3, -2))
    side = min(height, width) if image.shape[-3:].is_fully_defined() else tf.minimum(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = image[..., top : top + side, left : left + side, :]

    def resized(method: str) -> tf.Tensor:
        return tf.cast(tf.round(tf.image.resize(square, [size, size], method)), tf.uint8)

    if isinstance(side, int):  # all images have one size, so no condition is needed
        return square if side == size else resized("area" if side > size else "bilinear")
    return tf.cond(side > size, lambda: resized("area"), lambda: resized("bilinear"))


def reason(error: tf.errors.OpError | OSError) -> str:
    """Returns the line of an error that says what is wrong with the file."""
    if isinstance(error, OSError):  # errors of reading in Python reach an eager caller unchanged
        return str(error)
    message = re.sub(r"^\{\{.*?\}\} ", "", error.message)
    lines = message.split("[[")[0].split(" [Op:")[0].strip().splitlines()
    python_error = [line for line in lines if line.startswith("ValueError: ")]
    return python_error[-1].removeprefix("ValueError: ") if python_error else lines[0]


def _decode(
    contents: tf.Tensor,
    decode_jpeg: Callable[[], tf.Tensor],
    decode_other: Callable[[tf.Tensor], tf.Tensor] | None = None,
) -> tf.Tensor:
    def starts_with(magic: bytes) -> tf.Tensor:
        return tf.equal(tf.strings.substr(contents, 0, len(magic)), magic)

    def not_jpeg() -> tf.Tensor:
        return tf.cond(
            starts_with(_PNG_MAGIC),
            lambda: _decode_png(contents),
            lambda: (decode_other or _decode_other)(contents),
        )

    image = tf.cond(starts_with(_JPEG_MAGIC), decode_jpeg, not_jpeg)
    return tf.ensure_shape(image, [None, None, 3])


def _decode_png(contents: tf.Tensor) -> tf.Tensor:
    # Asked for four channels, TensorFlow fills the alpha of opaque PNGs of 1, 2 or 4 bits wrongly.
    header = tf.strings.join([tf.strings.substr(contents, 0, 25), bytes(25)])
    depth = tf.strings.substr(header, 24, 1)
    has_alpha = tf.reduce_any(depth == [b"\x08", b"\x10"]) | tf.strings.regex_full_match(
        contents, r"\C*tRNS\C*"
    )
    return tf.cond(
        has_alpha,
        lambda: composite_on_white(tf.io.decode_png(contents, channels=4)),
        lambda: tf.io.decode_png(contents, channels=3),
    )


def _decode_jpeg(contents: tf.Tensor, ratio: int) -> tf.Tensor:
    # The accurate transform is the same on every machine; TensorFlow's default may not be.
    return tf.io.decode_jpeg(contents, channels=3, ratio=ratio, dct_method="INTEGER_ACCURATE")


def composite_on_white(rgba: tf.Tensor) -> tf.Tensor:
    """Returns color · alpha + white · (1 − alpha), rounded: uint8 `[..., 4]` → `[..., 3]`."""
    color, alpha = tf.cast(rgba[..., :3], tf.int32), tf.cast(rgba[..., 3:], tf.int32)
    return tf.cast((color * alpha + 255 * (255 - alpha) + 127) // 255, tf.uint8)


def _refused(contents: tf.Tensor) -> tf.Tensor:
    message = "An image is neither JPEG nor PNG. Its first bytes:"
    # An error whose text is not UTF-8 reaches Python and JSON as a different error, or not at all.
    shown = tf.strings.unicode_transcode(
        tf.strings.substr(contents, 0, 8),
        input_encoding="UTF-8",
        output_encoding="UTF-8",
        replacement_char=ord("?"),
        replace_control_characters=True,
    )
    size = tf.strings.format("of {} bytes", tf.strings.length(contents))
    with tf.control_dependencies([tf.Assert(tf.constant(False), [message, shown, size])]):
        return tf.zeros([1, 1, 3], tf.uint8)


@tf.function(input_signature=[tf.TensorSpec([], tf.string)])
def _decode_other(contents: tf.Tensor) -> tf.Tensor:
    # A function of its own, so that errors are the same eagerly as in a pipeline.
    return tf.numpy_function(_decode_by_pillow, [contents], tf.uint8, stateful=False)


def _decode_by_pillow(contents: bytes) -> np.ndarray:
    from PIL import Image  # comes with matplotlib; only these rarer formats need it

    try:
        with Image.open(io.BytesIO(contents), formats=("BMP", "GIF")) as image:
            rgba = image.convert("RGBA")
    except Exception as error:  # Pillow raises many kinds for damaged files
        raise ValueError("not a JPEG, PNG, BMP or GIF, or a damaged one") from error
    return composite_on_white(np.asarray(rgba)).numpy()
