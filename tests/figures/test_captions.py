"""Titles and class names fit their places, whatever characters they have."""

import os

import pytest
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.textpath import text_to_path

from keras_alexnet.figures.captions import caption, wrapped
from keras_alexnet.figures.fonts import advice, fonts, fonts_for, not_shown


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


def test_other_fonts_that_have_the_characters_are_used():
    paths = {
        name: findfont(FontProperties(family=[name])) for name in ("DejaVu Sans", "STIXGeneral")
    }
    characters = {name: get_font(path).get_charmap().keys() for name, path in paths.items()}
    rare = chr(min(characters["STIXGeneral"] - characters["DejaVu Sans"]))
    found = fonts_for(f"a {rare}")
    assert found[: len(fonts())] == fonts() and len(found) > len(fonts())
    assert not any("Last Resort" in name for name in found)
    assert not not_shown([rare])


def test_message_names_the_font_of_the_script():
    assert advice(["猫"]) == advice(["とり", "자동차"]) == [advice(["猫 \U00013000"])[0]]
    assert "fonts-noto-cjk" in advice(["猫"])[0] or not not_shown(["猫"])
