"""The signature image_bytes makes of a file exactly the input that evaluation makes of it.

Exported is a network whose logits are its pixels, so what reached it can be read bit for bit.
"""

import functools
import io
import pathlib

import matplotlib
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_alexnet.data import memory_budget, pipeline
from keras_alexnet.data.image_files import ImageFiles
from keras_alexnet.data.splits import Split
from keras_alexnet.exporting.formats import saved_model
from keras_alexnet.networks.image_plan import ImagePlan
from support.exports import transparent

RANDOM = np.random.default_rng(0)
PHOTOGRAPHS = pathlib.Path(matplotlib.get_data_path()) / "sample_data"
PLANS = {
    "square cut to a crop": ImagePlan(square_size=48, crop_size=42, crop_padding=0, input_size=42),
    "crop enlarged": ImagePlan(square_size=32, crop_size=32, crop_padding=4, input_size=45),
}


def written(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def smooth(height: int, width: int, channels: int = 3) -> np.ndarray:
    y, x, c = np.ogrid[:height, :width, :channels]
    waves = 127 + 90 * np.sin(x / width * 9 + c) * np.cos(y / height * 7 - c)
    pixels = waves + RANDOM.normal(0, 15, (height, width, channels))
    return np.clip(pixels, 0, 255).astype(np.uint8)


TURNED = (  # an EXIF block that says orientation 6
    b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
)


@functools.cache
def files() -> dict[str, bytes]:
    """Every kind of JPEG and PNG, by file name."""
    rgb = Image.fromarray(smooth(70, 90))
    rgba, gray = Image.fromarray(smooth(70, 90, 4), "RGBA"), rgb.convert("L")
    jpeg, png = functools.partial(written, kind="JPEG"), functools.partial(written, kind="PNG")
    found = {
        "rgb.jpg": jpeg(rgb),
        "progressive.jpg": jpeg(rgb, progressive=True),
        "full color.jpg": jpeg(rgb, subsampling=0),
        "gray.jpg": jpeg(gray),
        "cmyk.jpg": jpeg(Image.fromarray(smooth(70, 90, 4), "CMYK")),
        "turned by exif.jpg": jpeg(rgb, exif=TURNED),
        "rgb.png": png(rgb),
        "rgba.png": png(rgba),
        "gray.png": png(gray),
        "gray alpha.png": png(rgba.convert("LA")),
        "gray with a clear value.png": png(gray, transparency=120),
        "rgb with a clear color.png": png(rgb, transparency=rgb.getpixel((40, 40))),
        "one bit.png": png(gray.convert("1")),
        "16 bits gray.png": png(Image.fromarray(smooth(70, 90, 1)[..., 0].astype(np.uint16) * 257)),
        "16 bits rgba.png": tf.io.encode_png(
            RANDOM.integers(0, 65536, (60, 70, 4), np.uint16)
        ).numpy(),
        "photograph.jpg": (PHOTOGRAPHS / "grace_hopper.jpg").read_bytes(),
        "drawing.png": (PHOTOGRAPHS / "logo2.png").read_bytes(),
        "blue box.png": (PHOTOGRAPHS / "Minduka_Present_Blue_Pack.png").read_bytes(),
    }
    for bits in (1, 2, 4, 8):
        palette = rgb.quantize(2**bits)
        found[f"palette of {bits} bits.png"] = png(palette, bits=bits)
        found[f"clear palette of {bits} bits.png"] = png(palette, bits=bits, transparency=1)
    # The short side decides whether the decoder reduces: by 2 from 2 x 48 pixels, and so on.
    for side in (1, 2, 31, 32, 33, 47, 48, 49, 63, 64, 95, 96, 97, 127, 128, 191, 192, 385, 800):
        for height, width in ((side, side + 13), (side * 2 + 1, side)):
            image = Image.fromarray(smooth(height, width))
            found[f"{height} x {width}.jpg"] = jpeg(image)
            found[f"{height} x {width}.png"] = png(image)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for name, contents in files().items():
        (folder / name).write_bytes(contents)
    return folder


@pytest.mark.parametrize(
    "kept", ["in memory", pytest.param("decoded when needed", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_pixels_are_those_of_evaluation(folder, plan, kept, tmp_path, monkeypatch):
    if kept == "decoded when needed":
        monkeypatch.setattr(memory_budget, "BYTES", 0)
    names = sorted(path.name for path in folder.iterdir())
    split = Split.of(ImageFiles(folder, names), np.zeros(len(names), np.int32))
    batches = pipeline.eval_batches(split, plan, batch_size=len(names))
    [(wanted, _)] = batches.as_numpy_iterator()

    saved_model.write(transparent(plan), tmp_path / "1")
    signature = tf.saved_model.load(str(tmp_path / "1")).signatures["image_bytes"]
    contents = [(folder / name).read_bytes() for name in names]
    together = signature(image_bytes=tf.constant(contents))["logits"].numpy()
    differing = [
        name
        for name, one, evaluated in zip(names, together, wanted, strict=True)
        if not np.array_equal(one.reshape(evaluated.shape), evaluated)
    ]
    assert not differing
    for number in range(0, len(names), 9):  # and alone
        alone = signature(image_bytes=tf.constant(contents[number : number + 1]))["logits"]
        assert np.array_equal(alone[0], together[number])


def test_files_are_what_their_names_say():
    def header(name):
        return Image.open(io.BytesIO(files()[name]))

    assert header("cmyk.jpg").mode == "CMYK" and header("gray.jpg").mode == "L"
    assert header("turned by exif.jpg").getexif()[0x0112] == 6
    for bits in (1, 2, 4, 8):
        for name in (f"palette of {bits} bits.png", f"clear palette of {bits} bits.png"):
            assert files()[name][24:26] == bytes([bits, 3])
            assert (b"tRNS" in files()[name]) == name.startswith("clear")
    assert files()["16 bits gray.png"][24:26] == bytes([16, 0])
    assert files()["16 bits rgba.png"][24:26] == bytes([16, 6])
