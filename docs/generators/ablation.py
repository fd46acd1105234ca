"""The table of what the 2012 paper says of its parts, and those of studies of them."""

import pathlib

from generators.tables import read_csv, table
from keras_alexnet.ablation.config import PARTS, AblateConfig
from keras_alexnet.ablation.paper import CLAIMS, TEN_VIEWS
from keras_alexnet.ablation.table import markdown

_FLAGS = {
    **{part: f"`--without {part}`" for part in PARTS},
    "tanh": "`--activation tanh`",
    TEN_VIEWS: "in every study",
}


def claims() -> str:
    """What the paper says of each part, and the flag that puts it to the test."""
    rows = ([_FLAGS[part], part, claim.words, claim.section] for part, claim in CLAIMS.items())
    return table(["flag", "part", "the paper, without it", "where"], rows)


def study(path: pathlib.Path) -> str:
    """The table of a study, from the `table.csv` that `ablate` wrote; its note is on the page."""
    rows = [{name: _value(cell) for name, cell in row.items()} for row in read_csv(path)]
    return markdown(rows, AblateConfig.training_error).partition("\n\n")[0]


def _value(cell: str) -> int | float | str | None:
    for kind in (int, float):
        try:
            return kind(cell)
        except ValueError:
            pass
    return cell or None
