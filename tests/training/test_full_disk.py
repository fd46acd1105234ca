"""A disk without room, by a limit on the size of files, in a process of its own."""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import types

import pytest

import keras_alexnet as ka
from keras_alexnet.data import shard_folder
from keras_alexnet.training import resume, workdir
from keras_alexnet.utils import files

SUPPORT = pathlib.Path(__file__).parents[1] / "support"

# From step 3 on no file may grow beyond some kilobytes.
_PROGRAM = """
import json, resource, sys
import keras
from support.small_networks import small_row
import keras_alexnet as ka
from keras_alexnet import variants

class Fill(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations.numpy() == 3:
            hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))

variants.register(small_row())
try:
    ka.train(ka.TrainConfig(**json.loads(sys.argv[1])), callbacks=[Fill()])
except ka.UserError as error:
    print(error)
"""


@pytest.mark.slow
def test_full_disk_stops_the_run_with_an_intact_checkpoint(tiny_folder, small_variant, tmp_path):
    config = ka.TrainConfig(
        variant=small_variant,
        dataset="image_folder",
        data_dir=str(tiny_folder),
        workdir=str(tmp_path / "run"),
        num_devices=1,
        checkpoint_every_steps=2,
        overrides={"epochs": 1, "global_batch_size": 16},
    )
    paths = [str(SUPPORT.parents[1]), str(SUPPORT.parent), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, json.dumps(dataclasses.asdict(config))],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    message = done.stdout.strip()
    assert "step-000000004.npz could not be written: File too large" in message
    assert "The checkpoint of step 2 is whole. Make room, then go on with --resume" in message
    names = {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()}
    assert names == {f"step-00000000{step}.{end}" for step in (0, 2) for end in ("npz", "json")}
    found = ka.train(ka.TrainConfig(workdir=config.workdir, resume=True))
    assert found["steps"] == 5


def test_error_names_the_file_that_had_no_room(tmp_path):
    with pytest.raises(OSError) as caught, files.atomic_write(tmp_path / "a.csv"):
        raise OSError(28, "No space left on device")
    assert caught.value.filename == str(tmp_path / "a.csv")
    with pytest.raises(ka.UserError, match=r"a\.csv could not be written: No space left"):
        with workdir.disk_errors_explained(tmp_path):
            raise caught.value


def test_other_system_errors_stay_what_they_are(tmp_path):
    with pytest.raises(PermissionError), workdir.disk_errors_explained(tmp_path):
        raise PermissionError(13, "Permission denied")


def test_folder_that_cannot_be_made_is_named(new_job, tmp_path):
    (tmp_path / "mine").write_text("a file")
    with pytest.raises(ka.UserError, match="mine/run cannot be written to: .* Name another with"):
        workdir.open_workdir(tmp_path / "mine" / "run", new_job, {"commit": "abc"})


def test_folder_is_for_one_process(config, tmp_path):
    with workdir.locked(tmp_path / "run"):
        with pytest.raises(ka.UserError, match="Another process is training in .*run. Wait"):
            ka.train(config)
    assert ka.train(config)["epochs"] == 2


def test_folder_that_cannot_be_made_is_named_before_it_is_held(tmp_path):
    (tmp_path / "mine").write_text("a file")
    with pytest.raises(ka.UserError, match="mine/run cannot be written to"):
        with workdir.locked(tmp_path / "mine" / "run"):
            pass
    with pytest.raises(ka.UserError, match="mine/out cannot be written to"):
        with shard_folder.opened_shard_folder(tmp_path / "mine" / "out", {}, {}):
            pass


def test_damaged_results_of_an_ended_run_are_a_message(config, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "results.json").write_text('{"test_')
    with pytest.raises(ka.UserError, match="results.json is damaged.*Delete it and resume"):
        workdir.ended_results(dataclasses.replace(config, resume=True))


@pytest.fixture
def new_job():
    """As much of a job as is written to config.json."""
    asked = resume.new_run(ka.TrainConfig(variant="cifar_v2", dataset="shapes"))
    return types.SimpleNamespace(
        config=asked.config, recipe=asked.recipe, data=ka.load_dataset("shapes"), start=None
    )
