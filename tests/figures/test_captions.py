"""Titles and class names fit their places, whatever characters they have."""

import os

import pytest
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from keras_alexnet.figures.captions import caption, fonts, not_shown, wrapped


@pytest.mark.parametrize(
    "text", ["golden retriever, a dog of some size", "x" * 80, "ä b", "a, " * 40, "W M " * 20]
)
@pytest.mark.parametrize("bold", [False, True])
def test_lines_are_not_wider_than_their_place(text, bold):
    font = FontProperties(family=fonts(), size=8, weight="bold" if bold else "normal")
    for most in (1, 2, 3):
        lines = wrapped(text, 0.8, 8, lines=most, bold=bold).split("\n")
        assert 1 <= len(lines) <= most
        for line in lines:
            width, _, _ = text_to_path.get_text_width_height_descent(line, font, ismath=False)
            assert width <= 0.8 * 72
        whole = "".join(lines).replace(" ", "") == text.replace(" ", "")
        assert whole or lines[-1].endswith("…")


def test_class_names_are_words_that_can_be_drawn():
    assert caption("n02099601") == "golden retriever"
    assert caption("n99999999") == "n99999999"
    assert caption(os.fsdecode(b"caf\xe9")) == r"caf\xe9"


def test_characters_without_a_font_are_known():
    assert not_shown(["cat", "Ünïcödé 12 %\nis –", "no\u0378ne"]) == ["no\u0378ne"]
