"""Timing exported models in turns."""

import pytest

import keras_alexnet as ka
from keras_alexnet.exporting import latency
from keras_alexnet.exporting.formats import saved_model
from support.exports import trained


def test_programs_take_turns_and_medians_are_theirs():
    turns = []

    def program(name, seconds):
        def timed(repeats):
            turns.append(name)
            cold = [10 * seconds] * (repeats if turns.count(name) == 1 else 2)
            return (cold + [seconds] * repeats)[:repeats]

        return timed

    programs = {"slow": program("slow", 0.02), "fast": program("fast", 0.0002)}
    assert latency.medians(programs) == {"slow": 0.02, "fast": 0.0002}
    assert turns[4:] == ["slow", "fast"] * latency.ROUNDS


def test_saved_model_is_timed_in_a_process_of_its_own(tmp_path):
    saved_model.write(trained(tmp_path / "run", "cifar_v2"), tmp_path / "1", "float32")
    with latency.saved_model_timer(tmp_path / "1", threads=1) as timed:
        seconds = timed(4)
    assert len(seconds) == 4 and all(0 < each < 5 for each in seconds)


def test_what_cannot_be_timed_is_named(tmp_path):
    with latency.saved_model_timer(tmp_path / "none", threads=1) as timed:
        with pytest.raises(ka.UserError, match="none cannot be timed"):
            timed(1)
