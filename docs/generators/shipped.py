"""The table of the weights that come with the package, from their cards."""

from generators.tables import table
from keras_alexnet.weights import named, shipped_file

_VIEWS = ("1", "2", "10")


def overview() -> str:
    """Returns a row for each set of weights."""
    headings = ["network", "weights", "classes", "stored as", "MB", "test images"]
    headings += [f"top-1 %, {views} view{'s' if views != '1' else ''}" for views in _VIEWS]
    rows = []
    for each in named.list_named():
        card = shipped_file.read_card(each.file)
        accuracy = [card["accuracy"].get(views) for views in _VIEWS]
        rows.append(
            [
                *(f"`{each.variant}`", f"`{each.name}`", len(card["labels"]), card["stored_as"]),
                f"{each.file.stat().st_size / 1e6:.1f}",
                f"{card['test_images']:,} of {card['dataset']}",
                *("–" if found is None else f"{100 * found['top1']:.2f}" for found in accuracy),
            ]
        )
    return table(headings, rows)
