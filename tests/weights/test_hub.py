"""Models on the Hugging Face Hub are downloaded and uploaded through huggingface_hub alone."""

import os
import pathlib
import shutil
import sys
import types

import numpy as np
import pytest

import keras_alexnet as ka
from keras_alexnet.cli.main import main
from keras_alexnet.predicting import journal
from keras_alexnet.predicting.local import LocalPredictor
from keras_alexnet.predicting.predict import open_predictor
from keras_alexnet.utils import files

ADDRESS = "hf://user/name"


class Hub(types.ModuleType):
    """In place of huggingface_hub: a repository in a local folder, whose files are links."""

    def __init__(self, folder):
        super().__init__("huggingface_hub")
        self.repository, self.snapshot = folder / "repository", folder / "snapshots" / "1a2b"
        self.calls = []

    def snapshot_download(self, repo_id, revision=None, library_name=None):
        self.calls.append(("download", repo_id, revision, library_name))
        if not self.repository.exists():
            raise OSError(f"404 Client Error: {repo_id}\nRepository Not Found")
        shutil.rmtree(self.snapshot, ignore_errors=True)
        for path in self.repository.rglob("*"):
            link = self.snapshot / path.relative_to(self.repository)
            if path.is_file():
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(path)
        return str(self.snapshot)

    def HfApi(self, library_name=None):
        return self

    def create_repo(self, repo_id, private=None, exist_ok=False):
        self.calls.append(("create", repo_id, private, exist_ok))

    def upload_folder(self, repo_id, folder_path, revision, allow_patterns, commit_message):
        self.calls.append(("upload", repo_id, revision, allow_patterns))
        folder = pathlib.Path(folder_path)
        for path in [path for path in folder.rglob("*") if path.is_file()]:
            name = path.relative_to(folder)
            if allow_patterns is None or any(map(name.match, allow_patterns)):
                (self.repository / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, self.repository / name)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    hub = Hub(tmp_path)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    return hub


def test_what_is_saved_there_is_what_is_loaded(hub):
    ka.save("cifar_v2", ADDRESS, private=True)
    assert hub.calls == [("create", "user/name", True, True), ("upload", "user/name", None, None)]
    assert {path.name for path in hub.repository.iterdir()} == {
        *("README.md", "labels.txt", "model.keras")
    }
    network = ka.load(f"{ADDRESS}@v1")
    assert hub.calls[2:] == [("download", "user/name", "v1", "keras_alexnet")]
    shipped, images = ka.load("cifar_v2"), np.full([1, 32, 32, 3], 99, np.uint8)
    assert network.labels == shipped.labels and network.variant == "cifar_v2"
    np.testing.assert_array_equal(network.logits(images), shipped.logits(images))
    model = ka.build("cifar_v2", weights=ADDRESS)
    for got, wanted in zip(model.get_weights(), shipped.model.get_weights(), strict=True):
        np.testing.assert_array_equal(got, wanted)
    with pytest.raises(ka.UserError, match="lambda|safe"):
        unsafe = hub.repository / "model.keras"
        unsafe.write_bytes(with_lambda())
        ka.load(ADDRESS)


def with_lambda():
    """A `.keras` file that would run code."""
    import tempfile

    import keras

    inputs = keras.Input([32, 32, 3])
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.keras"
        keras.Model(inputs, keras.layers.Lambda(lambda x: x)(inputs)).save(path)
        return path.read_bytes()


def test_commands_and_predictors_take_such_models(hub, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ka.save("cifar_v2", hub.repository)
    flags = ["--weights=hf://user/name", "--out=v2.safetensors"]
    assert main(["convert", "--to=torch", *flags]) == 0
    assert isinstance(open_predictor(ADDRESS), LocalPredictor)
    sha256 = files.sha256_of(hub.repository / "model.keras")
    assert journal.made_from(ADDRESS)["model"] == sha256
    assert {call[:2] for call in hub.calls} == {("download", "user/name")}


def test_an_exported_folder_is_uploaded_as_it_is_and_nothing_beside_it(hub, tmp_path):
    out = tmp_path / "exported"
    for name in ("README.md", "notes.txt", "1/assets.extra/export.json", "tflite/export.json"):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("{}")
    ka.save(out, f"{ADDRESS}@draft")
    assert hub.calls[-1] == ("upload", "user/name", "draft", ["README.md", "1/*", "tflite/*"])


def test_without_the_library_the_message_says_how_to_install_it(monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for command in ("predict --model=hf://user/name a.png", "evaluate --model=hf://user/name"):
        assert main(command.split()) == 1
        [line] = capfd.readouterr().err.splitlines()
        assert "huggingface_hub is needed" in line and 'pip install -e ".[hub]"' in line
    with pytest.raises(ka.UserError, match="To upload to the Hugging Face Hub"):
        ka.save("cifar_v2", ADDRESS)


def test_what_goes_wrong_is_said(hub, tmp_path):
    with pytest.raises(ka.UserError, match="cannot be downloaded: 404 Client Error: user/name. Ch"):
        ka.load(ADDRESS)
    for address in ("hf://", "hf://name", "hf://a/b/c", "hf://a/../b", "hf://a/b@", "hf://a/b?c"):
        for door in (ka.load, lambda out: ka.save("cifar_v2", out)):
            with pytest.raises(ka.UsageError, match="A model on the hub is hf://user/name"):
                door(address)
    hub.repository.mkdir()
    (hub.repository / "config.json").write_text("{}")
    with pytest.raises(ka.UserError, match="holds no model.keras"):
        ka.load(ADDRESS)
    (tmp_path / "model.keras").touch()
    with pytest.raises(ka.UserError, match="model.keras exists. Pass a different folder"):
        ka.save("cifar_v2", tmp_path)
    assert not os.listdir(hub.snapshot.parent)[1:]
