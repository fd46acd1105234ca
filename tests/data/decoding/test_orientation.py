"""Images come out upright, as Pillow turns them, from every format and inside a saved graph."""

import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from keras_alexnet.data import decode, squares
from keras_alexnet.data.decoding import orientation
from support.mutations import SEARCH, damaged

RANDOM = np.random.default_rng(0)
SHORT, LONG = 3, 4


def waves(height: int, width: int) -> Image.Image:
    y, x, c = np.ogrid[:height, :width, :3]
    return Image.fromarray(np.uint8(127 + 60 * np.sin(x / 9 + c) + 60 * np.cos(y / 5 - c)))


def exif(value: int, order: str = ">", kind: int = SHORT, tags_before: int = 3) -> bytes:
    """EXIF data that state an orientation, after some other tags."""
    start = {">": b"MM\0*", "<": b"II*\0"}[order]
    number = struct.pack(order + ("Hxx" if kind == SHORT else "I"), value)
    tags = [struct.pack(order + "HHIHxx", 0x0100 + n, SHORT, 1, 6) for n in range(tags_before)]
    tags.append(struct.pack(order + "HHI", 0x0112, kind, 1) + number)
    count = struct.pack(order + "H", len(tags))
    return start + struct.pack(order + "I", 8) + count + b"".join(tags) + bytes(4)


def segment(kind: int, data: bytes) -> bytes:
    return bytes([0xFF, kind]) + struct.pack(">H", len(data) + 2) + data


def jpeg(*segments: bytes, image: Image.Image | None = None) -> bytes:
    """A JPEG with these segments after its JFIF segment."""
    buffer = io.BytesIO()
    (image or waves(24, 40)).save(buffer, "JPEG", quality=95, subsampling=0)
    contents = buffer.getvalue()
    assert contents[2:6] == b"\xff\xe0\0\x10"
    return contents[:20] + b"".join(segments) + contents[20:]


def exif_segment(data: bytes) -> bytes:
    return segment(0xE1, b"Exif\0\0" + data)


def upright(contents: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(contents)) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


STRING = [tf.TensorSpec([], tf.string)]
decode_image = tf.function(decode.decode_image, input_signature=STRING)
of_jpeg = tf.function(orientation.of_jpeg, input_signature=STRING)
of_png = tf.function(orientation.of_png, input_signature=STRING)


def decoded(contents: bytes) -> np.ndarray:
    return decode_image(contents).numpy()


@pytest.mark.parametrize("kind", [SHORT, LONG])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("value", range(1, 9))
def test_jpegs_are_turned_as_pillow_turns_them(value, order, kind):
    contents = jpeg(exif_segment(exif(value, order, kind)))
    assert of_jpeg(contents) == value
    assert np.array_equal(decoded(contents), upright(contents))


XMP = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + b"<x/>" * 100)
SIDEWAYS = exif_segment(exif(6))


@pytest.mark.parametrize(
    "contents",
    [
        jpeg(SIDEWAYS, segment(0xFE, b"a comment")),
        jpeg(XMP, segment(0xE2, b"ICC_PROFILE\0\1\1" + bytes(3000)), SIDEWAYS),
        jpeg(segment(0xFE, b"Exif\0\0" + exif(3)), SIDEWAYS),
        jpeg(b"\xff\xff\xff", SIDEWAYS),
        jpeg(SIDEWAYS).replace(jpeg()[2:20], b"", 1),  # without JFIF, as cameras write it
        jpeg(exif_segment(exif(6, tags_before=90))),
    ],
    ids=["first", "after XMP", "after a comment", "after filling", "no JFIF", "many tags"],
)
def test_exif_is_found_wherever_it_is(contents):
    assert upright(contents).shape == (40, 24, 3)
    assert np.array_equal(decoded(contents), upright(contents))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"II",
        b"II*\0\xff\xff\xff\xff",
        b"II*\0\x08\0\0\0\xff\xff",
        exif(0),
        exif(9),
        exif(6)[:-9],
        exif(6)[4:],
        exif(6).replace(b"MM\0*", b"MM\0+"),
        exif(6, kind=7),
        exif(2**31 + 6, kind=LONG),
    ],
)
def test_damaged_exif_is_ignored(data):
    contents = jpeg(exif_segment(data))
    assert np.array_equal(decoded(contents), decoded(jpeg()))


def test_only_exif_makes_a_difference():
    plain = jpeg()
    expected = tf.io.decode_jpeg(plain, 3, dct_method="INTEGER_ACCURATE")
    assert np.array_equal(decoded(plain), expected)
    # Bytes in the picture or in a thumbnail that look like EXIF are none.
    assert of_jpeg(plain + SIDEWAYS) == 1


TURNED = jpeg(segment(0xE2, b"x" * 20), SIDEWAYS)


@SEARCH
@given(damaged(TURNED[: len(TURNED) // 2]))
@example(b"\xff\xd8\xff")
@example(b"\xff\xd8" + b"\xff" * 100_000)
@example(b"\xff\xd8" + segment(0xE2, bytes(65_533)) * 3 + SIDEWAYS)
def test_damage_never_fails(contents):
    assert 1 <= of_jpeg(contents) <= 8


@SEARCH
@given(st.binary(max_size=200))
def test_damaged_exif_never_fails(data):
    for start in (b"", b"II*\0", b"MM\0*", b"II*\0\x08\0\0\0"):
        assert 1 <= of_jpeg(jpeg(exif_segment(start + data))) <= 8
        assert 1 <= of_png(b"eXIf" + start + data) <= 8


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("value", [1, 2, 3, 4, 5, 6, 7, 8])
def test_other_formats_are_turned(format, value):
    data, buffer = Image.Exif(), io.BytesIO()
    data[0x0112] = value
    options = {"WEBP": {"lossless": True}, "AVIF": {"quality": 100}}.get(format, {})
    waves(24, 40).save(buffer, format, exif=data, **options)
    found = decoded(buffer.getvalue())
    assert np.array_equal(found, upright(buffer.getvalue()))
    assert found.shape == ((24, 40, 3) if value <= 4 else (40, 24, 3))


def test_png_with_exif_after_the_pixels():
    buffer = io.BytesIO()
    waves(24, 40).convert("RGBA").save(buffer, "PNG", exif=exif(8))
    contents = buffer.getvalue()
    start = contents.index(b"eXIf") - 4
    size = 12 + int.from_bytes(contents[start : start + 4], "big")
    chunk, rest = contents[start : start + size], contents[:start] + contents[start + size :]
    moved = rest[:-12] + chunk + rest[-12:]
    assert np.array_equal(decoded(moved), upright(contents))


@pytest.mark.parametrize("value", [3, 6, 7])
def test_images_are_turned_after_the_decoder_has_reduced_them(value):
    contents = jpeg(exif_segment(exif(value)), image=waves(203, 301))
    reduced = tf.io.decode_jpeg(contents, 3, ratio=4, dct_method="INTEGER_ACCURATE").numpy()
    data = Image.Exif()
    data[0x0112] = value
    buffer = io.BytesIO()
    Image.fromarray(reduced).save(buffer, "PNG", exif=data)
    expected = squares.center_square(tf.constant(upright(buffer.getvalue())), 32)
    assert np.array_equal(decode.decode_square(tf.constant(contents), 32), expected)


def test_inside_a_saved_graph(tmp_path):
    module = tf.Module()
    module.square = tf.function(
        lambda contents: decode.decode_square(contents, 16, python_free=True),
        input_signature=STRING,
    )
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    for value in range(1, 9):
        contents = tf.constant(jpeg(exif_segment(exif(value, "<"))))
        assert np.array_equal(loaded.square(contents), decode.decode_square(contents, 16))
