"""What the README shows is what the package does."""

import csv
import json
import pathlib
import re
import shutil
import subprocess

import pytest
import tensorflow as tf

import keras_alexnet as ka
from keras_alexnet.exporting.comparison_images import drawn_images
from keras_alexnet.exporting.formats import saved_model, tflite
from keras_alexnet.networks import variants
from support import predict_places, serving_double

ROOT = pathlib.Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
# tests/test_ray.py runs the one for Ray.
SNIPPETS = [
    snippet for snippet in re.findall(r"```python\n(.*?)```", README, re.S) if "ray." not in snippet
]


SERVED = "localhost:850"  # a server's address, in snippets that need one


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder in which there are saved_models/mine, with an int8 file, and cat.jpg."""
    folder = tmp_path_factory.mktemp("place")
    mine = folder / "saved_models" / "mine"
    network = predict_places.network(folder / "runs" / "mine", seed=0, classes=10)
    saved_model.write(network, mine / "1")
    (mine / "tflite").mkdir()
    drawn = drawn_images(network)
    packed = tflite.convert(network, "int8", calibration=drawn)
    (mine / "tflite" / "cifar_v2_int8.tflite").write_bytes(packed)
    photo = tf.image.resize(drawn[0], [90, 130], "bicubic")
    photo = tf.cast(tf.clip_by_value(photo, 0, 255), tf.uint8)
    (folder / "cat.jpg").write_bytes(tf.io.encode_jpeg(photo, quality=95).numpy())
    return folder


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_python_snippets_run(number, place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    # Two replicas, where the machine may have no GPU to make them of.
    snippet = SNIPPETS[number].replace(
        "MirroredStrategy()",
        'MirroredStrategy(["CPU:0", "CPU:1"], tf.distribute.ReductionToOneDevice())',
    )
    if SERVED not in snippet:
        names = _run(snippet, number)
        if "model.fit" in snippet:
            history = names["model"].history.history
            assert history["accuracy"][-1] > 0.15, "no better than chance"
        if "Interpreter" in snippet:
            # Pillow shrinks a little differently, and int8 rounds: the class is the same.
            assert capsys.readouterr().out.startswith(f"{_likeliest(place)}: ")
        return
    with serving_double.serve(place / "saved_models" / "mine", name="mine") as server:
        _run(_at(server, snippet), number)
    assert _likeliest(place) in capsys.readouterr().out


def test_curl_line_gives_the_prediction(place):
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    [line] = re.findall(r"```bash\n(\(printf .*?)```", README, re.S)
    with serving_double.serve(place / "saved_models" / "mine", name="mine") as server:
        done = subprocess.run(
            ["bash", "-c", _at(server, line)], cwd=place, capture_output=True, timeout=60
        )
    [prediction] = json.loads(done.stdout)["predictions"]
    assert prediction["classes"][0] == _likeliest(place), done.stderr


def _run(snippet, number):
    names = {}
    exec(compile(snippet, f"README snippet {number}", "exec"), names)
    return names


def _at(server, text):
    address = server.rest_url.split("/")[2]
    return text.replace("localhost:8501", address).replace("localhost:8500", server.grpc_address)


def _likeliest(place):
    [prediction] = ka.predict(place / "runs" / "mine", place / "cat.jpg")
    return prediction.classes[0]


def test_there_are_snippets_for_one_device_and_for_many():
    assert sum("model.fit" in snippet for snippet in SNIPPETS) == 2
    assert sum("MirroredStrategy()" in snippet for snippet in SNIPPETS) == 1


def test_table_of_networks_is_the_tables():
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\| (\d+) \| ([\d,]+) \| ([\d,]+) \|$", README, re.M)
    shown = {name: tuple(int(n.replace(",", "")) for n in numbers) for name, *numbers in rows}
    known = [variants.get(name) for name in ka.list_variants()]
    assert shown == {row.name: (row.input_size, row.parameters, row.macs) for row in known}


def test_table_of_results_is_that_of_the_file():
    table = README.partition("<!-- results -->")[2].partition("<!-- /results -->")[0]
    with open(ROOT / "saved_models" / "results.csv", newline="", encoding="utf-8") as file:
        expected = [
            f"| `{row['variant']}` | {row['recipe']} | {row['dataset']} | {row['epochs']} | "
            f"{row['precision']} | {100 * float(row['test_top1']):.2f} | "
            f"{100 * float(row['test_top5']):.2f} | {row['views']} | "
            f"{float(row['seconds_per_epoch']):.0f} | {row['commit']} |"
            for row in csv.DictReader(file)
        ]
    assert table.strip().splitlines()[2:] == expected


def test_table_of_exports_is_that_of_the_file():
    table = README.partition("<!-- exports -->")[2].partition("<!-- /exports -->")[0]
    with open(ROOT / "saved_models" / "exports.csv", newline="", encoding="utf-8") as file:
        expected = [
            f"| `{row['variant']}` | {row['file']} | {int(row['bytes']) / 1e6:.2f} | "
            f"{float(row['milliseconds_1_thread']):.2f} | "
            f"{float(row['milliseconds_2_threads']):.2f} | {100 * float(row['top1']):.2f} | "
            f"{100 * float(row['top1_agreement']):.2f} |"
            for row in csv.DictReader(file)
        ]
    assert table.strip().splitlines()[2:] == expected and len(expected) == 18


def test_table_of_parity_is_that_of_the_file():
    table = README.partition("<!-- parity -->")[2].partition("<!-- /parity -->")[0]
    with open(ROOT / "saved_models" / "parity.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    expected = [
        f"| `{row.pop('variant')}` | {' | '.join(value or '–' for value in row.values())} |"
        for row in [dict(row) for row in rows]
    ]
    assert table.strip().splitlines()[2:] == expected and len(expected) == 8
    for row in rows:
        figures = [value for name, value in row.items() if name.startswith(("conv", "fc", "log"))]
        assert max(float(value) for value in figures if value) < 1e-4
        assert row["top5_same"] == row["images"]


def test_flags_shown_exist():
    from keras_alexnet.training.config import FLAG_FIELDS, RECIPE_FLAG_FIELDS

    known = {field.name for field in (*FLAG_FIELDS, *RECIPE_FLAG_FIELDS)}
    shown = {
        flag.removeprefix("no")
        for line in re.findall(r"scripts/train\.py.*(?:\n    .*)*", README)
        for flag in re.findall(r"--(\w+)", line)
    }
    assert shown - known <= {"help"}
    assert tf.config.list_logical_devices("CPU")[1:], "two replicas need two logical devices"
