"""Version numbers, staging and publishing of an export's folder."""

import os
import platform
import subprocess
import sys

import pytest

import keras_alexnet as ka
from keras_alexnet import run_folder
from keras_alexnet.exporting import versions


def _version(folder, name):
    (folder / name).mkdir(parents=True)
    (folder / name / "saved_model.pb").write_bytes(b"")


def test_newest_is_the_largest_number_and_not_the_last_name(tmp_path):
    for name in ("2", "10", "9"):
        _version(tmp_path, name)
    (tmp_path / "11").mkdir()  # no SavedModel
    (tmp_path / "tflite").mkdir()
    assert list(run_folder.versions(tmp_path)) == [2, 9, 10]
    assert run_folder.newest(tmp_path) == tmp_path / "10"
    assert run_folder.newest(tmp_path / "9") == tmp_path / "9"
    assert run_folder.newest(tmp_path / "tflite") is None
    assert run_folder.newest(tmp_path / "nowhere") is None


def test_free_version_never_is_one_that_exists(tmp_path):
    assert versions.free_version(tmp_path / "new") == 1
    _version(tmp_path, "3")
    (tmp_path / "7").mkdir()  # somebody else's, and no model: not to be written over either
    assert versions.free_version(tmp_path) == 8
    assert versions.free_version(tmp_path, 5) == 5
    with pytest.raises(ka.UserError, match="Versions are never overwritten"):
        versions.free_version(tmp_path, 7)
    for wanted in (0, 2**63, "1"):
        with pytest.raises(ka.UsageError, match="version must be a whole number of at least 1"):
            versions.free_version(tmp_path, wanted)
    (tmp_path / "9223372036854775807").mkdir()
    with pytest.raises(ka.UserError, match="Pass a smaller --version"):
        versions.free_version(tmp_path)


def test_stage_is_hidden_and_gone_at_the_end(tmp_path):
    with pytest.raises(RuntimeError), versions.staged(tmp_path / "new" / "out") as stage:
        (stage / "1").mkdir()
        assert stage.parent == tmp_path / "new" / "out" and stage.name.startswith(".")
        raise RuntimeError
    assert list((tmp_path / "new").iterdir()) == []
    _version(tmp_path / "out", "1")
    with versions.staged(tmp_path / "out"):
        pass
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["1"]


def test_what_a_killed_export_left_is_removed_and_what_runs_is_not(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    here = f".export-{platform.node()}"
    (tmp_path / f"{here}-{ended.pid}").mkdir()
    (tmp_path / f"{here}-{os.getppid()}").mkdir()
    (tmp_path / f".export-elsewhere-{ended.pid}").mkdir()
    with versions.staged(tmp_path):
        names = {path.name for path in tmp_path.iterdir()}
    runs = {f"{here}-{os.getppid()}", f"{here}-{os.getpid()}"}
    assert names == {*runs, f".export-elsewhere-{ended.pid}"}


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(ka.UserError, match="is a file"):
        versions.free_version(tmp_path / "out")


def test_published_files_replace_and_versions_do_not(tmp_path):
    (tmp_path / "tflite").mkdir()
    (tmp_path / "tflite" / "a.tflite").write_text("old")
    (tmp_path / "tflite" / "b.tflite").write_text("old")
    with versions.staged(tmp_path) as stage:
        _version(stage, "1")
        (stage / "tflite").mkdir()
        (stage / "tflite" / "a.tflite").write_text("new")
        versions.publish(stage, tmp_path)
    assert (tmp_path / "tflite" / "a.tflite").read_text() == "new"
    assert (tmp_path / "tflite" / "b.tflite").read_text() == "old"
    assert run_folder.newest(tmp_path) == tmp_path / "1"
    with versions.staged(tmp_path) as stage:
        _version(stage, "1")
        (stage / "tflite").mkdir()
        (stage / "tflite" / "a.tflite").write_text("newest")
        with pytest.raises(ka.UserError, match="by another export in the meantime"):
            versions.publish(stage, tmp_path)
    assert (tmp_path / "tflite" / "a.tflite").read_text() == "new"


def test_a_link_to_a_file_stays_one(tmp_path):
    out, kept = tmp_path / "out", tmp_path / "kept.tflite"
    (out / "tflite").mkdir(parents=True)
    kept.write_text("old")
    (out / "tflite" / "a.tflite").symlink_to(kept)
    with versions.staged(out) as stage:
        (stage / "tflite").mkdir()
        (stage / "tflite" / "a.tflite").write_text("new")
        versions.publish(stage, out)
    assert (out / "tflite" / "a.tflite").is_symlink() and kept.read_text() == "new"
