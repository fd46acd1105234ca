"""Folders of runs that are damaged, or have lost some of their files, end in messages."""

import dataclasses
import json
import pathlib
import shutil

import numpy as np
import pytest

import keras_alexnet as ka
from keras_alexnet import run_folder
from keras_alexnet.distributed.cluster import SingleProcess
from keras_alexnet.training import resume, workdir
from keras_alexnet.training.checkpoints import Checkpoints
from support import damage
from support.callbacks import crash_at
from support.run_ends import assert_same_end, metrics


@pytest.fixture(scope="module")
def crashed(config_in, tmp_path_factory):
    """The folder of the same run, which ended after step 7 and has checkpoints of 5 and 6."""
    config = config_in(tmp_path_factory.mktemp("crashed") / "run", checkpoint_every_steps=2)
    with pytest.raises(RuntimeError, match="killed"):
        ka.train(config, callbacks=[crash_at(7)])
    return config.workdir


@pytest.fixture
def run(whole_run, small_variant, tmp_path):
    return pathlib.Path(shutil.copytree(whole_run, tmp_path / "run"))


@pytest.fixture
def half(crashed, tmp_path):
    return pathlib.Path(shutil.copytree(crashed, tmp_path / "run"))


def _resume(folder, **given):
    return ka.train(ka.TrainConfig(workdir=str(folder), resume=True, **given))


def _request(folder):
    config = ka.TrainConfig(workdir=str(folder), resume=True)
    return resume.request_for(config, SingleProcess())


@pytest.mark.parametrize("kind", damage.KINDS)
def test_damaged_config_and_results(run, kind):
    for name in ("config.json", "results.json"):
        damage.damage(run / name, kind)
    message = r"run/{} (is damaged|cannot be read): [^\n]*"
    for read in (run_folder.read_config, _request):
        with pytest.raises(ka.UserError, match=message.format("config.json")):
            read(run)
    with pytest.raises(ka.UserError, match=message.format("results.json")):
        workdir.ended_results(ka.TrainConfig(workdir=str(run), resume=True))
    if kind != "an empty object":  # nothing in it is wrong for those that need only a part
        with pytest.raises(ka.UserError, match=message.format("results.json")):
            run_folder.read_results(run)


def test_every_setting_of_a_wrong_type_is_named(run):
    written = json.loads((run / "config.json").read_text())
    places = set()
    for place, changed in damage.wrongly_typed(written, depth=2):
        (run / "config.json").write_text(json.dumps(changed))
        if place.partition(".")[0] not in ("config", "recipe") or "overrides" in place:
            continue
        with pytest.raises(ka.UserError, match=f"config.json is damaged: {place}"):
            _request(run)
        places.add(place)
    assert {"config", "config.seed", "config.data_dir", "recipe.drop_epochs"} <= places
    written["config"]["from_the_future"] = written["recipe"]["epochs"] = 1
    (run / "config.json").write_text(json.dumps(written))
    with pytest.raises(ka.UserError, match="config.from_the_future is unknown. It was not written"):
        _request(run)


@pytest.mark.parametrize(
    ("part", "changed", "message"),
    [
        ("config", {"seed": -5}, "seed must be a whole number of at least 0. Received: -5"),
        ("recipe", {"drops_divide": "none"}, "Unknown drops_divide"),
        ("recipe", {"learning_rate": float("inf")}, "learning_rate must be a number above 0"),
        ("recipe", {"layer_rates": {"conv1": float("nan")}}, "layer_rates of conv1 must be"),
    ],
)
def test_a_saved_value_out_of_range_is_a_matter_of_the_file(run, part, changed, message):
    damage.rewrite(run / "config.json", lambda found: {**found, part: {**found[part], **changed}})
    with pytest.raises(ka.UserError, match=f"config.json is damaged: {message}") as caught:
        _request(run)
    assert not isinstance(caught.value, ka.UsageError)


def test_every_command_says_which_file_is_damaged(run, tmp_path):
    out = tmp_path / "out"
    commands = (
        lambda: ka.evaluate(ka.EvaluateConfig(model=str(run))),
        lambda: ka.predict(run, np.zeros([32, 32, 3], np.uint8)),
        lambda: ka.export(ka.ExportConfig(model=str(run), out=str(out))),
        lambda: ka.figures.neighbors(run, out / "a.png"),
        lambda: _resume(run),
    )
    damage.rewrite(run / "config.json", lambda found: {**found, "data": []})
    for command in commands:
        with pytest.raises(ka.UserError, match="config.json is damaged: data must be an object"):
            command()
    assert not out.exists()


def test_an_export_names_results_that_lack_what_the_card_tells(run, tmp_path):
    (run / "results.json").write_text("{}")
    with pytest.raises(ka.UserError, match="results.json is damaged: it has no variant. Delete it"):
        ka.export(ka.ExportConfig(model=str(run), out=str(tmp_path / "out")))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", damage.KINDS)
def test_damaged_checkpoint_is_named_and_the_one_before_it_is_taken(half, kind, caplog):
    damage.damage(half / "checkpoints" / "step-000000006.json", kind)
    (half / "checkpoints" / "step-abc.json").write_text("[]")
    (half / "checkpoints" / "step-000000009.json").mkdir()
    (half / "checkpoints" / "mine.npz").write_text("of the user")
    _, state = Checkpoints(half).restore()
    assert state["step"] == 5
    assert "step-abc.json is not a checkpoint, and is ignored" in caplog.text
    assert "step-000000006.json is" in caplog.text
    assert (half / "checkpoints" / "mine.npz").exists()


def test_state_of_a_wrong_type_is_a_message(half, caplog):
    checkpoints = Checkpoints(half)
    variables, state = checkpoints.restore()
    for place, changed in damage.wrongly_typed(state, depth=2):
        if place.partition(".")[0] in ("step", "step_in_epoch", "schedule", "totals", "history"):
            checkpoints.save(6, variables, {**changed, "step": 6})
            break
    with pytest.raises(ka.UserError, match="checkpoint of step 6 in .* is damaged: step_in_epoch"):
        checkpoints.save(6, variables, {**state, "step_in_epoch": "5"})
        _resume(half)


@pytest.mark.processes
def test_lost_checkpoints_never_start_the_run_again(half, whole_run):
    stored = half.with_name("stored")
    (half / "checkpoints").rename(stored)
    for given in ({}, {"allow_change": "seed", "seed": 4}):
        with pytest.raises(ka.UserError, match="there are no checkpoints in .*checkpoints, so it"):
            _resume(half, **given)
        (half / "checkpoints").mkdir(exist_ok=True)  # empty, it is the same
    assert len(metrics(half)) == 1
    shutil.copytree(stored, half / "checkpoints", dirs_exist_ok=True)
    (half / "metrics.csv").unlink()  # the checkpoint has its rows
    (half / "checkpoints" / "step-000000006.json").unlink()
    _resume(half)
    assert_same_end(half, whole_run)


@pytest.mark.processes
def test_a_run_that_was_killed_before_its_first_checkpoint_starts(config, whole_run, monkeypatch):
    config = dataclasses.replace(config, checkpoint_every_steps=2)
    monkeypatch.setattr(Checkpoints, "save", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        ka.train(config)
    monkeypatch.undo()
    _resume(config.workdir)
    assert_same_end(config.workdir, whole_run)


@pytest.mark.processes
def test_lost_best_weights_are_found_before_the_training(half):
    for path in (half / "checkpoints").glob("best-*"):
        path.unlink()
    with pytest.raises(ka.UserError, match="best weights so far, of epoch 1, are missing from"):
        _resume(half)
    assert _resume(half, overrides={"keep": "last"}, allow_change="keep")["kept_epoch"] == 2


@pytest.mark.processes
def test_a_lost_model_is_made_again(run, whole_run, caplog):
    (run / "model.keras").unlink()
    _resume(run)
    assert "model.keras is missing, and is made again" in caplog.text
    assert_same_end(run, whole_run)
    (run / "model.keras").unlink()
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(ka.UserError, match="there are no checkpoints"):
        _resume(run)


def test_a_run_without_checkpoints_is_not_started_again(half):
    shutil.rmtree(half / "checkpoints")
    with pytest.raises(ka.UserError, match="there are no checkpoints in .*checkpoints, so it"):
        _resume(half)
    assert len(metrics(half)) == 1


def test_an_ended_run_needs_no_checkpoints_to_return_its_results(run):
    shutil.rmtree(run / "checkpoints")
    assert _resume(run) == json.loads((run / "results.json").read_text())


def test_a_lost_config_is_named_by_new_and_by_resumed_runs(half, config):
    (half / "config.json").unlink()
    with pytest.raises(ka.UserError, match="it has no config.json. That file says how the run"):
        _resume(half)
    with pytest.raises(ka.UserError, match="holds a run, but no config.json. .* from a copy"):
        ka.train(dataclasses.replace(config, workdir=str(half)))
