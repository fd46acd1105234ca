"""`benchmark start`: what a process that cannot be timed says."""

import pytest

from keras_alexnet.benchmarks import start
from keras_alexnet.errors import UserError


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("from keras_alexnet.errors import UserError; raise UserError('No /nope.')", "No /nope."),
        ("raise SystemExit(3)", "no message"),
    ],
)
def test_a_start_that_fails_says_why(tmp_path, program, said):
    with pytest.raises(UserError, match=f"The first step cannot be timed: {said}$"):
        start._run(["-c", program], str(tmp_path))


def test_processor_time_is_that_of_the_process(tmp_path):
    cpu = []
    assert start._run(["-c", "sum(range(10**6))"], str(tmp_path), cpu) > 0
    assert len(cpu) == 1 and cpu[0] > 0
