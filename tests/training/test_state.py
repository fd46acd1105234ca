"""A checkpoint holds everything that decides a run's future."""

import numpy as np
import pytest
import tensorflow as tf

import keras_alexnet as ka
from keras_alexnet.data.failures import LostImages
from keras_alexnet.data.image_files import ImageFiles
from keras_alexnet.data.splits import Split
from keras_alexnet.training import recipes
from keras_alexnet.training.chance import ChanceWatch
from keras_alexnet.training.checkpoints import Checkpoints
from keras_alexnet.training.length import Length
from keras_alexnet.training.nonfinite import NonFiniteGuard
from keras_alexnet.training.schedule import Schedule
from keras_alexnet.training.state import History, RunState
from keras_alexnet.training.step import TrainStep


def _new(variant, workdir):
    recipe = recipes.get(variant, schedule="plateau", learning_rate=0.01)
    step = TrainStep(ka.build(variant, num_classes=3), recipe, tf.distribute.get_strategy())
    pixels = ImageFiles(workdir, ["a.png", "b.png"])
    state = RunState(
        step,
        Schedule(recipe, 40, steps_per_epoch=10, has_validation=True),
        Length(4, 10, 80, 8),
        History(workdir / "metrics.csv", "tiny", 4),
        NonFiniteGuard(step, step_backs=3),
        LostImages([Split.of(pixels, np.zeros(2))]),
        ChanceWatch(step, recipe, 40, [1 / 3] * 3),
        Checkpoints(workdir),
    )
    return state, pixels


@pytest.fixture(scope="module")
def both(small_variant, tmp_path_factory):
    """A run before its end, one resumed from its checkpoint, their folder and its images."""
    workdir = tmp_path_factory.mktemp("run")
    state, _ = _new(small_variant, workdir)
    images = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3)).astype(np.uint8)
    for _ in range(2):
        state.step.run(tf.constant(images), tf.constant([0, 1, 2, 0, 1, 2, 0, 1]), tf.ones([8]))
    state.epoch, state.step_in_epoch, state.seconds_of_epoch = 2, 5, 77.0
    state.stopped, state.seconds_before = True, 1000.0
    state.peak_memory_before = 2**50  # more than this process can hold
    state.schedule.restore({"drops": 1, "best_top1": 0.5, "best_epoch": 0, "last_drop_epoch": 1})
    state.history.restore([{"epoch": 1, "loss": 0.25}])
    state.guard.events = [{"back_to_step": 3}]
    state.lost.restore(["b.png"])
    state.checkpoints.save(10, state.guard.finite_variables(), {"epoch": 1}, kind="best")
    state.save(state.guard.finite_variables())
    state.history.restore([{"epoch": 1, "loss": 0.25}, {"epoch": 2, "loss": 0.125}])
    after, pixels = _new(small_variant, workdir)
    after.begin()
    return state, after, workdir, pixels


@pytest.mark.parametrize(
    ("owner", "kind"),
    [
        ("model", "kernel"),
        ("model", "bias"),
        ("model", "seed"),
        ("optimizer", "momentum"),
        ("optimizer", "iteration"),
        ("optimizer", "learning_rate"),
    ],
)
def test_variables(both, owner, kind, small_variant, tmp_path):
    before, after, *_ = both
    fresh = _new(small_variant, tmp_path)[0].step.variables()
    found, values = after.step.variables(), before.step.variables()
    names = [name for name in values if name.startswith(owner) and kind in name]
    assert names
    for name in names:
        np.testing.assert_array_equal(values[name], found[name])
    if kind != "learning_rate":  # the schedule sets it before each step
        assert any(np.any(values[name] != fresh[name]) for name in names)


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (lambda state: state.epoch, 2),
        (lambda state: state.step_in_epoch, 5),
        (lambda state: state.steps_done, 25),
        (lambda state: state.seconds_of_epoch, 77.0),
        (lambda state: state.seconds > 1000.0, True),
        (lambda state: state.peak_memory_bytes, 2**50),
        (lambda state: state.stopped, True),
        (lambda state: state.schedule.drops, 1),
        (lambda state: state.schedule.best_top1, 0.5),
        (lambda state: state.schedule.best_epoch, 0),
        (lambda state: state.schedule.last_drop_epoch, 1),
        (lambda state: state.history.rows, [{"epoch": 1, "loss": 0.25}]),
        (lambda state: state.guard.events, [{"back_to_step": 3}]),
        (lambda state: state.guard.divisor, 2.0),
        (lambda state: state.lost.names(), ["b.png"]),
    ],
)
def test_place_schedule_and_events(both, read, value):
    assert read(both[1]) == value


def test_peak_memory_of_a_process_that_holds_more_than_those_before(both, small_variant, tmp_path):
    state, _ = _new(small_variant, tmp_path)
    state.peak_memory_before = 1
    assert state.peak_memory_bytes > 10**7


def test_running_totals(both):
    before, after, *_ = both
    assert (
        after.step.totals.values() == before.step.totals.values()
        and before.step.totals.values()[4] == 16
    )


def test_metrics_csv_is_cut_to_the_rows_of_the_checkpoint(both):
    assert (both[2] / "metrics.csv").read_text() == "dataset,epoch,loss\ntiny,1,0.25\n"


def test_lost_images_are_left_out_again(both):
    assert both[3].left_out == [1]


def test_damaged_newer_checkpoint_is_removed_when_the_run_resumes(both, small_variant):
    before, _, workdir, _ = both
    before.checkpoints.save(30, {"w": np.zeros(3)}, {})
    (workdir / "checkpoints" / "step-000000030.npz").write_bytes(b"")
    after, _ = _new(small_variant, workdir)
    after.begin()
    assert after.steps_done == 25 and after.checkpoints.newest_step() == 25


def test_checkpoint_of_an_older_version_is_refused(small_variant, tmp_path):
    state, _ = _new(small_variant, tmp_path)
    state.checkpoints.save(3, state.step.variables(), {"epoch": 0})
    with pytest.raises(ka.UserError, match="written by an older version"):
        state.begin()


def test_metrics_csv_without_a_row_is_removed(tmp_path):
    history = History(tmp_path / "metrics.csv", "tiny", 4)
    history.restore([{"epoch": 1}])
    history.restore([])
    assert not (tmp_path / "metrics.csv").exists()


def test_metrics_csv_may_get_another_column_on_the_way(tmp_path):
    history = History(tmp_path / "metrics.csv", "tiny", 4)
    history.add({"epoch": 1, "loss": 0.5})
    history.add({"epoch": 2, "loss": 0.25, "val_loss": 0.75})
    lines = (tmp_path / "metrics.csv").read_text().splitlines()
    assert lines == ["dataset,epoch,loss,val_loss", "tiny,1,0.5,nan", "tiny,2,0.25,0.75"]


def test_another_network_is_refused(both, tmp_path):
    other, _ = _new("cifar_v2", tmp_path)
    other.checkpoints = both[0].checkpoints
    with pytest.raises(ka.UserError, match="of a different network"):
        other.begin()


def test_best_weights_stay_when_steps_are_renumbered(both, small_variant, tmp_path):
    before, _ = _new(small_variant, tmp_path)
    variables = before.step.variables()
    before.epoch = 3
    before.checkpoints.save(30, variables, {"epoch": 3}, kind="best")
    before.save(variables)
    again, _ = _new(small_variant, tmp_path)
    again.length = Length(4, 5, 80, 16)
    again.begin()  # at step 15
    again.step_in_epoch = 1
    again.save(variables)
    once_more, _ = _new(small_variant, tmp_path)
    once_more.length = again.length
    once_more.begin()
    assert once_more.steps_done == 16
    assert once_more.checkpoints.restore("best")[1] == {"epoch": 3, "step": 15}


def test_the_line_of_an_epoch_has_every_digit_of_its_step(caplog):
    caplog.set_level("INFO", logger="absl")
    row = {"epoch": 16, "step": 12512, "loss": 0.97361, "images_per_second": 33290.4}
    History(None, "tiny", 20).add(row)
    [line] = caplog.messages
    assert line == "epoch 16/20: step 12,512, loss 0.9736, images_per_second 33,290"
