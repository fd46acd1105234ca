"""What reaches terminals and logs: no control characters, and quiet ends where nobody reads."""

import logging as standard_logging
import os
import subprocess
import sys

import pytest

from keras_alexnet.cli.streams import say
from keras_alexnet.utils.logs import PlainFormatter

# Prints and logs names that would do harm, as a command does.
PROGRAM = r"""
import sys
from absl import logging
from keras_alexnet.cli import running, streams

def command():
    for line in range(int(sys.argv[1])):
        streams.say("name \x1b[31m\r é")
    logging.info("Read %s and %d.", "one\ntwo\x07", 3)
    raise OSError(5, "no such", "bad\x1b]0;title\x07")

sys.exit(running.guarded(command, "program", []))
"""
QUIET = PROGRAM.replace(r'raise OSError(5, "no such", "bad\x1b]0;title\x07")', "pass")
RECORD = {"msg": "Read %s of %d%%.", "args": ("a\nb\x1b[2J", 5)}


def _run(lines=1, program=PROGRAM, **options):
    command = [sys.executable, "-c", program, str(lines)]
    buffered = {**os.environ, "PYTHONUNBUFFERED": ""}
    options = {
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": buffered},
        **options,
    }
    return subprocess.run(command, timeout=60, **options)


def test_names_are_escaped_on_both_streams_and_in_the_log():
    done = _run()
    assert done.returncode == 1
    assert done.stdout.decode() == "name \\x1b[31m\\r é\n"
    assert done.stderr.decode().splitlines() == [
        r"Read one\ntwo\x07 and 3.",
        r"program: [Errno 5] no such: 'bad\x1b]0;title\x07'",
    ]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_streams_of_other_encodings_take_every_name(encoding):
    done = _run(program=PROGRAM.replace("é", "日"), env={"PYTHONIOENCODING": encoding})
    assert done.returncode == 1 and b"\\u65e5" in done.stdout


def test_a_reader_that_ends_early_is_no_error():
    command = [sys.executable, "-c", PROGRAM, "100000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline().startswith(b"name")
        process.stdout.close()
        assert process.wait(timeout=60) == 141
        assert process.stderr.read() == b""


def test_a_full_disk_behind_standard_output_is_one_message():
    with open("/dev/full", "wb") as full:
        done = _run(program=QUIET, stdout=full)
    assert done.returncode == 1
    assert done.stderr.endswith(b"program: [Errno 28] No space left on device\n")


def test_closed_streams_are_no_error():
    command = f"{sys.executable} -c '{QUIET}' 1 >&- 2>&-"
    assert QUIET != PROGRAM
    assert subprocess.run(["sh", "-c", command], timeout=60).returncode == 0


def test_formats_keep_their_numbers_and_their_own_lines():
    made = standard_logging.makeLogRecord(RECORD)
    assert PlainFormatter().format(made) == r"Read a\nb\x1b[2J of 5%."
    assert made.args == RECORD["args"]  # other handlers see it as it was
    own = standard_logging.makeLogRecord({"msg": "two\n\tlines %(a)s", "args": {"a": "x\n\x1b"}})
    assert PlainFormatter().format(own) == "two\n\tlines x\\n\\x1b"


def test_what_is_said_is_one_line(capsys):
    say("a\nb")
    assert capsys.readouterr().out == "a\\nb\n"
