"""README.md and the pages of docs/: their code blocks and their commands."""

import dataclasses
import pathlib
import re
import shlex
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).parents[2]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = (README, *sorted(DOCS.glob("*.md")))
_BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^>]*?) -->\n+)?```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.S | re.M,
)
_END = {"&", "&&", "|", "||", ";", "done", "wait"}


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced code block; `reason` is why it is not run, from a comment before it, or None."""

    page: str
    number: int
    language: str
    text: str
    reason: str | None


def name_of(page: pathlib.Path) -> str:
    """The path of a page, relative to the checkout."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: pathlib.Path, language: str | None = None) -> list[Block]:
    """The code blocks of a page in order, or only those of a language."""
    found = [
        Block(name_of(page), number, match["language"], match["text"], match["reason"])
        for number, match in enumerate(_BLOCK.finditer(page.read_text(encoding="utf-8")), 1)
    ]
    return [block for block in found if language in (None, block.language)]


def section(page: pathlib.Path, heading: str) -> str:
    """The text below a heading, up to the next heading of its level or a higher one."""
    text = page.read_text(encoding="utf-8")
    match = re.search(rf"^(#+) {re.escape(heading)}$", text, re.M)
    assert match, f"{name_of(page)} has no section {heading!r}"
    rest = text[match.end() :]
    end = re.search(rf"^#{{1,{len(match[1])}}} ", rest, re.M)
    return rest[: end.start()] if end else rest


def commands(page: pathlib.Path) -> Iterator[list[str]]:
    """The arguments of each `keras-alexnet` command in a page's shell and YAML blocks.

    The first argument is the name of the command: `python scripts/NAME.py` is `keras-alexnet NAME`,
    and `convert_weights` is `convert`.
    """
    for block in blocks(page):
        if block.language == "bash":
            for line in block.text.replace("\\\n", " ").splitlines():
                yield from _commands(shlex.split(line, comments=True))
        elif block.language == "yaml":
            lists = re.findall(r"command: \[(.*?)\]", block.text, re.S)
            for line in lists:
                yield from _commands([word.strip() for word in line.split(",")])


def _commands(words: list[str]) -> Iterator[list[str]]:
    for index, word in enumerate(words):
        script = re.fullmatch(r"scripts/(\w+)\.py", word)
        if script:
            name = {"convert_weights": "convert"}.get(script[1], script[1])
            yield [name, *_arguments(words[index + 1 :])]
        elif word == "keras-alexnet":
            yield _arguments(words[index + 1 :])


def _arguments(words: list[str]) -> list[str]:
    ends = [index for index, word in enumerate(words) if word.rstrip(";") != word or word in _END]
    return [word.rstrip(";") for word in words[: ends[0] if ends else len(words)]]
