"""The table of what the 2012 paper says of its parts."""

from generators.tables import table
from keras_alexnet.ablation.config import PARTS
from keras_alexnet.ablation.paper import CLAIMS, TEN_VIEWS

_FLAGS = {
    **{part: f"`--without {part}`" for part in PARTS},
    "tanh": "`--activation tanh`",
    TEN_VIEWS: "in every study",
}


def claims() -> str:
    """What the paper says of each part, and the flag that puts it to the test."""
    rows = ([_FLAGS[part], part, claim.words, claim.section] for part, claim in CLAIMS.items())
    return table(["flag", "part", "the paper, without it", "where"], rows)
