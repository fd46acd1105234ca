"""`benchmark scale`: points, straight lines, pictures, and random data."""

import csv
import json

import pytest
from PIL import Image

from keras_alexnet import DataSpec
from keras_alexnet.benchmarks import random_data, scale, scale_point
from keras_alexnet.benchmarks.catalog import Settings
from keras_alexnet.benchmarks.scale_lines import Line
from keras_alexnet.cli.main import main
from keras_alexnet.data.load import load_dataset
from keras_alexnet.data.pipeline import eval_batches
from keras_alexnet.errors import UserError


def test_points_of_each_axis_with_lines_pictures_and_a_table(tmp_path, monkeypatch):
    def measured(point):
        asked.append(point)
        if point.batch_size == 512:
            raise UserError("too little memory")
        pixels = point.image_size**2
        seconds = 0.5 + point.batch_size * pixels / 1e6
        memory = 1e9 + point.batch_size**2 * 1e6
        found = {"seconds_a_step": seconds, "memory_bytes": memory}
        return found | {"seconds_to_first_step": 1.0, "cpu_seconds_a_step": 2 * seconds}

    asked = []
    monkeypatch.setattr(scale, "measured", measured)
    settings = Settings(
        variants=("cifar_v2", "cifar_v1"),
        only=("batch_sizes", "image_sizes"),
        batch_sizes=(1, 64, 128, 512),
        image_sizes=(32, 40, 64),
        steps=3,
        out=tmp_path / "out",
    )
    report = scale.measure(settings)
    assert [(p.batch_size, p.image_size) for p in asked[2:6]] == [
        *((128, 32), (512, 32)),
        *((64, 32), (64, 40)),
    ]
    with open(tmp_path / "out" / "scale.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 14
    assert rows[3]["note"] == "too little memory"
    failed = [f"{name}, batch size 512" for name in settings.variants]
    assert report.failed == dict.fromkeys(failed, "too little memory")
    for name in settings.only:
        with Image.open(tmp_path / "out" / f"scale_{name}.png") as picture:
            assert picture.width > 500
    said = "\n".join(report.words)
    assert "cifar_v2, seconds a step over batch size: a straight line, 0.5 and" in said
    assert "cifar_v2, memory in MB over batch size: no straight line" in said
    assert "cifar_v1, CPU seconds a step over batch size: a straight line, 1 and" in said
    assert "seconds a step over image size: a straight line, 0.5 and 0.064 for each" in said
    json.dumps(report.as_dict())


def test_a_line_and_how_far_points_are_off_it():
    line = Line.through([0, 1, 2], [0, 3, 0])
    assert (line.start, round(line.slope, 9)) == (pytest.approx(1), 0)
    assert line.deviation == pytest.approx(2 / 3)


def test_random_images_in_memory():
    with random_data.registered(700, 8, 3):
        train = load_dataset(DataSpec(dataset=random_data.NAME)).train
    assert (len(train), len(train.pixels), train.rows.max()) == (700, 512, 511)
    assert set(train.labels) == {0, 1, 2}


def test_random_images_that_are_listed(tmp_path):
    with random_data.registered(100, 32, 3, tmp_path):
        train = load_dataset(DataSpec(dataset=random_data.NAME)).train
    pixels, _ = next(iter(eval_batches(train, "cifar_v2", batch_size=8)))
    assert pixels.shape == (8, 32, 32, 3)
    assert pixels.numpy().std() > 10
    assert (len(train), len(list(tmp_path.iterdir()))) == (100, 64)


@pytest.mark.processes
@pytest.mark.parametrize("workers", [1, 2])
def test_a_point(workers):
    point = scale_point.Point("cifar_v2", 2, "float32", 4, 32, 10, workers=workers)
    found = scale.measured(point)
    assert found["memory_bytes"] > 10**8
    assert found["cpu_seconds_a_step"] > 0
    assert 0 < found["seconds_a_step"] < found["seconds_to_first_step"]


def test_the_folder_is_checked_before(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["benchmark", "scale", "--out", str(tmp_path / "file")]) == 1
    assert "out must be a folder" in capsys.readouterr().err
