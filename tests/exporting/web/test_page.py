"""The page in Chromium: classes and pixels as in Python, and messages for what is no image."""

import dataclasses
import pathlib
import shutil
import tarfile

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import keras_alexnet as ka
from keras_alexnet.exporting import signatures
from keras_alexnet.networks.image_plan import ImagePlan
from keras_alexnet.runtimes import open_file
from support import browser
from support.exports import trained
from support.image_folders import write_images
from support.photographs import photographs

pytestmark = pytest.mark.browser

ROOT = pathlib.Path(__file__).parents[3]
SAMPLE = ROOT.parent / "shared" / "data" / "imagenet-sample-100.tar.gz"
MODELS = ("float32", "int8")


@pytest.fixture(scope="module", autouse=True)
def installed():
    browser.require()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """20 JPEGs and the same as PNGs: photographs of ImageNet beside the checkout, or drawn ones."""
    folder = tmp_path_factory.mktemp("pictures")
    if SAMPLE.exists():
        with tarfile.open(SAMPLE) as archive:
            files = [each for each in archive.getmembers() if each.name.endswith(".JPEG")][::5]
            contents = [archive.extractfile(each).read() for each in files]
    else:
        contents = [tf.io.encode_jpeg(each).numpy() for each in photographs(20, 160)]
    for number, each in enumerate(contents):
        (folder / f"{number:02}.jpg").write_bytes(each)
        with Image.open(folder / f"{number:02}.jpg") as photograph:
            photograph.convert("RGB").save(folder / f"{number:02}.png", compress_level=1)
    return sorted(folder.glob("*.jpg")), sorted(folder.glob("*.png"))


def exported(folder, model, classes, input_size, **settings):
    write_images(folder / "data" / "train", classes, 4, seed=1, size=input_size)
    write_images(folder / "data" / "test", classes, 1, seed=2, size=input_size)
    ka.export(
        ka.ExportConfig(
            model=model,
            out=folder / "out",
            formats=["web"],
            dataset="image_folder",
            data_dir=folder / "data",
            web_runtime=browser.MODULES,
            latency=False,
            views=[1],
            **{"quantization": MODELS, "layers": ["conv1", "conv2"], **settings},
        )
    )
    return ka.load(model), folder / "out" / "web"


@pytest.fixture(scope="module", params=["cifar_v2", "cuda_convnet_11pct", "alexnet_half"])
def page(request, tmp_path_factory):
    """(network, folder of its page)."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param != "alexnet_half":
        return exported(folder, request.param, ka.load(request.param).labels, 32)
    labels = ["bird", "cat", "dog", "owl"]
    network = trained(folder / "run", request.param, labels, full_size=True, num_classes=4)
    return exported(folder, network.path.parent, labels, 224)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """(network, folder of its page) of three classes, whose names are no HTML."""
    folder = tmp_path_factory.mktemp("small")
    labels = sorted(["<b>owl & co", "\"dog's", "猫"])
    network = trained(folder / "run", "cifar_v2", labels, num_classes=3)
    run = network.path.parent
    return exported(folder, run, labels, 32, quantization=["float32", "float16"])


def inputs(network, files):
    decoded = [
        signatures.inputs_from_bytes(tf.constant([each.read_bytes()]), network.plan)
        for each in files
    ]
    return np.concatenate(decoded)


def test_same_classes_as_python(page, pictures):
    network, folder = page
    jpegs, pngs = pictures
    cases = [("float32", jpegs), ("float32", pngs), ("int8", jpegs), ("int8", pngs)]
    with browser.served(folder) as url:
        steps = [
            {"action": "classify", "url": url, "model": name, "files": files}
            for name, files in cases
        ]
        opened, *found = browser.browse([{"action": "open", "url": url}, *steps])
    assert opened["problem"] == "" and opened["hosts"] == [url.split("/")[2]]
    assert opened["status"].endswith("1 thread.")
    for (model, files), answer in zip(cases, found, strict=True):
        images = inputs(network, files)
        pixels = np.array([each["pixels"] for each in answer["results"]], np.uint8)
        pixels = pixels.reshape(images.shape)
        differences = np.abs(pixels.astype(int) - images)
        assert differences.max() <= 1
        logits = np.array([each["logits"] for each in answer["results"]])
        [file] = folder.glob(f"*_{model}.tflite")
        run = open_file(file).run
        assert logits.argmax(1).tolist() == run(images)["logits"].argmax(1).tolist(), model
        wanted = run(pixels)["logits"]
        np.testing.assert_allclose(logits, wanted, atol=1e-5 * np.abs(wanted).max())
        sizes = {name: size for name, (size, _) in answer["results"][0]["maps"].items()}
        shapes = {name: network.model.get_layer(name).output.shape for name in sizes}
        assert sizes == {name: int(np.prod(shape[1:])) for name, shape in shapes.items()}


def saved(path, image, **options):
    image.save(path, **options)
    return path


def exif(orientation):
    data = Image.Exif()
    data[0x0112] = orientation
    return data


def unusual(folder):
    """Files that are prepared in a way of their own: name → path."""
    [photo] = photographs(1, 240)
    wide = Image.fromarray(photo[:150])
    clear = Image.fromarray(np.dstack([photo[..., :3], photo[..., 0]]), "RGBA")
    return [
        saved(folder / "wide.png", wide),
        saved(folder / "tall.png", wide.transpose(Image.Transpose.ROTATE_90)),
        saved(folder / "whole.jpg", wide, quality=95, subsampling=0),
        saved(folder / "halved.jpg", wide.crop([0, 0, 131, 91]), subsampling=1),
        saved(folder / "progressive.jpg", wide, progressive=True, restart_marker_blocks=3),
        saved(folder / "gray.jpg", wide.convert("L")),
        saved(folder / "cmyk.jpg", wide.convert("CMYK")),
        *(
            saved(folder / f"turned{number}.jpg", wide, exif=exif(number), subsampling=2)
            for number in range(2, 9)
        ),
        saved(folder / "clear.png", clear),
        saved(folder / "gray.png", wide.convert("L")),
        saved(folder / "palette.png", wide.quantize(16)),
        saved(folder / "tiny.png", wide.resize([9, 5])),
        saved(folder / "large.png", wide.resize([2100, 1300])),
    ]


# All ways to the square, and a crop that is enlarged.
PLANS = {
    "area": ImagePlan(32, 32, 0, 32),
    "warp": ImagePlan(36, 32, 0, 32, warp=True),
    "antialiased": ImagePlan(40, 28, 0, 32, resize="antialiased_bilinear"),
    "both": ImagePlan(32, 32, 0, 32, warp=True, resize="antialiased_bilinear"),
}


@pytest.fixture(scope="module")
def prepared(small, tmp_path_factory):
    """(files, the pixels that the browser makes of each with each of the plans)."""
    _, folder = small
    files = unusual(tmp_path_factory.mktemp("unusual"))
    with browser.served(folder) as url:
        steps = [
            {"action": "prepare", "url": url, "plan": dataclasses.asdict(plan), "files": files}
            for plan in PLANS.values()
        ]
        _, *found = browser.browse([{"action": "open", "url": url}, *steps])
    return files, dict(zip(PLANS, found, strict=True))


@pytest.mark.parametrize("name", PLANS)
def test_pixels_are_those_of_python(name, small, prepared):
    files, found = prepared
    network = dataclasses.replace(small[0], plan=PLANS[name])
    wanted = inputs(network, files).astype(int)
    for file, image, pixels in zip(files, wanted, found[name], strict=True):
        differences = np.abs(np.reshape(pixels, image.shape) - image)
        # Browsers round the colors of transparent pixels in their own way.
        assert differences.max() <= 1, file.name
        assert np.mean(differences > 0) < (0.3 if file.stem == "clear" else 0.01), file.name


def test_what_is_no_image_gets_a_message(small, tmp_path):
    network, folder = small
    (tmp_path / "notes.jpg").write_text("no image")
    (tmp_path / "empty.png").touch()
    Image.new("RGB", [64, 48]).save(tmp_path / "black.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "black.png").read_bytes()[:40])
    names = ["notes.jpg", "empty.png", "cut.png", "cut.jpg", "black.png"]
    Image.new("RGB", [640, 480], "gray").save(tmp_path / "cut.jpg")
    damaged = (tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(damaged[: len(damaged) // 2])
    give = {"action": "give", "verb": "paste"}
    steps = [
        {"action": "open", "url": ""},
        *({"action": "choose", "file": tmp_path / name} for name in names),
        {**give, "files": [tmp_path / "black.png"]},
        {**give, "verb": "drop", "files": [tmp_path / "black.png"]},
        give,
        {"action": "press", "selector": "#camera"},
    ]
    with browser.served(folder) as url:
        steps[0]["url"] = url
        _, notes, empty, cut, cut_jpeg, black, pasted, dropped, text, camera = browser.browse(steps)
    assert notes["problem"].startswith("“notes.jpg” is not a picture that this browser can read")
    assert empty["problem"] == "“empty.png” is empty."
    assert "“cut.png” is not a picture" in cut["problem"]
    assert "“cut.jpg” is not a picture" in cut_jpeg["problem"]
    for each in (black, pasted, dropped):
        assert each["problem"] == "" and each["time"].endswith(" ms")
        assert {name for name, _ in each["bars"]} == set(network.labels)
    assert text["problem"].startswith("What was pasted is not a picture file")
    assert "camera" in camera["problem"]


def test_camera_labels_keys_and_threads(small):
    network, folder = small
    flags = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    steps = [
        {"action": "open", "url": "", "scheme": "dark"},
        {"action": "keys", "names": ["Tab", "Tab", "Tab"]},
        {"action": "press", "selector": "#camera"},
        {"action": "tree"},
        {"action": "model", "name": "float16"},
    ]
    with browser.served(folder, isolated=True) as url:
        steps[0]["url"] = url
        opened, focused, seen, tree, other = browser.browse(steps, flags=flags)
    assert opened["status"].endswith("threads.")  # shared memory was allowed
    assert focused == ["choose", "camera", "model"]
    assert seen["problem"] == other["problem"] == ""
    assert {name for name, _ in seen["bars"]} == set(network.labels)
    assert "Stop the camera" in tree and "Map and filter 1 of" in tree


def test_page_without_its_parts_says_so(small, tmp_path):
    _, folder = small
    shutil.copytree(folder, tmp_path / "page")
    next((tmp_path / "page").glob("*_float32.tflite")).unlink()
    with browser.served(tmp_path / "page") as url:
        [opened] = browser.browse([{"action": "open", "url": url}])
    assert "cannot be loaded: 404" in opened["problem"]
    assert opened["status"] == "The network is not loaded."


def test_the_last_of_several_pictures_is_shown(small, tmp_path):
    _, folder = small
    # The first takes the longest to read.
    Image.fromarray(photographs(1, 240)[0]).resize([4000, 3000]).save(tmp_path / "large.jpg")
    Image.new("RGB", [32, 32], "red").save(tmp_path / "red.png")
    Image.new("RGB", [64, 64], "blue").save(tmp_path / "blue.png")
    (tmp_path / "notes.jpg").write_text("no image")
    pictures = [tmp_path / name for name in ("large.jpg", "red.png", "blue.png")]
    give = {"action": "give", "verb": "drop"}
    steps = [
        {"action": "open", "url": ""},
        {**give, "files": pictures[-1:]},
        {**give, "files": pictures},
        {**give, "files": [tmp_path / "notes.jpg"]},
    ]
    with browser.served(folder) as url:
        steps[0]["url"] = url
        _, alone, last, failed = browser.browse(steps)
    assert last["bars"] == alone["bars"] and last["problem"] == ""
    assert failed["bars"] == alone["bars"] and failed["problem"]
    assert failed["status"] == "The picture before is still shown."
