"""Files that vanish or break while a run reads them."""

import json

import numpy as np
import pytest

import keras_alexnet as ka
from keras_alexnet.data import memory_budget
from keras_alexnet.training.job import TrainingJob
from support.callbacks import before_epoch
from support.image_folders import write_images


@pytest.fixture
def config(tmp_path, small_variant, monkeypatch):
    monkeypatch.setattr(memory_budget, "BYTES", 0)  # decoded when needed, each epoch
    write_images(tmp_path / "data" / "train", ["a", "b"], 20)
    write_images(tmp_path / "data" / "test", ["a", "b"], 4)
    return ka.TrainConfig(
        variant=small_variant,
        dataset="image_folder",
        data_dir=str(tmp_path / "data"),
        workdir=str(tmp_path / "run"),
        num_devices=1,
        skip_corrupt=True,
        validation_images=8,
        overrides={"epochs": 3, "global_batch_size": 8},
    )


@pytest.mark.parametrize("part", ["train", pytest.param("test", marks=pytest.mark.slow)])
@pytest.mark.usefixtures("unsaved_figures")
def test_broken_images_are_left_out_and_counted(config, tmp_path, part, caplog):
    def damage(_):
        (tmp_path / "data" / part / "a" / "002.png").unlink()
        (tmp_path / "data" / part / "b" / "003.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")

    with caplog.at_level("WARNING", logger="absl"):
        found = ka.train(config, callbacks=[before_epoch(2, damage)])
    assert found["lost_images"] == [f"{part}/a/002.png", f"{part}/b/003.png"]
    assert "Left out from now on" in caplog.text and f"{part}/b/003.png" in caplog.text
    assert found["epochs"] == 3 and np.isfinite(found["test_loss"])
    assert found["test_images"] == (8 if part == "train" else 6)
    newest = max((tmp_path / "run" / "checkpoints").glob("step-*.json"))
    if part == "train":
        assert json.loads(newest.read_text())["state"]["lost_images"] == found["lost_images"]


@pytest.mark.slow
def test_disk_that_has_gone_is_not_skipped(config, tmp_path):
    def unmount(_):
        (tmp_path / "data").rename(tmp_path / "gone")

    with pytest.raises(ka.UserError, match="too many to leave out. Is the disk still there"):
        ka.train(config, callbacks=[before_epoch(2, unmount)])


def test_lost_image_has_weight_0_and_all_others_stay_what_they_were(config, monkeypatch):
    seen = []
    load = TrainingJob.load

    def batches_of(*arguments):
        job = load(*arguments)
        for lost in ((), (3, 5)):
            job.train.pixels.leave_out(job.train.rows[list(lost)])
            batches = job.batches(0, 0)
            seen.append([next(batches) for _ in range(4)])
        raise ka.UserError("seen")

    monkeypatch.setattr(TrainingJob, "load", batches_of)
    with pytest.raises(ka.UserError, match="seen"):
        ka.train(config)
    whole, without = (
        [np.concatenate([np.asarray(batch[part]) for batch in run]) for part in range(3)]
        for run in seen
    )
    gone = whole[2] != without[2]
    assert gone.sum() == 2 and not without[2][gone].any() and whole[2].all()
    np.testing.assert_array_equal(whole[0][~gone], without[0][~gone])
    np.testing.assert_array_equal(whole[1][~gone], without[1][~gone])
    assert not without[0][gone].any()
