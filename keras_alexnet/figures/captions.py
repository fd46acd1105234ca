"""Captions: titles and class names that fit into pictures."""

import bisect

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from keras_alexnet.figures.fonts import fonts_for
from keras_alexnet.utils.imagenet_classes import imagenet_words
from keras_alexnet.utils.text import printable


def caption(class_name: str) -> str:
    r"""Returns the caption of a class: its name, or the words for an ImageNet WordNet id.

    Example:
        >>> caption("n01484850"), caption("cat")
        ('great white shark', 'cat')
    """
    name = printable(class_name)
    return imagenet_words().get(name, name)


def wrapped(text: str, inches: float, size: float, *, lines: int = 2, bold: bool = False) -> str:
    r"""Breaks a text into lines of a given width, and ends it with "…" if it is too long.

    Args:
        text: a title or a caption, in one line.
        inches: the largest width of a line.
        size: the size of the font, in points.
        lines: the largest number of lines.
        bold: whether the text is drawn in bold.

    Returns:
        The lines, separated by line breaks.

    Example:
        >>> wrapped("golden retriever", 0.7, 9)
        'golden\nretriever'
    """
    font = FontProperties(family=fonts_for(text), size=size, weight="bold" if bold else "normal")
    found: list[str] = []
    rest = " ".join(map(printable, text.split()))
    while rest and len(found) < lines:
        line, rest = _first_line(rest, 72 * inches, font, last=len(found) == lines - 1)
        found.append(line)
    return "\n".join(found)


def _first_line(text: str, points: float, font: FontProperties, last: bool) -> tuple[str, str]:
    if _width(text, font) <= points:
        return text, ""
    tail = "…" if last else ""
    lengths = range(2, len(text))  # at least one letter, however narrow the line
    letters = 1 + bisect.bisect_right(lengths, points, key=lambda n: _width(text[:n] + tail, font))
    if last:
        return text[:letters].rstrip(" ,") + tail, ""
    space = text.rfind(" ", 0, letters + 1)
    # A word that is too long for a line is broken at its end.
    return (text[:space], text[space + 1 :]) if space > 0 else (text[:letters], text[letters:])


def _width(text: str, font: FontProperties) -> float:
    return text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]
