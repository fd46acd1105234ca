"""Text from outside that is printed."""

import os

import pytest

from keras_alexnet.utils.text import is_printable, printable


@pytest.mark.parametrize(
    "name", ["cat", "Café", "日本語", "a b\u00a0c\u3000d", "👨\u200d👩\u200d👧", "می\u200cخواهم"]
)
def test_ordinary_names_stay_as_they_are(name):
    assert is_printable(name)


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("a\nb", r"a\nb"),
        ("a\rb\tc", r"a\rb\tc"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\x85b\u2028c", r"a\x85b\u2028c"),
        ("jpg\u202egnp", r"jpg\u202egnp"),
        (os.fsdecode(b"caf\xe9"), r"caf\xe9"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_would_change_the_terminal_is_escaped(name, printed):
    assert printable(name) == printed
    assert not is_printable(name)
