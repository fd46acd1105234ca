"""How to use a network: a program that runs in the folder of the card."""

from collections.abc import Mapping
from typing import Any

_MODEL_FILES = (".tflite", ".onnx")


def usage(report: Mapping[str, Any]) -> list[str]:
    """Returns the lines of the section that shows how to use the files."""
    places = _places(report)
    more = ""
    if len(places) > 1:
        more = f" In place of `{places[0]}`: {', '.join(f'`{place}`' for place in places[1:])}."
    return [
        "",
        "## How to use it",
        "",
        "In the folder of `README.md`, with keras_alexnet installed:",
        "",
        "```python",
        "import keras_alexnet as ka",
        "",
        f'[found] = ka.predict("{places[0]}", "photo.jpg")',
        "for name, score in zip(found.classes, found.scores):",
        '    print(f"{name}: {100 * score:.1f} %")',
        "```",
        "",
        f"`photo.jpg` is an image of yours.{more}",
    ]


def _places(report: Mapping[str, Any]) -> list[str]:
    """Returns the models in the folder, by paths as `predict` takes them."""
    if "files" not in report:
        return [report["model"]]  # a network that was saved
    found: dict[str, None] = {}
    for facts in report["files"].values():
        names = [name for name in facts["sha256"] if name.endswith(_MODEL_FILES)]
        found |= dict.fromkeys(names or [next(iter(facts["sha256"])).partition("/")[0]])
    return list(found)
