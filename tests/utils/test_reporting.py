"""What calls from Python say, and that the user's logging stays as it was."""

import contextlib
import fcntl
import io
import logging
import os
import pty
import struct
import sys
import termios
import types

import pytest
from absl import logging as absl_logging

import keras_alexnet as ka
from keras_alexnet.networks.summary import LayerTable
from keras_alexnet.utils import reporting, terminal
from keras_alexnet.utils.html import Results

LOGGER = logging.getLogger("absl")


@contextlib.contextmanager
def plain_logging():
    """Logging as Python has it in a script that has not set it up."""
    before = LOGGER.level, logging.root.level, logging.root.handlers
    LOGGER.setLevel(logging.WARNING)
    logging.root.level, logging.root.handlers = logging.WARNING, []
    try:
        yield
    finally:
        LOGGER.setLevel(before[0])
        logging.root.level, logging.root.handlers = before[1:]


@reporting.reported
def work(*, verbose: int = 1):
    absl_logging.info("Read %s.", "two\nlines")
    absl_logging.warning("careful")
    with terminal.Progress(1, "working") as progress:
        progress.advance(1)


@pytest.mark.parametrize("verbose, lines", [(0, []), (1, ["Read two\\nlines."])])
@plain_logging()
def test_lines_come_without_any_set_up_and_not_at_verbose_0(verbose, lines, capsys):
    before = (LOGGER.level, LOGGER.propagate, list(LOGGER.handlers))
    work(verbose=verbose)
    assert capsys.readouterr().err.splitlines() == [*lines, "careful"]
    assert before == (LOGGER.level, LOGGER.propagate, list(LOGGER.handlers))
    absl_logging.info("after")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("taken_from", ["INFO", "WARNING"])
@plain_logging()
def test_lines_that_the_users_logging_takes_go_only_there(taken_from, capsys):
    own = logging.StreamHandler(io.StringIO())
    logging.root.addHandler(own)
    LOGGER.setLevel(taken_from)
    work()
    own_lines = ["Read two", "lines.", "careful"] if taken_from == "INFO" else ["careful"]
    assert own.stream.getvalue().splitlines() == own_lines
    assert capsys.readouterr().err == ("" if taken_from == "INFO" else "Read two\\nlines.\n")
    own.stream.truncate(0)
    work(verbose=0)
    assert own.stream.getvalue().strip("\0").splitlines() == ["careful"]


@plain_logging()
def test_a_call_inside_another_reports_as_that_one_does(capsys):
    with reporting.reporting(0):
        work(verbose=1)
    assert capsys.readouterr().err == "careful\n"


@pytest.mark.parametrize("verbose", [3, "auto", None])
def test_unknown_verbosity_is_refused(verbose):
    with pytest.raises(ka.UsageError, match=r"verbose must be 0 .* Received"):
        ka.evaluate(None, verbose=verbose)


class _Terminal(io.StringIO):
    def __init__(self, descriptor):
        super().__init__()
        self.fileno = lambda: descriptor

    def isatty(self):
        return True


@pytest.mark.parametrize("size, verbose, bar", [((24, 80), 1, True), ((0, 0), 1, False)])
def test_a_terminal_has_bars_and_one_without_a_size_lines(size, verbose, bar, monkeypatch, caplog):
    caplog.set_level("INFO", logger="absl")
    monkeypatch.setattr(terminal, "SECONDS_BETWEEN_LINES", 0)
    theirs, ours = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    monkeypatch.setattr(sys, "stderr", _Terminal(ours))
    work(verbose=verbose)
    shown = sys.stderr.getvalue()
    os.close(theirs), os.close(ours)
    assert ("working" in shown) == bar
    assert ("working: 1 of 1 images" in caplog.messages) != bar


@pytest.mark.parametrize("verbose", [0, 1, 2])
@plain_logging()
def test_a_notebook_has_bars_and_its_lines_on_standard_output(verbose, monkeypatch, capsys):
    shell = types.SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    work(verbose=verbose)
    out, err = capsys.readouterr()
    assert ("Read two" in out) == (verbose > 0)
    assert ("working" in err) == (verbose == 1)


def test_results_are_a_dict_and_a_table_in_a_notebook():
    found = Results({"dataset": "<b>pets</b>", "top1": 0.5, "changes": [{"name": "a & b"}]})
    assert found == dict(found) and repr(found) == repr(dict(found))
    shown = found._repr_html_()
    assert "&lt;b&gt;pets&lt;/b&gt;" in shown and "a &amp; b" in shown and "0.5" in shown
    assert "<b>" not in shown


def test_layer_table_is_a_table_in_a_notebook():
    table = ka.layer_table("cifar_v2")
    shown = table._repr_html_()
    assert shown.count("<tr>") == len(table.layers) + 2 and "576,778" in shown
    assert "&lt;i&gt;" in LayerTable("<i>", 1, table.layers)._repr_html_()
