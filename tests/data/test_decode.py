"""Every kind of file becomes the RGB image that Pillow, or plain arithmetic, makes of it."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_alexnet.data import decode, squares

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (20, 30, 4), np.uint8)


def smooth(height: int, width: int, channels: int) -> np.ndarray:
    """An image that JPEG changes little: float waves in 0–255."""
    y, x, c = np.ogrid[:height, :width, :channels]
    waves = 127.5 + 120 * np.sin(x / width * 5 + c) * np.cos(y / height * 4 - c)
    return waves.round().astype(np.uint8)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def on_white(image: Image.Image) -> np.ndarray:
    """What Pillow sees, composited on white by the definition."""
    rgba = np.asarray(image.convert("RGBA")).astype(float)
    alpha = rgba[..., 3:] / 255
    return rgba[..., :3] * alpha + 255 * (1 - alpha)


def cmyk() -> Image.Image:
    return Image.fromarray(smooth(20, 30, 4), "CMYK")


def rgb() -> Image.Image:
    return Image.fromarray(PIXELS[..., :3])


def gray() -> Image.Image:
    return Image.fromarray(PIXELS[..., 0])


def palette() -> Image.Image:
    return rgb().quantize(16)


def clear_palette() -> bytes:
    return encoded(palette(), "PNG", transparency=3)


def clear_gif() -> bytes:
    return encoded(palette(), "GIF", transparency=3)


def animation() -> bytes:
    return encoded(palette(), "GIF", save_all=True, append_images=[palette(), palette()])


LOSSLESS = {
    "png": lambda: encoded(rgb(), "PNG"),
    "png gray": lambda: encoded(gray(), "PNG"),
    "png gray alpha": lambda: encoded(Image.fromarray(PIXELS[..., :2], "LA"), "PNG"),
    "png rgba": lambda: encoded(Image.fromarray(PIXELS, "RGBA"), "PNG"),
    "png palette": lambda: encoded(palette(), "PNG"),
    "png palette with a clear color": clear_palette,
    "png palette of 2 bits": lambda: encoded(rgb().quantize(4), "PNG", bits=2),
    "png gray with a clear value": lambda: encoded(gray(), "PNG", transparency=77),
    "png with a clear color": lambda: encoded(rgb(), "PNG", transparency=rgb().getpixel((3, 3))),
    "png one bit": lambda: encoded(gray().convert("1"), "PNG"),
    "bmp": lambda: encoded(rgb(), "BMP"),
    "bmp gray": lambda: encoded(gray(), "BMP"),
    "bmp palette": lambda: encoded(palette(), "BMP"),
    "bmp one bit": lambda: encoded(gray().convert("1"), "BMP"),
    "gif": lambda: encoded(palette(), "GIF"),
    "gif with a clear color": clear_gif,
    "gif animation": animation,
}
JPEG = {
    "jpeg": lambda: encoded(Image.fromarray(smooth(20, 30, 3)), "JPEG", quality=95),
    "jpeg progressive": lambda: encoded(
        Image.fromarray(smooth(20, 30, 3)), "JPEG", quality=95, progressive=True
    ),
    "jpeg gray": lambda: encoded(Image.fromarray(smooth(20, 30, 1)[..., 0]), "JPEG", quality=95),
}


@pytest.mark.parametrize("kind", LOSSLESS)
def test_lossless_kinds(kind):
    contents = LOSSLESS[kind]()
    image = decode.decode_image(tf.constant(contents)).numpy()
    expected = on_white(Image.open(io.BytesIO(contents)))
    assert image.dtype == np.uint8 and image.shape == (20, 30, 3)
    np.testing.assert_allclose(image, expected, atol=0.51)


@pytest.mark.parametrize("kind", JPEG)
def test_jpeg_kinds(kind):
    contents = JPEG[kind]()
    image = decode.decode_image(tf.constant(contents)).numpy()
    # Both decode with libjpeg's accurate transform.
    assert np.array_equal(image, np.asarray(Image.open(io.BytesIO(contents)).convert("RGB")))


def test_cmyk_jpeg():
    contents = encoded(cmyk(), "JPEG", quality=100, subsampling=0)
    image = decode.decode_image(tf.constant(contents)).numpy().astype(float)
    ink = smooth(20, 30, 4).astype(float)
    expected = (255 - ink[..., :3]) * (255 - ink[..., 3:]) / 255
    np.testing.assert_allclose(image, expected, atol=6)


def test_png_of_16_bits_keeps_the_high_byte():
    values = np.arange(0, 65536, 109, np.uint16)[:600].reshape(20, 30)
    contents = encoded(Image.fromarray(values), "PNG")
    image = decode.decode_image(tf.constant(contents)).numpy()
    np.testing.assert_allclose(image[..., 0], values / 257, atol=1)
    assert np.array_equal(image[..., 0], image[..., 2])


def test_png_of_16_bits_with_alpha():
    values = RANDOM.integers(0, 65536, (20, 30, 4), np.uint16)
    image = decode.decode_image(tf.io.encode_png(values)).numpy()
    alpha = values[..., 3:] / 65535
    expected = values[..., :3] / 257 * alpha + 255 * (1 - alpha)
    np.testing.assert_allclose(image, expected, atol=2)


def test_the_same_inside_a_pipeline():
    contents = [make() for make in (*LOSSLESS.values(), *JPEG.values())]
    dataset = tf.data.Dataset.from_tensor_slices(contents).map(decode.decode_image, 2)
    for image, one in zip(dataset, contents, strict=True):
        assert np.array_equal(image, decode.decode_image(tf.constant(one)))


@pytest.mark.parametrize("kind", ["jpeg", "jpeg progressive", "png", "bmp", "gif"])
@pytest.mark.parametrize("kept", [0.0, 0.05, 0.5, 0.9])
def test_cut_off_files_are_errors(kind, kept):
    contents = (LOSSLESS | JPEG)[kind]()
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        decode.decode_image(tf.constant(contents[: int(len(contents) * kept)]))
    assert "\n" not in decode.reason(caught.value)


def test_other_files_are_errors():
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        decode.decode_image(tf.constant(b"<html>no image</html>"))
    assert "not a JPEG, PNG, BMP, GIF" in decode.reason(caught.value)


@pytest.mark.parametrize(
    "contents, shown",
    [
        (b"", "[] [of 0 bytes]"),
        (b"<html>no image</html>", "[<html>no] [of 21 bytes]"),
        (b"\xff\xfe\x80A\x00\n\x9f\xd8\xff", "[???A????] [of 9 bytes]"),
        ("aüöüöü".encode(), "[aüöü?] [of 11 bytes]"),  # the last of them is cut in two
    ],
)
def test_a_saved_graph_says_in_utf8_what_is_no_image(contents, shown, tmp_path):
    module = tf.Module()
    module.square = tf.function(
        lambda contents: decode.decode_square(contents, 8, python_free=True),
        [tf.TensorSpec([], tf.string)],
    )
    tf.saved_model.save(module, str(tmp_path))
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        tf.saved_model.load(str(tmp_path)).square(tf.constant(contents))
    assert f"[An image is neither JPEG nor PNG. Its first bytes:] {shown}" in str(caught.value)


def weights_of(size: int, out: int) -> np.ndarray:
    """[out, size]: what each old pixel gives to each new one along one axis."""
    scale, old, new = size / out, np.arange(size), np.arange(out)[:, None]
    if size > out:  # its share of the new pixel's area
        common = np.minimum(old + 1, (new + 1) * scale) - np.maximum(old, new * scale)
        return np.maximum(common, 0) / scale
    centers = np.clip((new + 0.5) * scale - 0.5, 0, size - 1)
    return np.maximum(1 - np.abs(old - centers), 0)  # bilinear


def plain_square(image: np.ndarray, out: int) -> np.ndarray:
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    weights = weights_of(side, out)
    square = image[top : top + side, left : left + side].astype(float)
    return np.einsum("iy,jx,yxc->ijc", weights, weights, square)


@pytest.mark.parametrize(
    "shape", [(64, 64), (40, 90), (91, 40), (33, 32), (32, 57), (20, 31), (5, 200)]
)
def test_square(shape):
    image = RANDOM.integers(0, 256, (*shape, 3), np.uint8)
    contents = tf.constant(encoded(Image.fromarray(image), "PNG"))
    square = decode.decode_square(contents, 32).numpy()
    assert square.shape == (32, 32, 3) and square.dtype == np.uint8
    np.testing.assert_allclose(square, plain_square(image, 32), atol=0.51)
    # Inside a pipeline, where the shape is not known before.
    in_graph = tf.function(lambda contents: decode.decode_square(contents, 32))(contents)
    assert np.array_equal(in_graph, square)


def test_square_of_a_batch_is_that_of_each_image():
    images = RANDOM.integers(0, 256, (3, 28, 30, 3), np.uint8)
    together = squares.center_square(tf.constant(images), 32)
    for image, square in zip(images, together, strict=True):
        assert np.array_equal(square, squares.center_square(tf.constant(image), 32))


def test_square_that_fits_is_untouched():
    image = RANDOM.integers(0, 256, (48, 32, 3), np.uint8)
    assert np.array_equal(squares.center_square(tf.constant(image), 32), image[8:40])


@pytest.mark.parametrize("side, reduced_by", [(63, 1), (64, 2), (127, 2), (128, 4), (300, 8)])
def test_large_jpegs_are_reduced_in_the_decoder(side, reduced_by):
    contents = tf.constant(encoded(Image.fromarray(smooth(side, side + 9, 3)), "JPEG", quality=95))
    square = decode.decode_square(contents, 32).numpy()
    small = tf.io.decode_jpeg(contents, 3, ratio=reduced_by, dct_method="INTEGER_ACCURATE").numpy()
    assert min(small.shape[:2]) >= 32
    np.testing.assert_allclose(square, plain_square(small, 32), atol=0.51)
    np.testing.assert_allclose(square, plain_square(smooth(side, side + 9, 3), 32), atol=12)


@pytest.mark.parametrize("shape", [(64, 48, 3), (20, 90, 3), (16, 20, 3), (32, 32, 3)])
def test_warping_squeezes_the_whole_image(shape):
    image = smooth(*shape)
    warped = decode.decode_square(tf.io.encode_png(image), 32, warp=True).numpy()
    assert warped.shape == (32, 32, 3) and warped.dtype == np.uint8
    # A smooth image keeps its colors at the same relative place, the corners included.
    places = (np.arange(32) + 0.5) / 32
    rows = np.clip(places * shape[0] - 0.5, 0, shape[0] - 1).round().astype(int)
    columns = np.clip(places * shape[1] - 0.5, 0, shape[1] - 1).round().astype(int)
    difference = np.abs(warped.astype(int) - image[np.ix_(rows, columns)])
    assert difference.mean() < 6 and difference.max() < 40
    in_a_batch = squares.square(tf.constant(image)[None], 32, warp=True)
    assert np.array_equal(in_a_batch[0], warped)
    center = decode.decode_square(tf.io.encode_png(image), 32).numpy()
    assert np.array_equal(center, warped) == (shape[0] == shape[1])
