"""Formats that are thinly used: their pixels are Pillow's, and a part of a file is damage."""

import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_alexnet.data import decode

RANDOM = np.random.default_rng(7)
BLOCKS = RANDOM.integers(0, 256, (4, 5, 4)).repeat(8, axis=0).repeat(8, axis=1).astype(np.uint8)
COLOR, ALPHA = Image.fromarray(BLOCKS[..., :3]), Image.fromarray(BLOCKS)
GRAY, PALETTE, LINES = COLOR.convert("L"), COLOR.quantize(16), COLOR.convert("1")
DEEP = np.asarray(GRAY).astype(np.uint16) * 257  # the same gray in 16 bits


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def tiff_of_12_bits(values: np.ndarray) -> bytes:
    """A gray TIFF of uint16 `[height, even width]`, which Pillow reads but does not write."""
    pairs = (values >> 4).reshape(-1, 2).astype(np.uint32)
    joined = pairs[:, 0] << 12 | pairs[:, 1]
    data = b"".join(int(pair).to_bytes(3, "big") for pair in joined)
    height, width = values.shape
    shorts = {256: width, 257: height, 258: 12, 259: 1, 262: 1, 277: 1, 278: height}
    tags = [(tag, 3, 1, value) for tag, value in shorts.items()]
    tags = sorted([*tags, (273, 4, 1, 8), (279, 4, 1, len(data))])
    directory = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    start = struct.pack("<4sI", b"II*\0", 8 + len(data))
    return start + data + struct.pack("<H", len(tags)) + directory + bytes(4)


def frames(kind: str, **options) -> bytes:
    others = [Image.new("RGB", COLOR.size, name) for name in ("red", "blue")]
    return encoded(COLOR, kind, save_all=True, append_images=others, **options)


# The file → the image whose pixels it must give; without one, those that Pillow reads from it.
FILES: dict[str, tuple[bytes, Image.Image | None]] = {
    "TIFF of 16 bits": (encoded(Image.fromarray(DEEP), "TIFF"), GRAY),
    "TIFF of 16 bits, 0 is white": (
        encoded(Image.fromarray(65535 - DEEP), "TIFF", tiffinfo={262: 0}),
        GRAY,
    ),
    "TIFF of 12 bits": (tiff_of_12_bits(DEEP), GRAY),
    "TIFF of floats": (encoded(Image.fromarray(np.float32(DEEP / 65535)), "TIFF"), GRAY),
    "CMYK TIFF": (encoded(COLOR.convert("CMYK"), "TIFF", compression="tiff_lzw"), COLOR),
    "palette TIFF": (encoded(PALETTE, "TIFF"), PALETTE),
    "fax TIFF": (encoded(LINES, "TIFF", compression="group4"), LINES),
    "transparent TIFF": (encoded(ALPHA, "TIFF"), ALPHA),
    "TIFF of pages": (frames("TIFF"), COLOR),
    "CMYK JPEG": (encoded(COLOR.convert("CMYK"), "JPEG", quality=95), None),
    "palette WebP": (encoded(PALETTE, "WEBP", lossless=True), PALETTE),
    "transparent WebP": (encoded(ALPHA, "WEBP", lossless=True, exact=True), ALPHA),
    "animated WebP": (frames("WEBP", lossless=True), COLOR),
    "animated GIF": (frames("GIF"), None),
    "PPM": (encoded(COLOR, "PPM"), COLOR),
    "PGM": (encoded(GRAY, "PPM"), GRAY),
    "PGM of 16 bits": (b"P5 40 32 65535\n" + DEEP.astype(">u2").tobytes(), GRAY),
    "PBM": (encoded(LINES, "PPM"), LINES),
    "PFM": (encoded(Image.fromarray(np.float32(DEEP / 65535)), "PPM"), GRAY),
}


@pytest.mark.parametrize("kind", FILES)
def test_pixels_are_those_of_pillow(kind):
    contents, image = FILES[kind]
    image = image or Image.open(io.BytesIO(contents))
    if image.mode == "RGBA":
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    wanted = np.asarray(image.convert("RGB")).astype(int)
    found = decode.decode_image(tf.constant(contents)).numpy()
    assert found.shape == wanted.shape and np.abs(found - wanted).max() <= 1


@pytest.mark.filterwarnings("ignore:.*(Corrupt EXIF|Truncated File)")
@pytest.mark.parametrize("kind", FILES)
def test_a_fifth_of_a_file_is_damaged(kind):
    contents, _ = FILES[kind]
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode.decode_image(tf.constant(contents[: len(contents) // 5]))
