"""Pictures of what is inside a network: the numbers behind them, and what is drawn of those."""

import concurrent.futures
import csv
import dataclasses
import importlib
import json
import math
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import keras_alexnet as ka
from keras_alexnet import DataSpec, figures
from keras_alexnet.data.images import ImageArray
from keras_alexnet.figures import canvas, plots, subjects
from keras_alexnet.figures.curves import in_words
from keras_alexnet.figures.neighbors import nearest
from keras_alexnet.training import recipes

activations = importlib.import_module("keras_alexnet.figures.activations")
filters = importlib.import_module("keras_alexnet.figures.filters")
likeliest = importlib.import_module("keras_alexnet.figures.likeliest")

ORANGE, BLUE = likeliest._CORRECT, likeliest._OTHERS


@pytest.fixture(scope="module")
def data(tiny_folder):
    return ka.load_dataset(DataSpec("image_folder", data_dir=tiny_folder))


@pytest.fixture(scope="module")
def model():
    """A network that is neither sure of itself nor undecided."""
    model = ka.build("cifar_v2", num_classes=3, seed=0)
    kernel = model.get_layer("logits").kernel
    kernel.assign(kernel * 10)
    return model


@pytest.fixture
def of_tiny(tiny_folder):
    return {"dataset": "image_folder", "data_dir": str(tiny_folder)}


def _pixels(path):
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def _table(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# Filters -----------------------------------------------------------------------------------------
def _color_network(reverse=False, groups=1):
    """Four 2 x 2 filters: red, half of negative green, blue in one corner, and none at all."""
    kernel = np.zeros([2, 2, 3, 4], np.float32)
    kernel[:, :, 0, 0], kernel[:, :, 1, 1], kernel[0, 1, 2, 2] = 3, -1.5, 2
    inputs = keras.Input((8, 8, 3))
    outputs = keras.ops.flip(inputs, axis=-1) if reverse else inputs
    first = ka.models.layers.Convolution(4, 2, name="first")
    outputs = first(keras.layers.Rescaling(1 / 127.5, -1)(outputs))
    outputs = ka.models.layers.Convolution(4, 2, groups=groups, name="second")(outputs)
    first.set_weights([kernel[:, :, ::-1] if reverse else kernel, np.zeros(4)])
    return keras.Model(inputs, outputs, name="colors")


GRAY = [128, 128, 128]


@pytest.mark.parametrize("reverse", [False, True], ids=["RGB", "BGR"])
@pytest.mark.parametrize("scale, green", [("each", 0), ("joint", 64)])
def test_filters_are_shown_in_their_colors(reverse, scale, green, tmp_path):
    out = tmp_path / "filters.png"
    found = figures.filters(_color_network(reverse), out, scale=scale)
    blue = 255 if scale == "each" else 212  # 127.5 + 127.5 * 2 / 3
    assert found.shape == (4, 2, 2, 3)
    assert found[0].tolist() == [[[255, 128, 128]] * 2] * 2
    assert found[1].tolist() == [[[128, green, 128]] * 2] * 2
    assert found[2].tolist() == [[GRAY, [128, 128, blue]], [GRAY, GRAY]]
    assert found[3].tolist() == [[GRAY] * 2] * 2
    drawn, cell, gap = _pixels(out), 44, 4
    top = np.flatnonzero((drawn[:, canvas.MARGIN] == found[0, 0, 0]).all(axis=-1))[0]
    for number, one in enumerate(found):
        left = canvas.MARGIN + number * (cell + gap)
        there = drawn[top : top + cell, left : left + cell]
        np.testing.assert_array_equal(there, one.repeat(22, axis=0).repeat(22, axis=1))
        assert (drawn[top : top + cell, left + cell : left + cell + gap] == 255).all()


def test_towers_stand_one_below_the_other(tmp_path):
    heights = {}
    for groups in (1, 2):
        out = tmp_path / f"{groups}.png"
        figures.filters(_color_network(groups=groups), out)
        drawn = _pixels(out)
        red = (drawn == [255, 128, 128]).all(axis=-1)
        corner = (drawn == [128, 128, 255]).all(axis=-1)  # of the third filter
        heights[groups] = np.argwhere(corner)[0][0] - np.argwhere(red)[0][0]
    assert heights == {1: 0, 2: 44 + 4 + 26}  # a filter, and what is between towers


@pytest.mark.parametrize("name, count, side", [("cifar_v1", 64, 3), ("alexnet_half", 48, 11)])
def test_filters_of_networks(name, count, side, tmp_path):
    out = tmp_path / "filters.png"
    model = ka.build(name, seed=0)
    found = figures.filters(model, out)
    assert found.shape == (count, side, side, 3)
    drawn = _pixels(out)
    assert 100 < drawn.shape[0] < 500 and 600 < drawn.shape[1] < 900 and drawn.std() > 20


def test_a_network_that_mixes_colors_has_no_filters_to_show(tmp_path):
    inputs = keras.Input((8, 8, 3))
    mixed = keras.layers.Conv2D(3, 1, name="second")(
        keras.ops.flip(inputs, axis=-1) @ np.ones([3, 3])
    )
    with pytest.raises(ka.UserError, match="second does not read red, green and blue"):
        figures.filters(keras.Model(inputs, mixed), tmp_path / "filters.png")
    dense = keras.Model(inputs, keras.layers.Flatten(name="flat")(inputs))
    with pytest.raises(ka.UserError, match="no convolution that reads three colors.*flat"):
        figures.filters(dense, tmp_path / "filters.png")


def test_weights_that_are_not_finite_are_not_drawn(model, tmp_path):
    broken = _color_network()
    broken.get_layer("first").kernel.assign(np.full([2, 2, 3, 4], np.nan))
    with pytest.raises(ka.UserError, match="NaN or inf"):
        figures.filters(broken, tmp_path / "filters.png")
    assert not list(tmp_path.iterdir())


# Neighbors --------------------------------------------------------------------------------------
def test_nearest_is_what_brute_force_finds():
    random = np.random.default_rng(0)
    everything = random.normal(size=(50, 6))
    everything[30] = everything[4]  # of equals the first comes first
    wanted = np.concatenate([random.normal(size=(3, 6)), everything[4:5]])
    found, distances = nearest(wanted, [everything[:7], everything[7:45], everything[45:]], 9)
    expected = np.linalg.norm(everything[None] - wanted[:, None], axis=-1)
    order = np.argsort(expected, axis=1, kind="stable")[:, :9]
    np.testing.assert_array_equal(found, order)
    np.testing.assert_allclose(distances, np.take_along_axis(expected, order, 1), atol=1e-12)
    assert found[3, :2].tolist() == [4, 30] and distances[3, :2].tolist() == [0, 0]


def test_neighbors_are_those_in_the_last_hidden_layer(model, data, of_tiny, tmp_path):
    out = tmp_path / "neighbors.png"
    rows = figures.neighbors(
        model, out, **of_tiny, images=3, neighbors=4, batch_size=32, data=tmp_path / "rows.json"
    )
    hidden = keras.Model(model.input, model.get_layer("fc4").output)
    vectors = {
        part: hidden.predict(ka.eval_batches(split, "cifar_v2", batch_size=100), verbose=0)
        for part, split in (("train", data.train), ("test", data.test))
    }
    tests = {data.test.name(number): number for number in range(len(data.test))}
    for row in rows:
        number = tests[row["test_image"]]
        distances = np.linalg.norm(vectors["train"] - vectors["test"][number], axis=1)
        place = np.argsort(distances, kind="stable")[row["rank"] - 1]
        assert row["train_image"] == data.train.name(place)
        assert row["distance"] == pytest.approx(distances[place], rel=1e-4, abs=1e-5)
        assert row["test_label"] == row["test_image"].split("/")[1]
        assert row["train_label"] == row["train_image"].split("/")[1]
    assert len(rows) == 12 and {row["test_label"] for row in rows} == {"cat", "dog", "owl"}
    # The cats of the test set are in the training set too.
    assert rows[0]["test_label"] == "cat" and rows[0]["distance"] == 0
    assert json.loads((tmp_path / "rows.json").read_text()) == rows
    drawn = _pixels(out)
    assert drawn.shape[1] == 5 * 138 - 10 + 30 + 2 * canvas.MARGIN
    images, _ = next(
        iter(
            ka.eval_batches(
                data.test.subset([tests[rows[0]["test_image"]]]), "cifar_v2", batch_size=1
            )
        )
    )
    left, top = canvas.MARGIN, canvas.MARGIN + canvas.height_of(2, 13) + 10
    enlarged = images[0].numpy().repeat(4, axis=0).repeat(4, axis=1)
    np.testing.assert_array_equal(drawn[top : top + 128, left : left + 128], enlarged)
    # That cat's nearest neighbor is the same picture, on the other side of the line.
    left += 30 + 138
    np.testing.assert_array_equal(drawn[top : top + 128, left : left + 128], enlarged)


def test_images_held_out_are_no_neighbors(model, data, config):
    settings = dataclasses.asdict(dataclasses.replace(config, validation_images=12))
    recipe = dataclasses.asdict(recipes.get("cifar_v2"))
    described = {"config": settings, "recipe": recipe, "data": {"sha256": data.sha256}}
    looked = dataclasses.replace(subjects.network(model), config=described)
    assert len(subjects.training_images(looked, data)) == 60
    described["data"]["sha256"] = "that of other data"
    assert len(subjects.training_images(looked, data)) == 72


def test_only_some_training_images_are_searched(model, of_tiny, tmp_path):
    with pytest.raises(ka.UsageError, match="6 training images have not 7 neighbors"):
        figures.neighbors(model, tmp_path / "n.png", **of_tiny, train_images=6, neighbors=7)


# Likeliest labels --------------------------------------------------------------------------------
def test_bars_are_the_softmax(model, data, of_tiny, tmp_path):
    out = tmp_path / "likeliest.png"
    rows = figures.likeliest(model, out, **of_tiny, indices=(17,), top=5)
    images, labels = next(iter(ka.eval_batches(data.test.subset([17]), "cifar_v2", batch_size=1)))
    [expected] = tf.nn.softmax(model(images)).numpy()
    order = np.argsort(-expected)
    correct = data.class_names[int(labels[0])]
    assert [row["class"] for row in rows] == [data.class_names[place] for place in order]
    assert [row["probability"] for row in rows] == pytest.approx(expected[order], rel=1e-5)
    assert {(row["image"], row["label"]) for row in rows} == {(data.test.name(17), correct)}
    assert [row["rank"] for row in rows] == [1, 2, 3]
    written = _table(tmp_path / "likeliest.csv")
    assert [float(row["probability"]) for row in written] == pytest.approx(
        expected[order], rel=1e-5
    )
    drawn = _pixels(out)
    left_edge = drawn[:, canvas.MARGIN]
    starts = [
        row
        for row in range(1, len(drawn))
        if tuple(left_edge[row]) in (ORANGE, BLUE) and tuple(left_edge[row - 1]) == (255,) * 3
    ]
    assert len(starts) == 3, "a bar each"
    for top, row in zip(starts, rows, strict=True):
        color = ORANGE if row["class"] == correct else BLUE
        bar = (drawn[top] == color).all(axis=-1).sum()
        assert bar == round(134 * row["probability"])


@pytest.mark.parametrize("images", [1, 20])
def test_sheets_of_few_and_many(images, model, of_tiny, tmp_path):
    out = tmp_path / "likeliest.png"
    rows = figures.likeliest(model, out, **of_tiny, images=images, top=2)
    assert len(rows) == 2 * images
    height, width, _ = _pixels(out).shape
    assert (width, height > 800) == ((200, False) if images == 1 else (992, True))


def test_images_are_chosen_from_all_classes_or_named(data):
    chosen = subjects.chosen(data.test, 6, None, seed=1)
    assert np.bincount(data.test.labels[chosen]).tolist() == [2, 2, 2]
    assert subjects.chosen(data.test, 6, (5, 3), seed=1).tolist() == [5, 3]
    for wrong in ((24,), ("x",), (-1,)):
        with pytest.raises(ka.UsageError, match="indices"):
            subjects.chosen(data.test, 6, wrong, seed=1)
    with pytest.raises(ka.UsageError, match="only 24 images to choose from. Received: 25"):
        subjects.chosen(data.test, 25, None, seed=1)


@pytest.mark.parametrize(
    "name, side", [("cifar_v2", 32), ("alexnet_owt", 64), ("cifar_resized", 227)]
)
def test_images_shown_are_those_that_the_network_sees(name, side, data):
    plan = ka.variants.get(name).image_plan_for(side)
    expected, _ = next(iter(ka.eval_batches(data.test.subset([7, 2]), plan, batch_size=2)))
    np.testing.assert_array_equal(subjects.views(data.test, [7, 2], plan), expected)


@pytest.mark.parametrize("warp", [False, True])
def test_images_that_are_not_square_are_cut_or_warped(warp):
    plan = dataclasses.replace(ka.variants.get("cifar_v2").image_plan_for(), warp=warp)
    images = np.random.default_rng(0).integers(0, 256, (2, 24, 60, 3), dtype=np.uint8)
    split = ka.datasets.Split.of(ImageArray(images), [0, 0])
    expected, _ = next(iter(ka.eval_batches(split, plan, batch_size=2)))
    np.testing.assert_array_equal(subjects.views(split, [0, 1], plan), expected)
    np.testing.assert_array_equal(subjects.view_of(images[1], plan)[1], expected[1])


def test_colors_of_caffes_network_are_told_from_its_own_layers():
    network, image = ka.variants.get("alexnet_caffe"), keras.Input((227, 227, 3))
    choices = ka.models.Choices.checked(network)
    model = keras.Model(image, ka.models.connect(image, network, network.features[:1], choices))
    layer = model.get_layer("conv1")
    kernel = filters.rgb_kernel(model, layer)
    np.testing.assert_array_equal(kernel, keras.ops.convert_to_numpy(layer.kernel)[:, :, ::-1])


def test_damaged_image_is_named(model, tmp_path):
    folder = tmp_path / "photos"
    for part in ("train", "test"):
        (folder / part / "cat").mkdir(parents=True)
        (folder / part / "cat" / "a.png").write_bytes(
            tf.io.encode_png(np.zeros([9, 9, 3], np.uint8)).numpy()
        )
    (folder / "test" / "cat" / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n cut off")
    one = ka.build("cifar_v2", num_classes=1, seed=0)
    with pytest.raises(ka.UserError, match="b.png"):
        figures.likeliest(one, tmp_path / "l.png", "image_folder", data_dir=folder, images=2)
    with pytest.raises(ka.UserError, match="3 classes and photos has 1"):
        figures.likeliest(model, tmp_path / "l.png", "image_folder", data_dir=folder, images=2)
    assert not (tmp_path / "l.png").exists()


# Activations -------------------------------------------------------------------------------------
@pytest.fixture
def image(tiny_folder):
    return tiny_folder / "test" / "dog" / "002.png"


@pytest.mark.parametrize("layer", ["standardize", "conv2", "pool2", "fc3", "logits"])
def test_activations_are_the_output_of_the_layer(layer, model, image, tmp_path):
    out = tmp_path / "layer.png"
    found = figures.activations(model, out, image, layer)
    pixels = tf.io.decode_png(image.read_bytes())
    part = keras.Model(model.input, model.get_layer(layer).output)
    np.testing.assert_allclose(found, part(pixels[None])[0], rtol=1e-4, atol=1e-5)
    drawn = _pixels(out)
    assert drawn.std() > 10 and 200 < drawn.shape[0] < 800 and 400 < drawn.shape[1] < 1500


def test_maps_are_drawn_on_their_scale(model, image, tmp_path):
    out = tmp_path / "pool1.png"
    for scale in ("each", "joint"):
        values = figures.activations(model, out, image, "pool1", scale=scale)
        assert values.min() >= 0
        drawn = _pixels(out)
        largest = values.max(axis=(0, 1)) if scale == "each" else values.max()
        expected = np.floor(np.clip(values / np.maximum(largest, 1e-9), 0, 1 - 1e-7) * 256)
        top, left = canvas.MARGIN + canvas.height_of(1, 13) + 8 + 3, 192 + 2 * canvas.MARGIN + 3
        factor = 72 // values.shape[0]
        for number in (0, 21):
            row, column = divmod(number, 16)
            step = factor * values.shape[0] + 3
            y, x = top + row * step, left + column * step
            there = drawn[y : y + step - 3 : factor, x : x + step - 3 : factor, 1].astype(int)
            assert np.abs(there - expected[:, :, number]).max() <= 1


def test_signs_have_colors_where_there_are_both():
    [[[low, middle, high]]] = activations.colored(np.float32([[[-2], [0], [2]]]), "joint").tolist()
    assert low[2] > low[0] and high[0] > high[2] and min(middle) > 240
    dark = activations.colored(np.float32([[[-2], [0]]]), "joint").tolist()
    assert dark == [[[[255] * 3, [0] * 3]]]


def test_unknown_layer_and_image(model, image, tmp_path):
    with pytest.raises(ka.UsageError, match="'conv9'. Did you mean 'conv.'. Known: .*conv1, pool1"):
        figures.activations(model, tmp_path / "l.png", image, "conv9")
    with pytest.raises(ka.UserError, match="none.png cannot be read: .*No such file"):
        figures.activations(model, tmp_path / "l.png", tmp_path / "none.png", "conv1")
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    with pytest.raises(ka.UserError, match="bad.jpg cannot be read: no JPEG, PNG, BMP or GIF"):
        figures.activations(model, tmp_path / "l.png", tmp_path / "bad.jpg", "conv1")
    with pytest.raises(ka.UsageError, match="One image is wanted. Received: 8"):
        figures.activations(model, tmp_path / "l.png", image.parent, "conv1")


# Curves ------------------------------------------------------------------------------------------
def _run(folder, top1, validation=None):
    folder.mkdir()
    rows = [
        {"dataset": "shapes", "epoch": number + 1, "top1": value}
        | ({} if validation is None else {"val_top1": validation[number]})
        for number, value in enumerate(top1)
    ]
    ka.training.results.write_csv(folder / "metrics.csv", rows)
    return folder


def test_epochs_to_reach_an_error(tmp_path):
    relu = _run(tmp_path / "relu", [0.5, 0.75, 0.7, 0.9], validation=[0.4, 0.5, 0.6, 0.625])
    tanh = _run(tmp_path / "tanh", [0.3, 0.7499])
    out = tmp_path / "curves.png"
    assert figures.curves([relu, tanh / "metrics.csv"], out) == {"relu": 2, "tanh": None}
    rows = _table(tmp_path / "curves.csv")
    assert [row["run"] for row in rows] == ["relu"] * 4 + ["tanh"] * 2
    assert [float(row["training_error_percent"]) for row in rows[:4]] == pytest.approx(
        [50, 25, 30, 10]
    )
    assert rows[3]["validation_error_percent"] == "37.5"
    assert rows[4]["validation_error_percent"] == ""
    assert [row["epochs_to_reach_it"] for row in rows[3:5]] == ["2", ""]
    assert _pixels(out).shape == (576, 900, 3)
    table = tmp_path / "other.json"
    assert figures.curves([relu], out, labels=["ReLU"], error=10, data=table) == {"ReLU": 4}
    assert json.loads(table.read_text())[0]["error_to_reach_percent"] == 10
    assert in_words({"ReLU": 4}, 10.0) == ["ReLU: a training error of 10 % in epoch 4"]


def test_dashed_line_stands_at_the_error(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(plots, "save", lambda figure, path: kept.append(figure))
    run = _run(tmp_path / "run", [0.5, math.nan])
    figures.curves([run], tmp_path / "curves.png", error=25)
    [axes] = kept[0].axes
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert lines["25 %"].get_linestyle() == "--" and set(lines["25 %"].get_ydata()) == {25}
    assert lines["run"].get_ydata()[0] == 50 and list(lines["run"].get_xdata()) == [1, 2]


def test_runs_that_cannot_be_drawn(tmp_path):
    out, run = tmp_path / "curves.png", _run(tmp_path / "run", [0.5])
    for arguments, text in [
        (([],), "Runs are needed"),
        (([run, run],), "Two runs are called 'run'"),
        (([run],), "1 runs need as many labels. Received: 2"),
    ]:
        labels = ["a", "b"] if "labels" in text else None
        with pytest.raises(ka.UsageError, match=text):
            figures.curves(*arguments, out, labels=labels)
    with pytest.raises(ka.UserError, match="none/?.* cannot be read: No such file"):
        figures.curves([tmp_path / "none"], out)
    for text in ("", "epoch,top1\n1,many\n", "epoch,loss\n1,2\n"):
        (run / "metrics.csv").write_text(text)
        with pytest.raises(ka.UserError, match="metrics.csv is not what a run wrote"):
            figures.curves([run], out)
    assert not out.exists()


# What all have in common -------------------------------------------------------------------------
def test_names_of_files_are_checked_before_anything_is_done(tmp_path):
    with pytest.raises(ka.UsageError, match="ends in .png. Received: .*x.jpg"):
        figures.filters("no such run", tmp_path / "x.jpg")
    with pytest.raises(ka.UsageError, match=".csv or a .json file. Received: .*x.txt"):
        figures.likeliest("no such run", tmp_path / "x.png", data=tmp_path / "x.txt")
    with pytest.raises(ka.UserError, match="There is no model at no such run"):
        figures.neighbors("no such run", tmp_path / "x.png")


@pytest.mark.parametrize(
    "text", ["golden retriever, a dog of some size", "x" * 80, "ä b", "a, " * 40]
)
def test_lines_are_no_wider_than_their_place(text):
    for most in (1, 2, 3):
        lines = canvas.canvas_lines(text, 90, 13, most=most)
        assert 1 <= len(lines) <= most
        assert all(canvas.text_width(line, 13) <= 90 for line in lines)
        whole = "".join(lines).replace(" ", "") == text.replace(" ", "")
        assert whole or lines[-1].endswith("…")


def test_images_are_enlarged_by_whole_factors_and_reduced_by_means():
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    np.testing.assert_array_equal(canvas.fitted(image, 7)[::3, ::3], image)
    assert canvas.fitted(image, 7).shape == (6, 6, 3)
    halves = np.zeros([4, 4, 3], np.uint8)
    halves[:, 1::2] = 200
    assert np.unique(canvas.fitted(halves, 2)).tolist() == [100]


def _run_script(commands):
    """Runs scripts/figures.py with each of the lists of arguments."""
    script = pathlib.Path(__file__).parents[2] / "scripts" / "figures.py"

    def run(arguments):
        command = [sys.executable, script, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=300)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return list(pool.map(run, commands))


def _assert_refused(done, code, text):
    assert (done.returncode, done.stdout) == (code, "")
    assert text in done.stderr and "Traceback" not in done.stderr


def test_script_draws_and_prints(tmp_path):
    _run(tmp_path / "relu", [0.5, 0.8])
    out = tmp_path / "c.png"
    curves = ["curves", f"--runs={tmp_path}/relu", "--labels=ReLU", f"--out={out}"]
    drawn, refused = _run_script([curves, ["filters", "--layer=conv1", "--model=m", "--out=f.png"]])
    assert drawn.stdout.splitlines() == [
        "ReLU: a training error of 25 % in epoch 2",
        f"picture: {out}",
    ]
    assert _table(tmp_path / "c.csv")[1]["epochs_to_reach_it"] == "2" and _pixels(out).size
    _assert_refused(refused, 2, "unknown arguments: --layer=conv1")


@pytest.mark.slow
def test_script_says_what_is_wrong(model, data, of_tiny, image, tmp_path):
    mine = tmp_path / "mine"
    ka.runs.save(mine, model, data.class_names)
    (tmp_path / "bad.png").write_bytes(b"no image")
    out = f"--out={tmp_path}/a.png"
    layer = [f"--model={mine}", "--variant=cifar_v2", "--layer=logits", out]
    source = [f"--{name}={value}" for name, value in of_tiny.items()]
    drawn, named, damaged, needed, mode, number = _run_script(
        [
            ["activations", *layer, f"--image={image}"],
            ["likeliest", f"--model={mine}", out, *source, "--indices=5,0", "--top=1"],
            ["activations", *layer, f"--image={tmp_path}/bad.png"],
            ["neighbors", "--out=n.png"],
            ["filter", "--out=f.png"],
            ["likeliest", f"--model={mine}", out, "--indices=one"],
        ]
    )
    assert drawn.stdout == named.stdout == f"picture: {tmp_path}/a.png\n"
    shown = [row["image"] for row in _table(tmp_path / "a.csv")]
    assert shown == [data.test.name(5), data.test.name(0)]
    _assert_refused(damaged, 1, "bad.png cannot be read")
    _assert_refused(needed, 2, "required: --model")
    _assert_refused(mode, 2, "invalid choice: 'filter'")
    _assert_refused(number, 2, "--indices")
