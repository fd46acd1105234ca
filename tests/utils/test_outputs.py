"""Outputs through links, to devices and pipes, and the checks of places before long work."""

import os
import pathlib
import shutil
import stat
import subprocess
import sys
import threading

import pytest

from keras_alexnet.errors import UserError
from keras_alexnet.utils import files, outputs

WRITE = "import sys; from keras_alexnet.utils import files; files.write_text(sys.argv[1], 'new')"


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path):
    (tmp_path / "far").mkdir()
    target, second, first = (tmp_path / name for name in ("far/a.csv", "far/b.csv", "c.csv"))
    target.write_text("before")
    second.symlink_to("a.csv")
    first.symlink_to("far/b.csv")
    with files.atomic_write(first) as temporary:
        assert temporary.parent == target.parent
        temporary.write_text("after")
    assert target.read_text() == "after" and target.is_file() and not target.is_symlink()
    assert os.readlink(first) == "far/b.csv" and os.readlink(second) == "a.csv"
    assert sorted(os.listdir(tmp_path / "far")) == ["a.csv", "b.csv"]


def test_a_link_to_nothing_gets_its_file_and_one_to_itself_is_refused(tmp_path):
    (tmp_path / "link").symlink_to("new.txt")
    files.write_text(tmp_path / "link", "a")
    assert (tmp_path / "new.txt").read_text() == "a" and (tmp_path / "link").is_symlink()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="symbolic links"):
        files.write_text(tmp_path / "loop", "a")
    assert (tmp_path / "loop").is_symlink()


def test_an_existing_file_keeps_its_permissions(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("before")
    path.chmod(0o640)
    files.write_text(path, "after")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640 and path.read_text() == "after"


def test_a_file_that_must_not_be_written_is_left(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    path.write_text("before")
    monkeypatch.setattr(os, "access", lambda place, mode: False)  # root may write everything
    with pytest.raises(PermissionError, match="a.csv"):
        files.write_text(path, "after")
    with pytest.raises(UserError, match="csv must be a file that can be written.*Permission"):
        outputs.check_file(path, "csv")
    assert path.read_text() == "before" and os.listdir(tmp_path) == ["a.csv"]


@pytest.mark.parametrize("linked", [False, True])
def test_a_pipe_is_written_to(tmp_path, linked):
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    path = pipe
    if linked:
        path = tmp_path / "link.csv"
        path.symlink_to("pipe.csv")
    found = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_text()))
    reader.start()
    files.write_csv(path, [{"a": 1}])
    reader.join(timeout=20)
    assert found == ["a\n1\n"] and stat.S_ISFIFO(pipe.stat().st_mode)
    assert files.read_rows(path, ("a",)) == []  # without waiting for a writer


def test_a_device_stays_one(tmp_path):
    null = tmp_path / "null"  # not /dev/null itself, which a mistake would replace
    try:
        os.mknod(null, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        with open(null, "wb"):
            pass
    except OSError:
        pytest.skip("only root makes devices")
    outputs.check_file(null, "json")
    files.write_json(null, [1])
    files.record(null, {"a": 1}, ("a",))
    assert stat.S_ISCHR(null.stat().st_mode) and os.listdir(tmp_path) == ["null"]


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_standard_output_in_a_file_is_added_to(tmp_path, name):
    if not pathlib.Path("/proc/self/fd").exists():
        pytest.skip("no /proc")
    with open(tmp_path / "out.txt", "wb") as out:
        out.write(b"before ")
        out.flush()
        subprocess.run([sys.executable, "-c", WRITE, name], stdout=out, check=True, timeout=60)
    assert (tmp_path / "out.txt").read_bytes() == b"before new"
    assert os.listdir(tmp_path) == ["out.txt"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_process_substitution(tmp_path):
    command = f'{sys.executable} -c "$1" >(cat > {tmp_path}/out.txt); wait $!; sleep 0.2'
    subprocess.run(["bash", "-c", command, "bash", WRITE], check=True, timeout=60)
    assert (tmp_path / "out.txt").read_text() == "new"


def test_folders_are_refused_in_words(tmp_path):
    with pytest.raises(IsADirectoryError):
        files.write_text(tmp_path, "a")
    for path in (tmp_path, f"{tmp_path}/new/"):
        with pytest.raises(UserError, match="record must be a file.*which is a folder"):
            outputs.check_file(path, "record")
    assert not os.listdir(tmp_path)


def test_names_as_long_as_the_file_system_takes(tmp_path):
    path = tmp_path / f"{'é' * 120}.txt"  # 244 bytes
    files.write_text(path, "a")
    assert os.listdir(tmp_path) == [path.name]
    with pytest.raises(UserError, match="csv must be a file.*name too long"):
        outputs.check_file(tmp_path / ("a" * 300), "csv")


def test_checks_leave_nothing_and_name_what_is_in_the_way(tmp_path):
    (tmp_path / "file").write_text("mine")
    outputs.check_file(tmp_path / "a" / "b.csv", "csv")
    outputs.check_file(tmp_path / "file", "csv")
    outputs.check_folder(tmp_path / "a" / "b", "workdir")
    outputs.check_folder(tmp_path, "workdir")
    for check in (outputs.check_file, outputs.check_folder):
        with pytest.raises(UserError, match=r"out must be.*Not a directory \(.*file\)"):
            check(tmp_path / "file" / "below" / "a.csv", "out")
        with pytest.raises(UserError, match="out must be"):
            check("/proc/new/a.csv", "out")
    with pytest.raises(UserError, match="workdir must be a folder.*which is a file"):
        outputs.check_folder(tmp_path / "file", "workdir")
    assert os.listdir(tmp_path) == ["file"]


def test_a_full_disk_is_found_at_the_start(tmp_path):
    with pytest.raises(UserError, match="No space left"):
        full = tmp_path / "full"
        full.symlink_to("/dev/full")
        _refuse_room(tmp_path, full)


def _refuse_room(tmp_path, full):
    """Checks a folder in which every new file is on a full disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outputs.tempfile, "TemporaryFile", lambda **_: open(full, "wb"))
        outputs.check_file(tmp_path / "a.csv", "csv")
