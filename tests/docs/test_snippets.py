"""What README.md and the pages of docs/ tell a reader to run, runs."""

import json
import re
import shutil
import subprocess

import pytest
import tensorflow as tf

import keras_alexnet as ka
from keras_alexnet.data import augmentations, readers
from keras_alexnet.exporting import formats
from keras_alexnet.exporting.formats import saved_model
from support import documents, published_weights, serving_double
from support.image_folders import write_images
from support.networks import registered

SERVED = "localhost:850"  # a server's address, in blocks that need one
RUN_HERE = [page for page in documents.PAGES if documents.blocks(page, "python")]
# tests/networks/test_adding_a_network.py runs these.
NETWORK = documents.section(documents.DOCS / "contributing.md", "Adding a network")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a run, its exports, an image and an image folder, as the pages name them."""
    folder = tmp_path_factory.mktemp("place")
    run = _write_run_and_image(folder)
    ka.export(
        ka.ExportConfig(
            model=run,
            out=folder / "saved_models" / "mine",
            dataset="shapes",
            quantization=("int8",),
            calibration_images=50,
            test_images=50,
            latency=False,
        )
    )
    for part in ("train", "test"):
        write_images(folder / "photos" / part, ["cat", "dog"], 4, seed=1)
    return folder


def _write_run_and_image(folder):
    """Writes runs/mine and cat.jpg into a folder, and returns the run's folder."""
    run = folder / "runs" / "mine"
    run.mkdir(parents=True)
    model = ka.build("cifar_v2", seed=0)
    kernel = model.get_layer("logits").kernel
    kernel.assign(kernel * 300)  # sure of itself
    model.save(run / "model.keras")
    data = ka.load_dataset("shapes")
    (run / "labels.txt").write_text("".join(f"{name}\n" for name in data.class_names))
    images, _ = next(iter(ka.eval_batches(data.test, "cifar_v2", batch_size=1)))
    photo = tf.clip_by_value(tf.image.resize(images[0], [90, 130], "bicubic"), 0, 255)
    (folder / "cat.jpg").write_bytes(tf.io.encode_jpeg(tf.cast(photo, tf.uint8)).numpy())
    return run


@pytest.fixture
def registries():
    """Removes what a page registers."""
    lists = {
        augmentations: augmentations.list_augmentations,
        readers: readers.list_datasets,
        formats: lambda: list(formats.NAMES),
    }
    before = {registry: names() for registry, names in lists.items()}
    yield
    for registry, names in lists.items():
        for name in set(names()) - set(before[registry]):
            registry.unregister(name)


@pytest.fixture
def imagenet(tmp_path, monkeypatch):
    """A small network in place of torchvision's, with its weights in the cache."""
    spec, file = published_weights.write(tmp_path)
    (tmp_path / "cache" / "weights").mkdir(parents=True)
    shutil.copy(file, tmp_path / "cache" / "weights")
    monkeypatch.setenv("KERAS_ALEXNET_CACHE", str(tmp_path / "cache"))
    with registered(spec):
        yield


# The two pages that a newcomer reads first, and the others with the slow tests.
FIRST = (documents.README, documents.DOCS / "getting-started.md")
BY_PAGE = [
    pytest.param(page, marks=pytest.mark.processes if page in FIRST else pytest.mark.slow)
    for page in RUN_HERE
]


@pytest.mark.parametrize("page", BY_PAGE, ids=documents.name_of)
def test_python_blocks_run_one_after_another(page, place, registries, monkeypatch, capsys, request):
    monkeypatch.chdir(place)
    if page.name == "weights.md":
        request.getfixturevalue("imagenet")
    names = {}
    for block in documents.blocks(page, "python"):
        if block.reason is not None or block.text in NETWORK:
            continue
        if SERVED not in block.text:
            steps = 40 if page == documents.README else 5
            _run(block, _quick(block.text, steps), names)
            continue
        with serving_double.serve(place / "saved_models" / "mine", name="mine") as server:
            _run(block, _at(server, block.text), names)
    printed = capsys.readouterr().out
    if page.name in ("serving.md", "devices.md"):
        # Pillow shrinks a little differently, and int8 rounds: the class is the same.
        assert _likeliest(place) in printed
    if page.name == "export.md":
        table = documents.section(page, "What `export.json` holds")
        cells = re.findall(r"^\| (`.*?) \|", table, re.M)
        assert set(re.findall(r"`(\w+)`", " ".join(cells))) == set(names["report"])
    if page == documents.README:
        assert names["model"].history.history["accuracy"][-1] > 0.15, "no better than chance"


def test_curl_line_gives_the_prediction(tmp_path):
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    network = ka.load(_write_run_and_image(tmp_path))
    saved_model.write(network, tmp_path / "saved_models" / "mine" / "1")
    page = documents.DOCS / "serving.md"
    [line] = [b.text for b in documents.blocks(page, "bash") if b.text.startswith("(printf ")]
    with serving_double.serve(tmp_path / "saved_models" / "mine", name="mine") as server:
        done = subprocess.run(
            ["bash", "-c", _at(server, line)], cwd=tmp_path, capture_output=True, timeout=60
        )
    [prediction] = json.loads(done.stdout)["predictions"]
    assert prediction["classes"][0] == _likeliest(tmp_path), done.stderr


def test_blocks_that_are_not_run_say_why():
    blocks = [block for page in documents.PAGES for block in documents.blocks(page, "python")]
    reasons = [block.reason for block in blocks if block.reason is not None]
    assert all(len(reason) > 20 for reason in reasons)
    assert len(reasons) <= 3 < len(blocks), "most blocks run"


def test_quick_start_is_25_lines():
    [block] = documents.blocks(documents.README, "python")
    lines = [line for line in block.text.splitlines() if line.strip()]
    assert len(lines) <= 25


def _run(block, text, names):
    exec(compile(text, f"{block.page}, block {block.number}", "exec"), names)


def _quick(text, steps):
    """Few steps, and two replicas where the machine may have no GPU to make them of."""
    text = text.replace(
        "MirroredStrategy()",
        'MirroredStrategy(["CPU:0", "CPU:1"], tf.distribute.ReductionToOneDevice())',
    )
    text = re.sub(r"max_steps=\d+", "max_steps=4", text)
    text = text.replace("epochs=2, steps_per_epoch", "epochs=1, steps_per_epoch")
    return re.sub(r"steps_per_epoch=ka\.steps_per_epoch\(.*?\)", f"steps_per_epoch={steps}", text)


def _at(server, text):
    address = server.rest_url.split("/")[2]
    return text.replace("localhost:8501", address).replace("localhost:8500", server.grpc_address)


def _likeliest(place):
    [prediction] = ka.predict(place / "runs" / "mine", place / "cat.jpg")
    return prediction.classes[0]
