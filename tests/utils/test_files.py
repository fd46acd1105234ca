"""Atomic writes, locks between and within processes, and results files."""

import errno
import os
import subprocess
import sys
import threading
import time

import pytest

from keras_alexnet.errors import UserError
from keras_alexnet.utils import files

HOLD = """
import sys
from keras_alexnet.utils import files
with files.locked(sys.argv[1]):
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that has locked tmp_path, until its input is closed."""
    command = [sys.executable, "-c", HOLD, tmp_path]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


def test_a_write_is_whole_or_nothing(tmp_path):
    path = tmp_path / "new" / "a.txt"
    files.write_text(path, "before")
    with pytest.raises(ZeroDivisionError), files.atomic_write(path) as temporary:
        temporary.write_text("half")
        assert temporary.parent == path.parent and temporary.suffix == ".txt"
        raise ZeroDivisionError
    assert path.read_text() == "before" and list(path.parent.iterdir()) == [path]
    with files.atomic_write(path) as temporary:
        temporary.write_text("after")
        assert path.read_text() == "before"
    assert path.read_text() == "after" and list(path.parent.iterdir()) == [path]


def test_a_full_disk_is_said_of_the_file_that_was_written(tmp_path):
    with pytest.raises(OSError) as caught, files.atomic_write(tmp_path / "a.txt"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.filename == str(tmp_path / "a.txt")


def test_a_lock_of_another_process_is_refused_until_it_ends(holder, tmp_path):
    with pytest.raises(UserError, match="Wait for it."), files.locked(tmp_path, "Wait for it."):
        pytest.fail("locked twice")
    holder.kill()
    holder.wait()
    with files.locked(tmp_path, "Wait for it."):
        pass


def test_without_a_refusal_the_lock_is_waited_for(holder, tmp_path):
    taken = threading.Event()

    def take():
        with files.locked(tmp_path):
            taken.set()

    thread = threading.Thread(target=take)
    thread.start()
    time.sleep(0.3)
    assert not taken.is_set()
    holder.stdin.close()
    thread.join(timeout=20)
    assert taken.is_set()


def test_within_a_process_a_lock_is_refused_but_never_waited_for(tmp_path):
    with files.locked(tmp_path, "Wait for it."):
        with pytest.raises(UserError, match="Wait for it."), files.locked(tmp_path, "Wait for it."):
            pytest.fail("locked twice")
        # A run that records into its own folder.
        files.record(tmp_path / "results.csv", {"top1": 0.5}, ("top1",))
        with pytest.raises(UserError), files.locked(tmp_path, "Wait for it."):
            pytest.fail("the record released the lock")
    with files.locked(tmp_path, "Wait for it."):
        pass


def test_rows_are_added_once_and_only_under_their_own_columns(tmp_path):
    path, columns = tmp_path / "new" / "results.csv", ("name", "top1", "note")
    first = {"name": "a", "top1": 0.123456789, "note": None, "more": 1}
    files.record(path, first, columns)
    files.record(path, first, columns)
    files.record(path, {"name": "b", "top1": 1, "note": "x,y"}, columns)
    assert path.read_text() == 'name,top1,note\na,0.123457,\nb,1,"x,y"\n'
    assert [row["name"] for row in files.read_rows(path, columns)] == ["a", "b"]
    with pytest.raises(UserError, match="Give --record a different file"):
        files.record(path, {"name": "c"}, ("name",))
    assert files.read_rows(tmp_path / "none.csv", columns) == []


def test_processes_that_record_at_the_same_time_take_turns(tmp_path):
    program = (
        "import sys; from keras_alexnet.utils import files\n"
        "for n in range(20): files.record(sys.argv[1], {'n': sys.argv[2] + str(n)}, ('n',))"
    )
    path = tmp_path / "results.csv"
    commands = [[sys.executable, "-c", program, path, name] for name in "ab"]
    processes = [subprocess.Popen(command) for command in commands]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert len(files.read_rows(path, ("n",))) == 40


def test_names_that_are_not_utf8_can_be_written(tmp_path):
    files.write_json(tmp_path / "a.json", ["caf\udce9.png"])
    assert (tmp_path / "a.json").read_bytes() == b'[\n  "caf\\udce9.png"\n]\n'


def test_only_regular_files_are_opened(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"cat")
    with files.open_regular(tmp_path / "a.txt") as file:
        assert file.read() == b"cat"
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, "/dev/zero"):
        with pytest.raises(OSError, match="regular file"):
            files.open_regular(path)
    with pytest.raises(FileNotFoundError):
        files.open_regular(tmp_path / "missing")


@pytest.fixture
def dead():
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_a_killed_process_left_is_swept(tmp_path, dead):
    left = tmp_path / f".{dead}-a.json"
    mine = [tmp_path / name for name in (f".{os.getpid()}-b.json", ".2024-", ".7notes", "1-a.json")]
    for path in (left, *mine):
        path.touch()
    files.write_json(tmp_path / "a.json", {})
    assert left.exists()  # it may be of another machine
    os.utime(left, (0, 0))
    files.write_json(tmp_path / "b.json", {})
    assert left.exists()  # it is not known to be ours
    files.write_json(tmp_path / "a.json", {})
    assert not left.exists()
    left.touch()
    (tmp_path / f".{dead}-folder").mkdir()
    files.remove_half_written(tmp_path)
    names = {path.name for path in tmp_path.iterdir()} - {"a.json", "b.json", f".{dead}-folder"}
    # Writing b.json has taken the name of the process's own temporary file.
    assert names == {path.name for path in mine[1:]}
