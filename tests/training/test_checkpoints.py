"""Checkpoints on disk: kept, damaged, removed."""

import errno
import json
import os

import numpy as np
import pytest

from keras_alexnet.errors import UserError
from keras_alexnet.training import checkpoints as checkpoints_module
from keras_alexnet.training.checkpoints import Checkpoints
from keras_alexnet.utils import files


def _save(checkpoints, *steps, kind="step"):
    for step in steps:
        checkpoints.save(step, {"w": np.full(1000, step, np.float32)}, {"epoch": step}, kind=kind)


def test_returns_what_was_saved_bit_for_bit(tmp_path):
    values = {"model/000-kernel": np.float32([1 / 3, np.pi]), "seed": np.uint32([2**32 - 1])}
    Checkpoints(tmp_path).save(7, values, {"history": [{"loss": 0.1}]})
    restored, state = Checkpoints(tmp_path).restore()
    assert state == {"history": [{"loss": 0.1}], "step": 7}
    assert restored.keys() == values.keys()
    for name, value in values.items():
        assert restored[name].dtype == value.dtype
        np.testing.assert_array_equal(restored[name], value)


def test_nothing_saved_is_none(tmp_path):
    assert Checkpoints(tmp_path).restore() is None


def test_keeps_the_newest_and_the_best_apart(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    _save(checkpoints, 1, kind="best")
    _save(checkpoints, 1, 2, 3)
    assert sorted(path.name for path in checkpoints.folder.iterdir()) == [
        "best-000000001.json",
        "best-000000001.npz",
        "step-000000002.json",
        "step-000000002.npz",
        "step-000000003.json",
        "step-000000003.npz",
    ]
    assert checkpoints.restore("best")[1]["step"] == 1


@pytest.mark.parametrize("links", [True, False], ids=["links", "no_links"])
def test_newest_weights_that_are_the_best_are_written_once(links, tmp_path, monkeypatch):
    written = []
    if not links:  # as on exFAT

        def refused(source, target):
            raise OSError(errno.EPERM, os.strerror(errno.EPERM), target)

        monkeypatch.setattr(os, "link", refused)
    monkeypatch.setattr(checkpoints_module.np, "savez", _noted(written, np.savez))
    checkpoints = Checkpoints(tmp_path)
    values = {"w": np.arange(1000.0)}
    checkpoints.save(5, values, {"history": [1.0]}, best={"epoch": 3})
    step, best = (checkpoints.folder / f"{kind}-000000005.npz" for kind in ("step", "best"))
    assert len(written) == 1
    assert step.samefile(best) is links
    assert checkpoints.restore()[1] == {"history": [1.0], "step": 5}
    restored, state = checkpoints.restore("best")
    assert state == {"epoch": 3, "step": 5}
    np.testing.assert_array_equal(restored["w"], values["w"])
    # A signal in the validation had saved the step already: it is saved again, and then removed.
    checkpoints.save(5, values, {"history": [2.0]}, best={"epoch": 3})
    checkpoints.remove_all_but(6)
    assert not list(checkpoints.folder.iterdir())


def test_the_best_weights_are_there_before_the_step_that_counts_on_them(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)

    def killed(source, path):
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "link_or_copy", killed)
    with pytest.raises(KeyboardInterrupt):
        checkpoints.save(5, {"w": np.zeros(3)}, {}, best={"epoch": 3})
    assert checkpoints.restore("best")[1]["epoch"] == 3
    assert checkpoints.restore() is None


def _noted(calls, function):
    return lambda *args, **values: calls.append(args) or function(*args, **values)


def _truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def _remove(path):
    path.unlink()


def _flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("ending", ["npz", "json"])
@pytest.mark.parametrize(
    "damage", [_truncate, _flip_a_bit, lambda path: path.write_bytes(b""), _remove]
)
def test_damaged_newest_is_named_and_the_one_before_used(tmp_path, caplog, ending, damage):
    checkpoints = Checkpoints(tmp_path, keep=2)
    _save(checkpoints, 1, 2)
    damage(checkpoints.folder / f"step-000000002.{ending}")
    with caplog.at_level("WARNING", logger="absl"):
        variables, state = checkpoints.restore()
    assert state["step"] == 1 and variables["w"][0] == 1
    # Without its JSON file a checkpoint never was, so there is nothing to warn of.
    if ending == "npz" or damage is not _remove:
        assert "step-000000002" in caplog.text


def test_all_damaged_is_an_error(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    _save(checkpoints, 1)
    _truncate(checkpoints.folder / "step-000000001.npz")
    with pytest.raises(UserError, match="None of the 1 step checkpoints"):
        checkpoints.restore()


def test_changed_state_is_found_out(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    _save(checkpoints, 1, 2)
    path = checkpoints.folder / "step-000000002.json"
    path.write_text(path.read_text().replace('"epoch": 2', '"epoch": 7'))
    assert checkpoints.restore()[1]["epoch"] == 1


def test_what_a_kill_left_half_written_is_removed(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    _save(checkpoints, 1, 2)
    (checkpoints.folder / "step-000000002.json").unlink()
    (checkpoints.folder / ".999999999-step-000000003.npz").write_bytes(b"half")
    assert checkpoints.restore()[1]["step"] == 1
    names = {path.name for path in checkpoints.folder.iterdir()}
    assert names == {"step-000000001.json", "step-000000001.npz"}


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "results.json"
    files.write_json(path, {"a": 1})
    with pytest.raises(RuntimeError), files.atomic_write(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert json.loads(path.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_name_that_is_no_utf8_can_be_written(tmp_path):
    name = os.fsdecode(b"caf\xe9.png")
    files.write_json(tmp_path / "results.json", {"skipped": [name]})
    assert json.loads((tmp_path / "results.json").read_text()) == {"skipped": [name]}


@pytest.mark.parametrize("keep", [1, 3])
def test_damaged_newest_does_not_push_out_a_whole_one(tmp_path, keep):
    checkpoints = Checkpoints(tmp_path, keep)
    _save(checkpoints, 1)
    damaged = Checkpoints(tmp_path, keep=2)
    _save(damaged, 9)
    _truncate(checkpoints.folder / "step-000000009.npz")
    step = checkpoints.restore()[1]["step"]
    checkpoints.remove_after(step)
    _save(checkpoints, 2)
    assert checkpoints.restore()[1]["step"] == 2
    steps = [int(path.stem[-9:]) for path in sorted(checkpoints.folder.glob("step-*.json"))]
    assert steps == ([2] if keep == 1 else [1, 2])


@pytest.mark.parametrize("end", ["killed", "damaged"])
def test_run_that_returns_to_a_checkpoint_has_the_best_weights_of_before(tmp_path, end):
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in (1, 2, 3, 4):
        _save(checkpoints, step, kind="best")
        if end == "damaged" or step < 4:
            _save(checkpoints, step)
    if end == "damaged":
        _truncate(checkpoints.folder / "step-000000004.npz")
    checkpoints.remove_after(checkpoints.restore()[1]["step"])
    assert checkpoints.restore("best")[1]["step"] == 3
    # And of those that no checkpoint can come back to, none stays.
    assert len(list(checkpoints.folder.glob("best-*.json"))) <= 2


@pytest.mark.parametrize("content", ["[]", "null", '{"sha256": 1, "state": []}'])
def test_json_of_another_form_is_damage(tmp_path, content):
    checkpoints = Checkpoints(tmp_path)
    _save(checkpoints, 1, 2)
    (checkpoints.folder / "step-000000002.json").write_text(content)
    assert checkpoints.restore()[1]["step"] == 1


def test_hidden_folders_of_others_are_left_alone(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    _save(checkpoints, 1)
    (checkpoints.folder / ".ipynb_checkpoints").mkdir()
    assert checkpoints.restore()[1]["step"] == 1
    assert (checkpoints.folder / ".ipynb_checkpoints").is_dir()


def test_all_but_one_can_be_removed(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=3)
    _save(checkpoints, 3, 5, 7)
    checkpoints.remove_all_but(5)
    assert checkpoints.newest_step() == 5 and len(list(checkpoints.folder.iterdir())) == 2
