"""Fonts of pictures: which installed ones have a text's characters, and which to install."""

import functools
import unicodedata
from collections.abc import Iterable

from matplotlib import font_manager
from matplotlib.font_manager import FontProperties

# matplotlib includes the first font. The others have Chinese, Japanese and Korean characters, and
# are preferred if several of the installed fonts have a character that the first one lacks.
_FONTS = (
    "DejaVu Sans",
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Noto Sans JP",
    "Noto Sans SC",
    "Noto Sans KR",
    "Source Han Sans",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "Droid Sans Fallback",
    "IPAexGothic",
    "IPAGothic",
    "NanumGothic",
    "Hiragino Sans",
    "PingFang SC",
    "Apple SD Gothic Neo",
    "Yu Gothic",
    "Microsoft YaHei",
    "Malgun Gothic",
    "SimHei",
    "Arial Unicode MS",
)
_EAST_ASIAN = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "FULLWIDTH", "IDEOGRAPHIC")
_NO_LETTERS = ("Last Resort", "Adobe Blank")  # they have boxes, or nothing, for every character
_LAYOUT = frozenset(map(ord, "\n\t"))


@functools.cache
def fonts() -> list[str]:
    """Returns the names of the installed fonts that pictures use, in order of preference.

    Example:
        >>> fonts()[0]
        'DejaVu Sans'
    """
    installed = set(font_manager.get_font_names())
    return [name for name in _FONTS if name in installed]


def fonts_for(text: str) -> list[str]:
    """Returns `fonts()`, and after them any installed fonts that have more of a text's characters.

    Example:
        >>> fonts_for("cat") == fonts()
        True
    """
    missing = frozenset(map(ord, text)) - _characters_of(tuple(fonts()))
    return [*fonts(), *_others(missing)] if missing else fonts()


def not_shown(texts: Iterable[str]) -> list[str]:
    """Returns the texts with a character that none of the installed fonts has.

    Example:
        >>> not_shown(["cat", "chat\\u0378"])
        ['chat\\u0378']
    """
    return [text for text in texts if _missing(text)]


def advice(texts: Iterable[str]) -> list[str]:
    """Returns which fonts to install for texts that cannot be shown.

    Example:
        >>> advice(["\\U00013000"])
        ['a font of their script, such as one of Noto Sans (Debian: fonts-noto-core)']
    """
    characters = {number for text in texts for number in _missing(text)}
    names = [unicodedata.name(chr(number), "") for number in characters]
    are_east_asian = [name.startswith(_EAST_ASIAN) for name in names]
    advised = []
    if any(are_east_asian):
        advised.append("Noto Sans CJK (Debian: fonts-noto-cjk)")
    if not all(are_east_asian):
        advised.append("a font of their script, such as one of Noto Sans (Debian: fonts-noto-core)")
    return advised


def _missing(text: str) -> frozenset[int]:
    return frozenset(map(ord, text)) - _characters_of(tuple(fonts_for(text)))


@functools.cache
def _characters_of(names: tuple[str, ...]) -> frozenset[int]:
    paths = [font_manager.findfont(FontProperties(family=[name])) for name in names]
    return _LAYOUT.union(*map(_characters_in, paths))


@functools.cache
def _characters_in(path: str) -> frozenset[int]:
    try:
        return frozenset(font_manager.get_font(path).get_charmap())
    except (OSError, RuntimeError):  # a file that is damaged or no longer there
        return frozenset()


@functools.cache
def _others(missing: frozenset[int]) -> list[str]:
    """Finds as few other fonts as have all of these characters that any has."""
    _find_new_fonts()
    upright = (
        entry
        for entry in font_manager.fontManager.ttflist
        if entry.style == "normal" and not entry.name.startswith(_NO_LETTERS)
    )
    have = {entry.name: missing & _characters_in(entry.fname) for entry in upright}
    found: list[str] = []
    while missing and have:
        best = min(have, key=lambda name: (-len(have[name] & missing), name))
        if not have[best] & missing:
            break
        found.append(best)
        missing -= have[best]
    return found


@functools.cache
def _find_new_fonts() -> None:
    # matplotlib keeps its list of fonts in a file, and does not see those installed since then.
    known = {entry.fname for entry in font_manager.fontManager.ttflist}
    for path in sorted(set(font_manager.findSystemFonts()) - known):
        try:
            font_manager.fontManager.addfont(path)
        except (OSError, RuntimeError):
            continue  # a file that matplotlib cannot read is no font for us
