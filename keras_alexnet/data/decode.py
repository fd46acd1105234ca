"""Decoding of image files to uint8 RGB, as TensorFlow graph operations.

JPEG and PNG go through TensorFlow's own kernels, which run in parallel and wherever a saved graph
runs; all other formats go through Pillow. Images are turned upright as their EXIF data say, and
none is decoded that states more pixels than the limit.
"""

import functools
import re
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from keras_alexnet.data.config import MAX_IMAGE_PIXELS
from keras_alexnet.data.decoding import limits, orientation, other_formats
from keras_alexnet.data.decoding.transparency import composite_on_white
from keras_alexnet.data.squares import Window, square
from keras_alexnet.networks.image_plan import AREA

_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


_JPEG_MAGIC = b"\xff\xd8\xff"


def decode_image(contents: tf.Tensor, max_pixels: int = MAX_IMAGE_PIXELS) -> tf.Tensor:
    """Decodes one image, recognized by its first bytes: JPEG, PNG or a format that Pillow reads.

    Gray, palette, CMYK and 16-bit images become 8-bit RGB; alpha is composited on white; of several
    frames or pages the first is taken. The image is turned as its EXIF orientation says.

    Args:
        contents: string scalar, the encoded file.
        max_pixels: the largest number of pixels to decode.

    Returns:
        uint8 `[height, width, 3]` in 0–255.

    Raises:
        tf.errors.InvalidArgumentError: the bytes are not an image of these kinds, or damaged, or
            have more pixels.

    Example:
        >>> decode_image(tf.io.encode_png(tf.zeros([4, 5, 1], tf.uint8))).shape
        TensorShape([4, 5, 3])
    """

    def jpeg() -> tf.Tensor:
        sides = tf.io.extract_jpeg_shape(contents)[:2]
        return _decode_jpeg(limits.checked_size(contents, sides, max_pixels), 1)

    return _decode(contents, jpeg, max_pixels)


def decode_square(
    contents: tf.Tensor,
    size: int,
    warp: bool = False,
    resize: str = AREA,
    *,
    window: Window | None = None,
    max_pixels: int = MAX_IMAGE_PIXELS,
    python_free: bool = False,
) -> tf.Tensor:
    """Decodes one image and reduces it to its center square of `size` pixels a side.

    A JPEG whose short side is at least twice `size` is first reduced by 2, 4 or 8 inside the
    decoder's inverse cosine transform, to no less than `size`. This is several times faster, and
    the same wherever this function is used, so training and evaluation see the same pixels. With
    another `resize` than "area", which promises torchvision's pixels, it decodes all.

    Args:
        contents: string scalar, the encoded file.
        size: side of the square in pixels.
        warp: squeeze the whole image into the square instead of cutting out its center.
        resize: "area" or "antialiased_bilinear", see `ImagePlan`.
        window: the part of the square to return; None returns all of it.
        max_pixels: the largest number of pixels to decode.
        python_free: use only operations that run without Python, for saved graphs; formats other
            than JPEG and PNG are then rejected.

    Returns:
        uint8 `[size, size, 3]` in 0–255, or the window.

    Raises:
        tf.errors.InvalidArgumentError: as in `decode_image`.

    Example:
        >>> decode_square(tf.io.encode_png(tf.zeros([40, 50, 3], tf.uint8)), 32).shape
        TensorShape([32, 32, 3])
    """
    advice = "" if python_free else limits.RAISE_IT

    def jpeg() -> tf.Tensor:
        sides = tf.io.extract_jpeg_shape(contents)[:2]
        checked = limits.checked_size(contents, sides, max_pixels, advice)
        if resize != AREA:
            return _decode_jpeg(checked, 1)
        short_side = tf.reduce_min(sides)

        def reduced(ratio: int) -> Callable[[], tf.Tensor]:
            return lambda: _decode_jpeg(checked, ratio)

        # Scaled sides are rounded up by libjpeg, so side // ratio >= size is safe.
        decoded = reduced(8)
        for ratio in (4, 2, 1):  # nested so that the smallest images pass only one condition
            larger = decoded
            decoded = functools.partial(
                tf.cond, short_side >= 2 * ratio * size, larger, reduced(ratio)
            )
        return decoded()

    image = _decode(contents, jpeg, max_pixels, python_free)
    return square(image, size, warp, resize, window=window, python_free=python_free)


@functools.lru_cache(maxsize=32)
def square_decoder(
    size: int, warp: bool, resize: str, max_pixels: int = MAX_IMAGE_PIXELS
) -> tf.types.experimental.GenericFunction:
    """Returns `decode_square` with these arguments, a function of an encoded image.

    It is traced once in a process. Tracing takes a second, in which hundreds of images are decoded.

    Example:
        >>> decode = square_decoder(32, warp=False, resize="area")
        >>> decode(tf.io.encode_png(tf.zeros([40, 50, 3], tf.uint8))).shape
        TensorShape([32, 32, 3])
    """
    return tf.function(
        lambda contents: decode_square(contents, size, warp, resize, max_pixels=max_pixels),
        input_signature=[tf.TensorSpec([], tf.string)],
        autograph=False,
    )


@functools.lru_cache(maxsize=32)
def window_decoder(
    size: int, warp: bool, resize: str, window_size: int, max_pixels: int = MAX_IMAGE_PIXELS
) -> tf.types.experimental.GenericFunction:
    """Returns `decode_square` of a window of the square, traced once in a process.

    It is a function of an encoded image, the window's corner int32 `[2]`, and whether it is
    mirrored, bool.

    Example:
        >>> decode = window_decoder(32, warp=False, resize="area", window_size=24)
        >>> image = tf.io.encode_png(tf.zeros([40, 50, 3], tf.uint8))
        >>> decode(image, tf.constant([0, 8]), tf.constant(True)).shape
        TensorShape([24, 24, 3])
    """

    def decoded(contents: tf.Tensor, corner: tf.Tensor, mirrored: tf.Tensor) -> tf.Tensor:
        window = Window(corner, window_size, mirrored)
        return decode_square(contents, size, warp, resize, window=window, max_pixels=max_pixels)

    specs = [(tf.string, []), (tf.int32, [2]), (tf.bool, [])]
    signature = [tf.TensorSpec(shape, dtype) for dtype, shape in specs]
    return tf.function(decoded, input_signature=signature, autograph=False)


@functools.lru_cache(maxsize=32)
def image_decoder(max_pixels: int) -> tf.types.experimental.GenericFunction:
    """Returns `decode_image` with this limit, traced once in a process.

    Example:
        >>> image_decoder(100)(tf.io.encode_png(tf.zeros([4, 5, 3], tf.uint8))).shape
        TensorShape([4, 5, 3])
    """
    return tf.function(
        lambda contents: decode_image(contents, max_pixels),
        input_signature=[tf.TensorSpec([], tf.string)],
        autograph=False,
    )


def decode_plain_jpeg(contents: tf.Tensor) -> tf.Tensor:
    """Returns what `decode_image` does, of an upright JPEG whose size was checked.

    Example:
        >>> decode_plain_jpeg(tf.io.encode_jpeg(tf.zeros([4, 5, 3], tf.uint8))).shape
        TensorShape([4, 5, 3])
    """
    return _decode_jpeg(contents, 1)


def reason(error: tf.errors.OpError | OSError) -> str:
    """Returns the line of an error that says what is wrong with the file."""
    if isinstance(error, OSError):  # errors of reading in Python reach an eager caller unchanged
        return error.strerror or str(error)
    message = re.sub(r"^\{\{.*?\}\} ", "", error.message)
    lines = message.split("[[")[0].split(" [Op:")[0].strip().splitlines()
    python_error = [line for line in lines if line.startswith("ValueError: ")]
    line = python_error[-1].removeprefix("ValueError: ") if python_error else lines[0]
    asserted = re.fullmatch(r"assertion failed: \[(it has .*)\]", line.replace("] [", " "))
    return asserted[1].replace(" :", ":") if asserted else line


def _decode(
    contents: tf.Tensor,
    decode_jpeg: Callable[[], tf.Tensor],
    max_pixels: int,
    python_free: bool = False,
) -> tf.Tensor:
    def starts_with(magic: bytes) -> tf.Tensor:
        return tf.equal(tf.strings.substr(contents, 0, len(magic)), magic)

    def other() -> tf.Tensor:
        if python_free:
            return _refused(contents)
        return _decode_other(contents, tf.constant(max_pixels, tf.int64))

    def jpeg() -> tuple[tf.Tensor, tf.Tensor]:
        return decode_jpeg(), orientation.of_jpeg(contents)

    def png() -> tuple[tf.Tensor, tf.Tensor]:
        advice = "" if python_free else limits.RAISE_IT
        checked = limits.checked_size(contents, limits.png_sides(contents), max_pixels, advice)
        return _decode_png(checked)

    def not_jpeg() -> tuple[tf.Tensor, tf.Tensor]:
        return tf.cond(
            starts_with(_PNG_MAGIC), png, lambda: (other(), tf.constant(orientation.UPRIGHT))
        )

    # Turned in one place: each branch of the graph takes time to make ready.
    image, turn = tf.cond(starts_with(_JPEG_MAGIC), jpeg, not_jpeg)
    return tf.ensure_shape(orientation.turned(image, turn), [None, None, 3])


def _decode_png(contents: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the image and its orientation."""
    header = tf.strings.join([tf.strings.substr(contents, 0, 26), bytes(26)])
    color = tf.strings.substr(header, 25, 1)
    # One search for both of the chunks that few files have.
    has_more = tf.strings.regex_full_match(contents, r"\C*(?:tRNS|eXIf)\C*")
    has_clear_color, turn = tf.cond(
        has_more,
        lambda: (
            tf.strings.regex_full_match(contents, r"\C*tRNS\C*"),
            orientation.of_png(contents),
        ),
        lambda: (tf.constant(False), tf.constant(orientation.UPRIGHT)),
    )
    # Only these: TensorFlow fills the alpha of opaque PNGs of 1, 2 or 4 bits wrongly.
    has_alpha = tf.reduce_any(color == [b"\x04", b"\x06"])
    image = tf.cond(
        has_alpha | has_clear_color,
        lambda: composite_on_white(tf.io.decode_png(contents, channels=4)),
        lambda: tf.io.decode_png(contents, channels=3),
    )
    return image, turn


def _decode_jpeg(contents: tf.Tensor, ratio: int) -> tf.Tensor:
    # The accurate transform is the same on every machine; TensorFlow's default may not be.
    return tf.io.decode_jpeg(contents, channels=3, ratio=ratio, dct_method="INTEGER_ACCURATE")


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


@functools.partial(
    tf.function,
    input_signature=[tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.int64)],
    autograph=False,
)
def _decode_other(contents: tf.Tensor, max_pixels: tf.Tensor) -> tf.Tensor:
    # A function of its own, so that errors are the same eagerly as in a pipeline.
    return tf.numpy_function(_by_pillow, [contents, max_pixels], tf.uint8, stateful=False)


def _by_pillow(contents: bytes, max_pixels: np.int64) -> np.ndarray:
    return other_formats.decode(contents, int(max_pixels))
