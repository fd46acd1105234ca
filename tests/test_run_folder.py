"""The files of a run's folder: what is found, read and refused."""

import json
import os

import keras
import pytest

from keras_alexnet import UserError, run_folder

CONFIG = {
    "config": {"variant": "cifar_v2", "seed": 0, "validation_images": None},
    "recipe": {"validation_fraction": 0.1},
    "data": {"sha256": "abc"},
    "commit": "0123",
}


@pytest.mark.parametrize(
    ("files", "model", "kind", "found"),
    [
        (["model.keras"], "", run_folder.KERAS, "model.keras"),
        (["mine.keras"], "mine.keras", run_folder.KERAS, "mine.keras"),
        (["saved_model.pb"], "", run_folder.SAVED_MODEL, ""),
        (["9/saved_model.pb", "10/saved_model.pb"], "", run_folder.SAVED_MODEL, "10"),
        (["9/saved_model.pb", "10/saved_model.pb"], "9", run_folder.SAVED_MODEL, "9"),
        (["v2.tflite"], "v2.tflite", run_folder.TFLITE, "v2.tflite"),
        (["v2.onnx"], "v2.onnx", run_folder.ONNX, "v2.onnx"),
    ],
)
def test_models_are_found_by_the_names_of_their_files(tmp_path, files, model, kind, found):
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert run_folder.locate(tmp_path / model) == (kind, tmp_path / found)


def test_what_is_not_a_model_is_refused(tmp_path):
    with pytest.raises(UserError, match="There is no model at .*nowhere.*an .onnx file"):
        run_folder.locate(tmp_path / "nowhere")
    with pytest.raises(UserError, match="holds no model.keras and no SavedModel"):
        run_folder.locate(tmp_path)
    (tmp_path / "weights.h5").touch()
    with pytest.raises(UserError, match="weights.h5 is not a model. A model is a run's folder"):
        run_folder.locate(tmp_path / "weights.h5")
    (tmp_path / "v2.onnx").touch()
    with pytest.raises(UserError, match="A run's folder or a .keras file is needed"):
        run_folder.keras_file(tmp_path / "v2.onnx")
    with pytest.raises(UserError, match="Name one of its other files: .*v2.onnx"):
        run_folder.locate(tmp_path)


def test_a_run_that_has_not_ended_says_how_to_end_it(tmp_path):
    (tmp_path / "config.json").touch()
    with pytest.raises(UserError, match=f"Resume it with train --resume --workdir={tmp_path}"):
        run_folder.locate(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no model", b"PK\x03\x04 half a zip"])
def test_damaged_model_files_end_in_one_message(tmp_path, content):
    (tmp_path / "model.keras").write_bytes(content)
    with pytest.raises(UserError, match="cannot be read as a Keras model|is empty"):
        run_folder.read_model(tmp_path / "model.keras")


def test_a_layer_that_cannot_be_created_is_the_reason_given(tmp_path, monkeypatch):
    whole = keras.Sequential([keras.Input([4]), keras.layers.Dense(2)])
    config_of = keras.layers.Dense.get_config
    monkeypatch.setattr(
        keras.layers.Dense, "get_config", lambda dense: {**config_of(dense), "x": 1}
    )
    whole.save(tmp_path / "model.keras")
    with pytest.raises(UserError, match="cannot be read as a Keras model: .*'x': 1"):
        run_folder.read_model(tmp_path / "model.keras")


def test_labels_are_written_and_read(tmp_path):
    run_folder.write_labels(tmp_path / "labels.txt", ["cat", "dög"])
    assert run_folder.read_labels(tmp_path / "labels.txt") == ("cat", "dög")
    run_folder.check_labels(["cat", "dög"], 2, "the network")
    with pytest.raises(UserError, match="must name the 3 classes of the network.*Received: 2"):
        run_folder.check_labels(["cat", "dög"], 3, "the network")


@pytest.mark.parametrize(
    ("content", "text"),
    [(b"cat\n\ndog\n", "empty line for class 1"), (b"\xff", "labels cannot be read")],
)
def test_labels_that_cannot_be_used(tmp_path, content, text):
    (tmp_path / "labels.txt").write_bytes(content)
    with pytest.raises(UserError, match=text):
        run_folder.read_labels(tmp_path / "labels.txt")


def test_config_of_a_folder_and_beside_a_file(tmp_path):
    assert run_folder.read_config(tmp_path) is None and run_folder.read_results(tmp_path) is None
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "results.json").write_text('{"test_top1": 0.5}')
    (tmp_path / "model.keras").touch()
    for model in (tmp_path, tmp_path / "model.keras"):
        assert run_folder.read_config(model) == CONFIG
        assert run_folder.read_results(model) == {"test_top1": 0.5}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("{", "config.json is damaged"),
        ("[]", "was not written by a run of this version"),
        ('{"config": {}}', "damaged: it has no recipe[.]"),
        (json.dumps({**CONFIG, "recipe": None}), "recipe must be an object. Received: null[.]"),
    ],
)
def test_a_config_that_no_run_wrote(tmp_path, content, text):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(UserError, match=text):
        run_folder.read_config(tmp_path)


@pytest.mark.parametrize(
    ("contents", "labels"),
    [
        (b"\xef\xbb\xbfcat\r\ndog\r\n", ("cat", "dog")),  # as Windows writes them
        (b"cat\ndog", ("cat", "dog")),
        ("cafe\u0301\n".encode(), ("caf\u00e9",)),  # as macOS writes file names
        (b"", ()),
        (b"cat \n", ("cat ",)),
    ],
)
def test_labels_of_other_systems(tmp_path, contents, labels):
    (tmp_path / "labels.txt").write_bytes(contents)
    assert run_folder.read_labels(tmp_path / "labels.txt") == labels


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"cat\n\ndog\n", "an empty line for class 1"),
        (b"cat\n  \n", "an empty line for class 1"),
        (b"cat\nd\x1b[31mog\n", r"has d\\x1b\[31mog for class 1"),
        (b"a\rb\n", "control characters"),
        ("a\u2028b\n".encode(), "control characters"),
        (b"\xff\xfec\0", "cannot be read"),
    ],
)
def test_labels_that_would_harm_are_refused(tmp_path, contents, message):
    (tmp_path / "labels.txt").write_bytes(contents)
    with pytest.raises(UserError, match=message):
        run_folder.read_labels(tmp_path / "labels.txt")


def test_labels_that_could_not_be_read_again_are_not_written(tmp_path):
    for name in ("two\nlines", "", "a\tb"):
        with pytest.raises(UserError, match="class 1"):
            run_folder.write_labels(tmp_path / "labels.txt", ["cat", name])
    assert not list(tmp_path.iterdir())


def test_labels_that_are_used_twice_are_logged(tmp_path, caplog):
    caplog.set_level("INFO", logger="absl")
    (tmp_path / "labels.txt").write_text("crane\ncat\ncrane\n")
    assert run_folder.read_labels(tmp_path / "labels.txt") == ("crane", "cat", "crane")
    assert "names 1 classes twice, such as crane" in caplog.text


def test_labels_in_a_pipe_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "labels.txt")
    with pytest.raises(UserError, match="not a regular file"):
        run_folder.read_labels(tmp_path / "labels.txt")
