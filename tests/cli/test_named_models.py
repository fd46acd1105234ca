"""Every command that takes a model takes the name of a network whose weights are in the package."""

import json

import pytest

from keras_alexnet.cli.main import main
from support.image_folders import write_images

LABELS = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
DATA = "--dataset=image_folder --data_dir=ten"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with images of CIFAR-10's classes, as far as their names go."""
    folder = tmp_path_factory.mktemp("place")
    for split in ("train", "test"):
        write_images(folder / "ten" / split, LABELS, 2)
    return folder


def _long(arguments, said):
    return pytest.param(arguments, [said], marks=pytest.mark.processes)


@pytest.mark.parametrize(
    "arguments, said",
    [
        ("predict --model=cifar_v2 --top=10 ten/test/cat/000.png --csv=found.csv", LABELS),
        (f"evaluate --model=cifar_v2 {DATA} --json=found.json", ["images: 20"]),
        _long(
            f"export --model=cifar_v2 --formats=tflite --no-latency --out=out {DATA}", "float32: "
        ),
        ("figures filters --model=cifar_v2 --out=f.png", ["picture: f.png"]),
        (
            "features --model=cifar_v2 --layers=fc4 --out=found ten/test/cat ten/test/dog",
            ["fc4: 4 x 192, fc4.npy", "features: found, of 4 images"],
        ),
        ("summary --model=cifar_v2", ["576,778"]),
        (
            "figures activations --model=cifar_v2 --layer=conv2 --out=a.png "
            "--image=ten/test/cat/000.png",
            ["picture: a.png"],
        ),
        _long(f"figures likeliest --model=cifar_v2 --images=3 --out=l.png {DATA}", "picture: l"),
        _long(f"figures neighbors --model=cifar_v2 --images=3 --out=n.png {DATA}", "picture: n"),
        ("convert --to=torch --weights=cifar_v2 --out=v2.safetensors", ["fc3.weight: 10x192"]),
    ],
    ids=lambda value: " ".join(value.split()[:2]) if isinstance(value, str) else "",
)
def test_the_name_of_a_network_is_a_model(arguments, said, place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    assert main(arguments.split()) == 0, capsys.readouterr().err
    printed = capsys.readouterr().out
    for text in said:
        assert text in printed
    if arguments.startswith("evaluate"):
        shipped = json.loads((place / "found.json").read_text())["shipped"]
        assert shipped["file"] == "cifar_v2-cifar10-jpeg.safetensors"


@pytest.mark.parametrize(
    "arguments",
    [
        "predict --model=alexnet a.jpg",
        "evaluate --model=alexnet",
        "export --model=alexnet --out=out",
        "figures filters --model=alexnet --out=f.png",
        "convert --to=torch --weights=alexnet --out=a.safetensors",
    ],
)
def test_a_network_without_weights_says_which_have_some(arguments, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert main(arguments.split()) == 1
    [line] = capfd.readouterr().err.splitlines()
    assert "No weights of alexnet are known" in line and "cifar_v2" in line
