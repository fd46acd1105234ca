"""Every flag of every command with what nobody should type, and outputs that cannot be written."""

import argparse
import os

import pytest

from keras_alexnet.benchmarks.catalog import BENCHMARKS
from keras_alexnet.cli import main as entry
from keras_alexnet.cli import running

COMMANDS = [
    *[[name] for name in entry.COMMANDS if name not in ("figures", "benchmark")],
    *[["figures", name] for name in ("filters", "neighbors", "likeliest", "activations", "curves")],
    *[["benchmark", name] for name in BENCHMARKS],
]


def _parser(command):
    parser = entry._parser(command, None)
    for name in command:
        [commands] = [each for each in parser._actions if each.choices and each.dest != "help"][:1]
        parser = commands.choices[name]
    return parser


def _flags():
    for command in COMMANDS:
        for action in _parser(command)._actions:
            if action.option_strings and action.type is not None:
                name = f"{' '.join(command)} {action.option_strings[0]}"
                yield pytest.param(action, id=name)


@pytest.mark.parametrize("action", list(_flags()))
def test_no_flag_takes_what_is_no_value(action):
    wrong = ["a\0b", "a\nb", "\x1b[31m"]
    several = action.metavar == "A,B,..."
    numbers = action.metavar in ("N", "X")
    if not several and action.dest not in ("freeze_until", "augment"):
        wrong.append("")
    if numbers:
        wrong += ["nan", "inf", "-inf", "one", "1e400", "--1"]
    if action.metavar == "N":
        wrong += ["9" * 23, "1.5", "9" * 5000]
    if numbers and action.container.title != "recipe":  # recipes have checks of their own
        wrong.append("-1")
    if action.dest in ("batch_size", "input_size", "top", "timeout"):
        wrong.append("1" + "0" * 12)
    if action.metavar == "PATH":
        wrong += ["~nobody-at-all/x"]
    for typed in wrong:
        with pytest.raises(argparse.ArgumentTypeError) as caught:
            action.type(typed)
        assert str(caught.value).startswith(("must ", "Unknown ", "begins ")), str(caught.value)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_shows_tracebacks_if_wanted(command):
    assert "--traceback" in _parser(command).format_help()


def test_paths_of_flags_have_the_home_folder_in_them(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    typed = ["train", "--workdir", "~/runs/a", "--data_dir=~/photos", "--record", "~/r.csv"]
    parsed = entry._parser(typed, None).parse_args(typed)
    assert (parsed.workdir, parsed.data_dir, parsed.record) == (
        *("/home/someone/runs/a", "/home/someone/photos", "/home/someone/r.csv"),
    )


@pytest.mark.parametrize(
    "arguments",
    [
        "predict --model m a.jpg --csv {place}",
        "predict --model m a.jpg --json {place}",
        "evaluate --model m --json {place}",
        "summary --variant cifar_v2 --json {place}",
        "benchmark overhead --json {place}",
        "benchmark layers --json {place}",
    ],
)
@pytest.mark.parametrize("place", ["", "/file/a.csv", "/new/"])
def test_outputs_that_cannot_be_written_are_found_before_tensorflow_is_loaded(
    arguments, place, tmp_path, monkeypatch, capsys
):
    def too_late(*_, **__):
        raise AssertionError("TensorFlow was loaded")

    for command in entry.COMMANDS:
        module = entry.importlib.import_module(f"keras_alexnet.cli.{command}")
        monkeypatch.setattr(module, "load_tensorflow", too_late)
    (tmp_path / "file").write_text("mine")
    assert entry.main(arguments.format(place=f"{tmp_path}{place}").split()) == 1
    assert "must be a file that can be written. Received: " in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("link", [False, True])
def test_two_outputs_of_predict_are_two_files(tmp_path, capsys, link):
    if link:
        (tmp_path / "b").symlink_to("a")
    both = ["--csv", str(tmp_path / "a"), "--json", str(tmp_path / ("b" if link else "a"))]
    assert entry.main(["predict", "--model=m", "a.jpg", *both]) == 2
    assert "must be two files" in capsys.readouterr().err


def test_an_error_while_flags_are_read_is_one_line(monkeypatch, capsys):
    def broken(*_):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(entry, "_parser", broken)
    assert entry.main(["train"]) == 1
    assert capsys.readouterr().err.startswith("keras-alexnet: Unexpected error, ZeroDivisionError")
    assert entry.main(["train", "--traceback"]) == 1
    assert "Traceback" in capsys.readouterr().err
    assert running.TRACEBACK not in os.environ
