"""Sphinx settings: python -m sphinx -W -b html docs build/docs."""

import dataclasses
import os
import pathlib
import re
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import keras_alexnet  # noqa: E402

project = "keras_alexnet"
author = "The keras_alexnet maintainers"
release = version = keras_alexnet.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["generators"]

html_theme = "furo"
html_title = "keras_alexnet"

myst_heading_anchors = 3
nb_execution_mode = "off"  # tests/docs run the pages and the notebooks

add_module_names = False
autodoc_default_options = {"members": False}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 88
napoleon_use_rtype = False

_FENCE = re.compile(r"^(\s*)```(\w*)$")
_CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)(?=(\w?))")


def to_rst(lines: list[str]) -> list[str]:
    """Docstrings are written in Markdown, and autodoc reads reStructuredText."""
    found, fence = [], None
    for line in lines:
        match = _FENCE.match(line)
        if match and fence is None:
            fence = match[1]
            found += [f"{fence}.. code-block:: {match[2] or 'text'}", ""]
        elif match:
            fence = None
        elif fence is not None:
            found.append(f"   {line}" if line else line)
        else:
            found.append(line)
    # Code may reach over the end of a line, and a letter may follow it: `DataSpec`s.
    return _CODE.sub(_literal, "\n".join(found)).splitlines()


def _literal(match: re.Match[str]) -> str:
    return f"``{match[1]}``" + ("\\ " if match[2] else "")


def describe(app, what, name, value, options, lines: list[str]) -> None:
    """Turns a docstring into reStructuredText; of a config, adds what each setting means."""
    lines[:] = to_rst(lines)
    if what == "class" and dataclasses.is_dataclass(value):
        helped = [field for field in dataclasses.fields(value) if "help" in field.metadata]
        if helped:
            lines += ["", ".. rubric:: Settings", ""]
        for field in helped:
            choices = field.metadata.get("choices") or ()
            said = "; ".join(map(str, choices))
            lines.append(f"- ``{field.name}``: {field.metadata['help']}")
            if said:
                lines.append(f"  One of: {said}.")


def readable(app, what, name, value, options, signature, returns):
    """A dataclass's empty dictionaries as {} rather than <factory>, which is no Python."""
    if signature is not None:
        signature = signature.replace("<factory>", "{}").replace("~typing.", "")
    return signature, returns


def setup(app) -> None:
    app.connect("autodoc-process-signature", readable)
    # Before napoleon, which reads the sections of the docstring.
    app.connect("autodoc-process-docstring", describe, priority=400)
