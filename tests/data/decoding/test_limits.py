"""No size that a file claims is believed: too large images are refused before they are decoded."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_alexnet.data import decode
from keras_alexnet.data.config import MAX_IMAGE_PIXELS
from support.memory import peak_of

LARGE = 100_000  # a side


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(height: int, width: int, *chunks: bytes) -> bytes:
    """A gray PNG with alpha of one value."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 4, 0, 0, 0))
    packer = zlib.compressobj(1)
    rows = [packer.compress(bytes(2 * width + 1)) for _ in range(height if height < LARGE else 0)]
    pixels = chunk(b"IDAT", b"".join(rows) + packer.flush())
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + pixels + chunk(b"IEND", b"")


def encoded(kind: str, height: int = 20, width: int = 30) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros([height, width, 3], np.uint8)).save(buffer, kind)
    return buffer.getvalue()


def claiming(kind: str) -> bytes:
    """A small file that claims to be large."""
    contents = bytearray(encoded(kind))
    if kind == "JPEG":
        place = contents.index(b"\xff\xc0") + 5
        contents[place : place + 4] = struct.pack(">HH", 65_500, 65_500)
    elif kind == "GIF":
        contents[6:10] = struct.pack("<HH", 65_535, 65_535)
    elif kind == "BMP":
        contents[18:26] = struct.pack("<ii", LARGE, LARGE)
    elif kind == "PPM":
        contents = bytearray(b"P6 %d %d 255\n" % (LARGE, LARGE))
    elif kind == "TIFF":
        for tag in (256, 257):
            place = contents.index(struct.pack("<HHI", tag, 4, 1)) + 8
            contents[place : place + 4] = struct.pack("<I", LARGE)
    return bytes(contents)


@pytest.mark.parametrize("kind", ["JPEG", "GIF", "BMP", "PPM", "TIFF", "PNG"])
def test_claimed_sizes_are_refused(kind):
    contents = png(LARGE, LARGE) if kind == "PNG" else claiming(kind)
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        decode.decode_image(tf.constant(contents))
    reason = decode.reason(caught.value)
    assert "exceeds limit" in reason or "more than the limit of 178,956,970" in reason
    assert "\n" not in reason


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "PPM", "TIFF", "WEBP", "AVIF"])
def test_the_limit_is_what_was_asked_for(kind):
    contents = tf.constant(encoded(kind))
    assert decode.decode_image(contents, max_pixels=600).shape == (20, 30, 3)
    assert decode.decode_square(contents, 8, max_pixels=600).shape == (8, 8, 3)
    for function in (decode.decode_image, lambda c, **few: decode.decode_square(c, 8, **few)):
        with pytest.raises(tf.errors.InvalidArgumentError) as caught:
            function(contents, max_pixels=599)
        assert decode.reason(caught.value) == (
            "it has 20 x 30 pixels, more than the limit of 599: make it smaller, or raise "
            "--max_image_pixels (max_image_pixels=)"
        )


def test_default():
    assert 14_204 * 10_652 < MAX_IMAGE_PIXELS  # the largest cameras
    assert MAX_IMAGE_PIXELS < 20_000**2


def test_a_saved_graph_has_the_limit(tmp_path):
    module = tf.Module()
    module.square = tf.function(
        lambda contents: decode.decode_square(contents, 16, python_free=True),
        input_signature=[tf.TensorSpec([], tf.string)],
    )
    tf.saved_model.save(module, str(tmp_path))
    square = tf.saved_model.load(str(tmp_path)).square
    assert square(tf.constant(encoded("PNG"))).shape == (16, 16, 3)
    for contents in (png(LARGE, LARGE), claiming("JPEG")):
        with pytest.raises(tf.errors.InvalidArgumentError, match="limit of 178,9"):
            square(tf.constant(contents))


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP", b"iTXt"])
def test_texts_that_unpack_to_too_much(kind):
    packed = zlib.compress(bytes(10**8), 9)
    start = b"a\0\1\0\0\0" if kind == b"iTXt" else b"a\0\0"
    contents = tf.constant(png(20, 30, chunk(kind, start + packed)))
    assert peak_of(lambda: decode.decode_image(contents)) < 5 * 10**7
