"""Every command that takes a model or weights takes "imagenet", by hand in the cache here."""

import json
import shutil

import pytest

import keras_alexnet as ka
from keras_alexnet.cli.main import main
from keras_alexnet.utils.imagenet_classes import imagenet_labels
from support import published_weights
from support.image_folders import write_images
from support.networks import registered

IMAGE = "two/test/cat/000.png"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with images and a cache, where the network of the weights is a small one."""
    folder = tmp_path_factory.mktemp("place")
    for split in ("train", "test"):
        write_images(folder / "two" / split, ["cat", "dog"], 3)
    (folder / "cache" / "weights").mkdir(parents=True)
    spec, file = published_weights.write(folder)
    shutil.copy(file, folder / "cache" / "weights")
    with registered(spec):
        yield folder


@pytest.fixture
def run(place, monkeypatch, capfd):
    """command → its exit code and what it printed."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("KERAS_ALEXNET_CACHE", str(place / "cache"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(place / "none"))
    monkeypatch.setenv("HOME", str(place))

    def command(words):
        code = main(words.split())
        return code, capfd.readouterr().out

    return command


def test_predict_names_the_classes(run, place):
    code, printed = run(f"predict --model=imagenet --top=1 {IMAGE} --json=found.json")
    [found] = json.loads((place / "found.json").read_text())
    [label] = found["classes"]
    assert code == 0 and label in dict(imagenet_labels())
    assert f"{label} {dict(imagenet_labels())[label].replace('_', ' ')}\n" in printed


@pytest.mark.parametrize(
    "words",
    [
        "figures filters --model=imagenet --out=f.png",
        "convert --to=torch --weights=imagenet --out=a.safetensors",
    ],
)
def test_other_commands(words, run):
    assert run(words)[0] == 0


@pytest.mark.processes
def test_a_run_starts_from_them_and_says_so(run, place):
    options = "--recipe=fine_tune --dataset=image_folder --data_dir=two --workdir=mine"
    more = "--max_steps=1 --global_batch_size=2 --input_size=64 --num_devices=1"
    assert run(f"train --weights=imagenet {options} {more}")[0] == 0
    found = json.loads((place / "mine" / "results.json").read_text())
    published = ka.variants.get("alexnet_owt").published
    assert found["variant"] == "alexnet_owt"
    assert found["weights"]["sha256"] == published.sha256
    assert found["weights"]["published"] == published.url and not found["weights"]["shipped"]
    assert f"weights=imagenet@{published.sha256[:12]}" in found["overrides"]


@pytest.mark.processes
def test_an_export_tells_of_them_in_its_card(run, place):
    assert run("export --model=imagenet --formats=tflite --no-latency --out=out")[0] == 0
    card = (place / "out" / "tflite" / "model_card.md").read_text()
    published = ka.variants.get("alexnet_owt").published
    assert "published by torchvision under BSD-3-Clause" in card and published.sha256 in card
    assert "top-1 is 56.522 % and top-5 79.066 %" in card
    assert "Weights: BSD-3-Clause. Data: ImageNet's terms" in card
    report = json.loads((place / "out" / "tflite" / "export.json").read_text())
    assert report["published"]["sha256"] == published.sha256 and report["shipped"] is None


@pytest.mark.processes
def test_they_are_evaluated_on_data_with_the_same_classes(run, place):
    names = [wordnet_id for wordnet_id, _ in imagenet_labels()]
    for split in ("train", "val"):
        write_images(place / "thousand" / split, names, 1)
    words = "evaluate --model=imagenet --dataset=image_folder --data_dir=thousand"
    code, printed = run(f"{words} --json=found.json")
    assert code == 0 and "images: 1000" in printed
    found = json.loads((place / "found.json").read_text())
    assert found["published"]["url"] == ka.variants.get("alexnet_owt").published.url
