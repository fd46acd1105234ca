"""Predictions by every kind of model file, of every kind of image, and by the script."""

import csv
import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_alexnet
from keras_alexnet import UsageError, UserError, run_folder
from keras_alexnet.cli.main import main
from keras_alexnet.data import decode
from keras_alexnet.predicting.encoded_predictor import EncodedPredictor
from keras_alexnet.predicting.images import input_images
from keras_alexnet.predicting.local import LocalPredictor
from keras_alexnet.predicting.predict import Prediction, predict, predictions
from keras_alexnet.runtimes import litert
from keras_alexnet.utils import terminal
from support import predict_places
from support.predict_places import TOLERANCE

ROOT = pathlib.Path(__file__).parents[2]
PHOTOS = [
    "alpha.png",
    "below/bitmap.bmp",
    "below/cmyk.jpg",
    "below/deeper/UPPER.JPEG",
    "deep.png",
    "gif.gif",
    "gray.jpg",
    "large.jpg",
    "palette.png",
    "tiny.png",
]


def _model(places, kind):
    if getattr(places, kind) is None:
        pytest.skip("ONNX files need onnx, onnxruntime and tf2onnx")
    return getattr(places, kind)


def _pixels(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 24, 36, 3), np.uint8)


def _assert_as_expected(found, network, contents):
    probabilities = predict_places.expected(network, contents)
    assert len({row.argmax() for row in probabilities}) > 2, "the images are all alike"
    for prediction, row in zip(found, probabilities, strict=True):
        best = np.argsort(-row)[:5]
        assert prediction.error is None
        assert prediction.classes == tuple(network.labels[index] for index in best)
        np.testing.assert_allclose(prediction.scores, row[best], atol=TOLERANCE)


@pytest.mark.parametrize("kind", ["run", "file", "exported", "lite", "onnx"])
def test_photos_of_any_size_and_color(places, kind):
    found = predict(_model(places, kind), places.photos, batch_size=3)
    assert [each.image for each in found] == [str(places.photos / name) for name in PHOTOS]
    contents = [(places.photos / name).read_bytes() for name in PHOTOS]
    _assert_as_expected(found, places.network, contents)


def test_of_versions_the_newest_or_the_one_named(places):
    pixels = _pixels(4)
    folders = (places.exported, places.exported / "2", str(places.exported / "1"), places.old)
    newest, second, first, old = (
        [each.scores for each in predict(folder, pixels)] for folder in folders
    )
    assert newest == second and newest != first
    np.testing.assert_allclose(first, old, atol=TOLERANCE)


def test_images_are_taken_in_every_form(places):
    pixels = _pixels(3)
    encoded = [tf.io.encode_png(each).numpy() for each in pixels]
    path = places.photos / "tiny.png"

    def of(images):
        found = list(input_images(images))
        return [each.name for each in found], [each.read() for each in found]

    apart = (pixels[:2], pixels[2])
    for images in (pixels, list(pixels), apart, tf.constant(pixels), iter(encoded), encoded):
        names, contents = of(images)
        assert names == ["image 0", "image 1", "image 2"]
        for one, expected in zip(contents, pixels, strict=True):
            np.testing.assert_array_equal(tf.io.decode_png(one), expected)
    assert of(bytearray(encoded[1])) == (["image 0"], [encoded[1]])
    for form in (path, str(path), [path], np.array([str(path)])):
        assert of(form) == ([str(path)], [path.read_bytes()])
    names, _ = of([pixels[:2], path, encoded[2]])
    assert names == ["image 0", "image 1", str(path), "image 3"]
    mixed = predict(places.run, [pixels[:2], path, encoded[2]])
    contents = [encoded[0], encoded[1], path.read_bytes(), encoded[2]]
    truth = predict_places.expected(places.network, contents)
    np.testing.assert_allclose([each.scores[0] for each in mixed], truth.max(1), atol=TOLERANCE)


@pytest.mark.parametrize("kind", ["run", "exported", "lite"])
def test_no_images_give_no_predictions_and_no_work(places, kind, monkeypatch):
    def forbidden(*_):
        raise AssertionError("the network was called")

    for predictor in (LocalPredictor, EncodedPredictor):
        monkeypatch.setattr(predictor, "classify", forbidden)
    for images in ([], (), iter([]), np.zeros([0, 24, 36, 3], np.uint8)):
        assert predict(getattr(places, kind), images) == []


@pytest.mark.parametrize(
    "images",
    [np.zeros([2, 4, 4, 3], bool), np.zeros([4, 4], np.uint8), [_pixels(1), 3], 3, None],
)
def test_what_is_no_image_is_refused_at_once(places, images):
    with pytest.raises(UsageError, match="Images are paths.*Received: "):
        predictions(places.run, images)


@pytest.mark.parametrize(
    ("pixels", "received"),
    [
        (_pixels(2) / np.float32(255), r"float32 \[2, 24, 36, 3\] with values from 0 to 1\. .*lea"),
        ([_pixels(1)[0] / 127.5 - 1], r"float64 .* from -1 to 1\. .*standardize pixels"),
        (_pixels(2) - 120.5, "from -120 to 134"),
        (_pixels(2).astype(int) * 2, "from 0 to 510"),
        (np.full([4, 4, 3], np.nan), "from nan to nan"),
    ],
)
def test_pixels_of_another_scale_are_refused(places, pixels, received):
    for function in (predictions, keras_alexnet.features):
        with pytest.raises(UsageError, match=f"must be pixels 0–255. Received: .*{received}"):
            function(places.run, pixels)


def test_floats_0_to_255_are_the_same_pixels(places):
    pixels = _pixels(3)
    rounded = [each.scores for each in predict(places.run, np.minimum(pixels + 0.2, 255))]
    assert rounded == [each.scores for each in predict(places.run, pixels)]
    [black] = predict(places.run, np.zeros([4, 4, 3], np.float32))
    assert black.error is None


@pytest.mark.parametrize("kind", ["run", "file", "exported"])
def test_features_of_every_kind_of_model(places, kind):
    found = keras_alexnet.features(_model(places, kind), places.photos, batch_size=3)
    assert list(found.images) == [str(places.photos / name) for name in PHOTOS]
    expected = keras_alexnet.features(places.network.model, _squares(places), "fc4")["fc4"]
    np.testing.assert_allclose(found["features"], expected, rtol=1e-4, atol=1e-4)


def _squares(places):
    """The inputs of the network, as evaluation makes them."""
    size = places.network.plan.square
    contents = [(places.photos / name).read_bytes() for name in PHOTOS]
    return np.stack([decode.decode_square(each, *size).numpy() for each in contents])


def test_features_of_exported_files(places):
    with pytest.raises(UsageError, match="Of a SavedModel, only 'features' .* Received: conv1, of"):
        keras_alexnet.features(places.exported, places.photos, ["conv1", "features"])
    with pytest.raises(UserError, match="other exported files do not show their layers"):
        keras_alexnet.features(places.lite, places.photos)


@pytest.mark.parametrize("kind", ["run", "exported", "lite", "onnx"])
def test_images_that_cannot_be_read_are_named_and_the_others_go_on(places, kind, tmp_path):
    whole = (places.photos / "alpha.png").read_bytes()
    for name, contents in {
        "a.png": whole,
        "b.png": whole[: len(whole) // 2],
        "c.jpg": b"hello",
        "d.gif": b"",
        "e.jpg": (places.photos / "gray.jpg").read_bytes()[:200],
        "g.png": whole,
    }.items():
        (tmp_path / name).write_bytes(contents)
    images = [tmp_path, tmp_path / "missing.png"]
    found = {pathlib.Path(p.image).name: p for p in predict(_model(places, kind), images)}
    reasons = {name: each.error for name, each in found.items() if each.error is not None}
    assert sorted(reasons) == ["b.png", "c.jpg", "d.gif", "e.jpg", "missing.png"]
    assert "PNG" in reasons["b.png"] and "JPEG" in reasons["e.jpg"]
    assert "not a JPEG, PNG, BMP, GIF" in reasons["c.jpg"]
    assert reasons["missing.png"] == "No such file or directory"
    assert not any("\n" in text or "{{" in text for text in reasons.values())
    assert all(found[name].classes == () for name in reasons)
    assert found["a.png"].scores == pytest.approx(found["g.png"].scores, abs=TOLERANCE)
    assert found["a.png"].classes


def test_images_are_read_when_their_turn_comes(places):
    taken = 0

    def images():
        nonlocal taken
        for pixels in _pixels(100):
            taken += 1
            yield pixels

    found = predictions(places.run, images(), batch_size=2)
    assert taken == 0
    next(found)
    assert 2 <= taken < 40
    assert 1 + len(list(found)) == taken == 100


def test_progress_counts_every_image(places, monkeypatch, tmp_path):
    lines = []
    monkeypatch.setattr(terminal, "SECONDS_BETWEEN_LINES", 0)
    monkeypatch.setattr(terminal.logging, "info", lambda text, *of: lines.append(text % of))
    (tmp_path / "bad.png").write_bytes(b"bad")
    predict(places.run, [*_pixels(4), tmp_path], batch_size=2)
    counted = [line for line in lines if line.startswith("predicting: ")]
    assert counted == [f"predicting: {done} of 5 images" for done in (2, 4, 5)]


def test_top_is_as_many_as_asked_or_as_there_are(places):
    pixels = _pixels(2)
    whole = predict(places.run, pixels, top=100)
    assert [len(each.classes) for each in whole] == [7, 7]
    assert sum(whole[0].scores) == pytest.approx(1, abs=1e-5)
    for model in (places.exported, places.lite):
        for top in (1, 6):
            for each, all_of_it in zip(predict(model, pixels, top=top), whole, strict=True):
                assert each.classes == all_of_it.classes[:top]
                assert each.scores == pytest.approx(all_of_it.scores[:top], abs=TOLERANCE)
    assert len(predict(places.small, pixels)[0].classes) == 3


def test_labels_replace_those_of_the_network(places, tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("".join(f"name {number}\n" for number in range(7)))
    pixels = _pixels(2)
    for model in (places.run, places.exported):
        own, renamed = predict(model, pixels), predict(model, pixels, labels=names)
        for before, after in zip(own, renamed, strict=True):
            numbers = [label.split()[1] for label in before.classes]
            assert after.classes == tuple(f"name {number}" for number in numbers)
        names_of_others = places.small / run_folder.LABELS
        with pytest.raises(UserError, match="must name the 7 classes of .*Received: 3 names"):
            predict(model, pixels, labels=names_of_others)
    with pytest.raises(UserError, match="labels cannot be read.*nowhere"):
        predict(places.run, pixels, labels="nowhere")


@pytest.mark.parametrize(
    "option",
    [
        *({"top": 0}, {"top": "3"}, {"top": 2.5}, {"top": None}, {"top": True}),
        *({"batch_size": 0}, {"batch_size": "3"}, {"batch_size": 2.5}),
        *({"timeout": 0}, {"timeout": float("inf")}, {"timeout": "3"}),
    ],
)
def test_options_that_cannot_be_used(places, option):
    [(name, value)] = option.items()
    with pytest.raises(UsageError, match=f"{name} must be .*Received: {value!r}"):
        predictions(places.run, _pixels(1), **option)


def test_variant_is_asked_for_where_it_is_not_known(places, tmp_path):
    model = places.network.model
    renamed = keras.Model(model.input, model.output, name="mine")
    run_folder.save(tmp_path, renamed, places.network.labels)
    with pytest.raises(UsageError, match="named 'mine'.* with --variant"):
        predict(tmp_path, _pixels(1))
    pixels = _pixels(3)
    found = predict(tmp_path, pixels, variant="cifar_v2")
    assert found == predict(places.run, pixels)
    with pytest.raises(UsageError, match="Leave it out. Received: 'cifar_v2'"):
        predict(places.exported, pixels, variant="cifar_v2")


@pytest.mark.parametrize("kind", ["run", "lite", "onnx"])
def test_variant_does_not_override_what_a_file_says(places, kind):
    pixels, model = _pixels(1), _model(places, kind)
    assert predict(model, pixels, variant="cifar_v2") == predict(model, pixels)
    with pytest.raises(UsageError, match="is a cifar_v2.*Leave it out. Received: 'cifar_v1'"):
        predict(model, pixels, variant="cifar_v1")


def test_an_export_without_a_saved_model_points_to_its_other_files(places, tmp_path):
    for name in ("a_int8.tflite", "b_float32.tflite"):
        (tmp_path / "both" / "tflite").mkdir(parents=True, exist_ok=True)
        (tmp_path / "both" / "tflite" / name).write_bytes(places.lite.read_bytes())
    (tmp_path / "onnx only" / "onnx").mkdir(parents=True)
    (tmp_path / "onnx only" / "onnx" / "a.onnx").write_bytes(b"")
    for folder in (tmp_path / "both", tmp_path / "both" / "tflite"):
        with pytest.raises(UserError, match="holds no SavedModel. Name one of its") as error:
            predict(folder, _pixels(1))
        files = str(error.value).partition("files: ")[2].removesuffix(".").split(", ")
        assert [pathlib.Path(file).name for file in files] == ["a_int8.tflite", "b_float32.tflite"]
        assert predict(files[1], _pixels(1)) == predict(places.lite, _pixels(1))
    with pytest.raises(UserError, match="holds no SavedModel. Name one of its .*a.onnx"):
        predict(tmp_path / "onnx only", _pixels(1))


def test_places_where_there_is_no_network(places, tmp_path):
    (tmp_path / "notes.txt").write_text("no network")
    (tmp_path / "damaged" / "3").mkdir(parents=True)
    (tmp_path / "damaged" / "3" / "saved_model.pb").write_bytes(b"nonsense")
    (tmp_path / "damaged.keras").write_bytes(b"nonsense")
    (tmp_path / "damaged.tflite").write_bytes(b"nonsense")
    (tmp_path / "damaged.onnx").write_bytes(b"nonsense")
    for model, error, text in (
        (places.photos, UserError, "holds no model.keras and no SavedModel.*grpc://host"),
        (
            tmp_path / "nowhere",
            UserError,
            "There is no model at .*nowhere.*an .onnx file.*http://host",
        ),
        (tmp_path / "nowhere.keras", UserError, "There is no model at .*nowhere.keras"),
        (tmp_path / "nowhere.tflite", UserError, "nowhere.tflite"),
        (tmp_path / "notes.txt", UserError, "notes.txt is not a model"),
        (tmp_path / "damaged", UserError, "cannot be loaded as a SavedModel"),
        (tmp_path / "damaged.keras", UserError, "cannot be read as a Keras model"),
        (tmp_path / "damaged.tflite", UserError, "damaged.tflite"),
        (tmp_path / "damaged.onnx", UserError, "damaged.onnx|onnxruntime"),
        ("", UsageError, "model must not be empty"),
        ("ftp://host/mine", UsageError, "Received: ftp://host/mine"),
        ("ftp://me:se/cret@host/mine", UsageError, r"Received: ftp://\*\*\*@host/mine"),
        (3, UsageError, "Received: int"),
    ):
        with pytest.raises(error, match=text):
            predict(model, _pixels(1))


def test_folders_that_give_no_images(monkeypatch, tmp_path):
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(UserError, match="has no images: files that end in .jpg"):
        predict("nowhere", tmp_path)

    def forbidden(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", forbidden)
    with pytest.raises(UserError, match=f"The folder {tmp_path} cannot be read: Permission denied"):
        predict("nowhere", tmp_path)


def test_a_saved_model_of_another_project_is_told_by_its_signatures(tmp_path):
    predict_places.save_foreign(tmp_path / "1", "twice", tf.TensorSpec([None], tf.float32), ["y"])
    with pytest.raises(UserError, match=r"no signature 'image_bytes'.*It has: twice \(y\)"):
        predict(tmp_path, _pixels(1))
    # The right names, but nothing is known of their shapes.
    names, strings = ["classes", "probabilities", "scores"], tf.TensorSpec(None, tf.string)
    predict_places.save_foreign(tmp_path / "2", "image_bytes", strings, names)
    with pytest.raises(UserError, match=r"It has: image_bytes \(classes, probabilities, scores\)"):
        predict(tmp_path, _pixels(1))


def test_weights_that_are_not_finite(places, tmp_path):
    model = keras.models.clone_model(places.network.model)
    model.get_layer("logits").bias.assign([np.nan] * 7)
    run_folder.save(tmp_path, model, places.network.labels)
    with pytest.raises(UserError, match=r"NaN or infinite: logits/bias \(7 of 7\)"):
        predict(tmp_path, _pixels(1), variant="cifar_v2")


class _Foreign:
    """A TFLite file that does not describe itself."""

    description, input_shape, num_classes = None, (32, 32, 3), 2

    def __init__(self, path, num_threads):
        pass

    def run(self, pixels):
        assert pixels.dtype == np.uint8 and pixels.shape[1:] == self.input_shape
        brightness = pixels.mean((1, 2, 3)) / 255
        probabilities = np.stack([brightness, 1 - brightness], axis=1)
        return {"logits": np.log(probabilities + 1e-9), "probabilities": probabilities}


def test_a_tflite_file_of_another_project_needs_a_variant(monkeypatch, tmp_path):
    monkeypatch.setattr(litert, "LiteModel", _Foreign)
    names, model = tmp_path / "names.txt", tmp_path / "foreign.tflite"
    names.write_text("light\ndark\n")
    model.touch()
    both = {"variant": "cifar_v2", "labels": names}
    for given in ({}, {"labels": names}):
        with pytest.raises(UsageError, match="not exported by this.* with --variant .* --labels"):
            predict(model, _pixels(1), **given)
    white = np.full([50, 60, 3], 255, np.uint8)
    [found] = predict(model, white, **both)
    assert found == Prediction("image 0", ("light", "dark"), (1.0, 0.0))
    [found] = predict(model, white, variant="cifar_v2")
    assert found.classes == ("0", "1")
    names.write_text("light\ndark\ndusk\n")
    with pytest.raises(UserError, match="must name the 2 classes.*Received: 3 names"):
        predict(model, _pixels(1), **both)
    monkeypatch.setattr(_Foreign, "input_shape", (32, 48, 3))
    with pytest.raises(UserError, match="takes images of 32 x 48"):
        predict(model, _pixels(1), **both)


@pytest.mark.parametrize(
    ("description", "text"),
    [
        (
            {"labels": ["a", "b"], "labels_are_names": True},
            "description of .* is damaged: it has no variant. Export it again",
        ),
        (
            {
                "variant": "cifar_v2",
                "labels": ["a", "b"],
                "labels_are_names": True,
                "image_plan": {
                    "square_size": 28,
                    "crop_size": 28,
                    "crop_padding": 0,
                    "input_size": 28,
                },
            },
            "describes inputs of 28 pixels, but takes 32",
        ),
    ],
)
def test_a_tflite_file_that_describes_itself_wrongly(monkeypatch, tmp_path, description, text):
    (tmp_path / "mine.tflite").touch()
    monkeypatch.setattr(litert, "LiteModel", type("L", (_Foreign,), {"description": description}))
    with pytest.raises(UserError, match=text):
        predict(tmp_path / "mine.tflite", _pixels(1))


def test_a_file_name_that_is_no_utf8_is_shown_all_the_same(places, tmp_path):
    path = os.fsencode(tmp_path / "x") + b"\xff.png"
    with open(path, "wb") as file:
        file.write((places.photos / "tiny.png").read_bytes())
    [found] = predict(places.run, tmp_path)
    assert found.error is None and found.image.endswith("x\N{REPLACEMENT CHARACTER}.png")


def test_the_public_name():
    assert keras_alexnet.predict is predict


def _run(*arguments, script="predict"):
    return subprocess.run(
        [sys.executable, f"scripts/{script}.py", *map(str, arguments)],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.processes
def test_script_writes_table_json_and_csv(places, tmp_path):
    found = {"--json": tmp_path / "found.json", "--csv": tmp_path / "found.csv"}
    # Flags may come after the images.
    flags = [f"{flag}={path}" for flag, path in found.items()]
    done = _run(f"--model={places.run}", places.photos, "--top", "2", *flags, "--batch_size=4")
    assert done.returncode == 0
    left_out = "2 hidden, or of an operating system or tool; 1 .txt (not an image)"
    said, precision = done.stderr.splitlines()
    assert said == f"Left out in {places.photos}: {left_out}."
    assert precision.startswith("precision: auto (float32: ")
    truth = predict(places.run, places.photos, top=2)
    lines = done.stdout.splitlines()
    assert len(lines) == len(truth) == len(PHOTOS)
    for line, each in zip(lines, truth, strict=True):
        shown = [f"{s:.4f} {name}" for name, s in zip(each.classes, each.scores, strict=True)]
        assert line.split(maxsplit=1) == [each.image, "  ".join(shown)]
    written = json.loads(found["--json"].read_text(encoding="utf-8"))
    with open(found["--csv"], encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for each, row, cells in zip(truth, written, rows, strict=True):
        assert (row["image"], tuple(row["classes"]), row["error"]) == (
            each.image,
            each.classes,
            None,
        )
        assert row["scores"] == pytest.approx(each.scores, abs=TOLERANCE)
        assert (cells["image"], cells["class_1"], cells["class_2"]) == (each.image, *each.classes)
        assert float(cells["score_2"]) == pytest.approx(each.scores[1], abs=TOLERANCE)
        assert cells["error"] == ""


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["{photo}"], 2, "required: --model"),
        (["{model}"], 2, "required: IMAGE"),
        (["{model}", "{photo}", "--color=red"], 2, "unknown arguments: --color=red"),
        (["--model=grpc://127.0.0.1:1/mine", "{photo}"], 1, "UNAVAILABLE"),
    ],
)
def test_command_ends_with_one_message_and_the_right_code(places, capfd, arguments, code, message):
    names = {"photo": places.photos / "tiny.png", "model": f"--model={places.run}"}
    try:
        ended = main(["predict", *(each.format(**names) for each in arguments)])
    except SystemExit as exit:
        ended = exit.code
    said = capfd.readouterr().err
    assert (ended, "Traceback" in said) == (code, False)
    assert message in said and len(said.splitlines()) <= 2


@pytest.mark.processes
def test_script_names_the_images_that_it_could_not_predict(places, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"bad")
    # Of this one, TensorFlow's decoder prints an error of its own.
    cut = tmp_path / "cut" / "cut.jpg"
    cut.parent.mkdir()
    cut.write_bytes((places.photos / "large.jpg").read_bytes()[:20000])
    flags = [f"--model={places.run}", f"--csv={tmp_path / 'out.csv'}"]
    done = _run(*flags, tmp_path, places.photos / "tiny.png")
    assert done.returncode == 1
    _precision, line = done.stderr.splitlines()
    assert f"2 of 3 images could not be predicted: {tmp_path / 'bad.png'}, {cut}" in line
    bad, half, good = done.stdout.splitlines()
    assert bad.startswith(f"{tmp_path / 'bad.png'}  error: ") and "class" in good
    assert "error: " in half and "Invalid JPEG" in half
    assert (tmp_path / "out.csv").read_text().count("\n") == 4


def test_help_shows_a_list_as_it_is_typed():
    pytest.importorskip("ai_edge_litert")
    done = _run("--help", script="export")
    said = " ".join(done.stdout.split())
    assert (done.returncode, done.stderr) == (0, "")
    assert "Default: saved_model,tflite." in said and "Default: float32." in said
    assert "Default: 1,2." in said and "Default: (" not in said
