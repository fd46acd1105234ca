"""Decoding of the formats that TensorFlow does not read, by Pillow."""

import functools
import io
import struct

import numpy as np

from keras_alexnet.data.config import MAX_IMAGE_PIXELS
from keras_alexnet.data.decoding import limits
from keras_alexnet.data.decoding.transparency import composite_array_on_white

# Those of Pillow's that hold one picture of pixels, and that no other program is started for.
_FORMATS = ("BMP", "DIB", "GIF", "WEBP", "TIFF", "AVIF", "PPM")

READ = "JPEG, PNG, BMP, GIF, WebP, TIFF, AVIF or PNM"  # AVIF if Pillow has it

_BITS_PER_SAMPLE, _PHOTOMETRIC, _ORIENTATION = 258, 262, 0x0112  # tags of TIFF
_WHITE_IS_ZERO = 0
_DEEP_MODES = ("I", "I;16", "I;16L", "I;16B", "I;16N", "F")
_FULL_COLOR = "RGBA"


def decode(contents: bytes, most: int = MAX_IMAGE_PIXELS) -> np.ndarray:
    """Decodes one image, upright; of several frames or pages the first.

    Palettes, gray and CMYK become RGB; alpha is composited on white. Gray of 16 bits is scaled to
    8, and gray of floats from 0–1.

    Args:
        contents: the encoded file.
        most: the largest number of pixels to decode.

    Returns:
        uint8 `[height, width, 3]` in 0–255.

    Raises:
        ValueError: it is not an image, it is damaged or too large, or its pixels have no known
            range.

    Example:
        >>> decode(b"P5 3 2 255 abcdef").shape
        (2, 3, 3)
    """
    from PIL import Image  # only these rarer formats need it

    try:
        with Image.open(io.BytesIO(contents), formats=_known_formats()) as image:
            if image.width * image.height > most:
                raise _Refused(limits.too_large(image.height, image.width, most))
            image.load()
            pixels = _deep_gray(image) if image.mode in _DEEP_MODES else _color(image)
            return _upright(image, pixels)
    except _Refused as error:
        raise ValueError(str(error)) from error
    except Image.DecompressionBombError as error:
        raise ValueError(f"it is too large for Pillow: {error}") from error
    except Exception as error:  # Pillow raises many kinds for damaged files
        raise ValueError(f"not a {READ}, or a damaged one") from error


class _Refused(Exception):
    """The reason why a whole image is not decoded."""


@functools.cache
def _known_formats() -> list[str]:
    from PIL import Image

    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


def _color(image) -> np.ndarray:  # type: ignore[no-untyped-def]
    try:
        if image.mode in ("RGB", "L", "1", "CMYK", "YCbCr") and "transparency" not in image.info:
            return np.asarray(image.convert("RGB"))
        return composite_array_on_white(np.asarray(image.convert(_FULL_COLOR)))
    except ValueError as error:
        raise _Refused(f"its colors cannot be converted to RGB: {error}") from error


def _deep_gray(image) -> np.ndarray:  # type: ignore[no-untyped-def]
    values, tags = np.asarray(image), getattr(image, "tag_v2", {})
    if image.mode == "F":
        # NaN fails both comparisons.
        if not (values.min(initial=0) >= 0 and values.max(initial=0) <= 1):
            raise _Refused("its pixels are floats outside 0–1, whose range is not known")
        gray = np.rint(values * np.float32(255))
    elif image.mode == "I" and image.format != "PPM":
        raise _Refused("its pixels are signed or 32-bit numbers, whose range is not known")
    else:
        most = 2 ** tags.get(_BITS_PER_SAMPLE, (16,))[0] - 1
        gray = (values.astype(np.uint32) * 255 + most // 2) // most
        if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
            gray = 255 - gray
    return np.repeat(gray.astype(np.uint8)[..., None], 3, axis=-1)


def _upright(image, pixels: np.ndarray) -> np.ndarray:  # type: ignore[no-untyped-def]
    try:
        # Pillow has turned TIFFs already, and then forgotten their orientation.
        orientation = image.getexif().get(_ORIENTATION, 1)
    except (Exception, struct.error):  # it raises many kinds for damaged EXIF data
        return pixels
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
