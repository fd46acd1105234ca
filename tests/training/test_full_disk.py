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
from keras_alexnet.distributed.cluster import SingleProcess
from keras_alexnet.training import resume, workdir
from keras_alexnet.training.checkpoints import disk_errors_explained
from keras_alexnet.utils import files

SUPPORT = pathlib.Path(__file__).parents[1] / "support"

# From step 3 on no file may grow beyond some kilobytes.
_PROGRAM = """
import json, resource, sys
import keras_alexnet as ka
from support.callbacks import at_step
from support.networks import registered
from support.small_networks import small_row

def fill(model):
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))

try:
    with registered(small_row()):
        ka.train(ka.TrainConfig(**json.loads(sys.argv[1])), callbacks=[at_step(3, fill)])
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
    assert "The checkpoint of step 2 is intact. Free some space. Resume with: keras-alex" in message
    names = {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()}
    assert names == {f"step-00000000{step}.{end}" for step in (0, 2) for end in ("npz", "json")}
    found = ka.train(ka.TrainConfig(workdir=config.workdir, resume=True))
    assert found["steps"] == 5


def test_error_names_the_file_that_had_no_room(tmp_path):
    with pytest.raises(OSError) as caught, files.atomic_write(tmp_path / "a.csv"):
        raise OSError(28, "No space left on device")
    assert caught.value.filename == str(tmp_path / "a.csv")
    with pytest.raises(ka.UserError, match=r"a\.csv could not be written: No space left"):
        with disk_errors_explained(tmp_path):
            raise caught.value


def test_other_system_errors_stay_what_they_are(tmp_path):
    with pytest.raises(PermissionError), disk_errors_explained(tmp_path):
        raise PermissionError(13, "Permission denied")


def test_folder_that_cannot_be_made_is_named(new_job, tmp_path):
    (tmp_path / "mine").write_text("a file")
    with pytest.raises(ka.UserError, match="mine/run cannot be written to: .* Pass another"):
        workdir.open_workdir(new_job)


def test_folder_is_for_one_process(config, tmp_path):
    with workdir.locked(tmp_path / "run", SingleProcess()):
        with pytest.raises(ka.UserError, match="Another process is training in .*run. Wait"):
            ka.train(config)
    with workdir.locked(tmp_path / "run", SingleProcess()):
        pass  # free again


def test_folder_that_cannot_be_made_is_named_before_it_is_locked(tmp_path):
    (tmp_path / "mine").write_text("a file")
    with pytest.raises(ka.UserError, match="mine/run cannot be written to"):
        with workdir.locked(tmp_path / "mine" / "run", SingleProcess()):
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
def new_job(tmp_path):
    """As much of a job as is written to config.json."""
    request = resume.new_run(ka.TrainConfig(variant="cifar_v2", dataset="shapes"))
    return types.SimpleNamespace(
        config=request.config,
        recipe=request.recipe,
        data=ka.load_dataset("shapes"),
        weights=None,
        workdir=tmp_path / "mine" / "run",
        origin={"commit": "abc"},
    )
