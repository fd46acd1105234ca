"""Tables of the CSV files in saved_models/."""

import pathlib

from generators.tables import read_csv, table


def _percent(share: str) -> str:
    return f"{100 * float(share):.2f}"


def best(path: pathlib.Path) -> str:
    """The best recorded run of each network."""
    found: dict[str, dict[str, str]] = {}
    for row in read_csv(path):
        variant = row["variant"]
        if variant not in found or float(row["test_top1"]) > float(found[variant]["test_top1"]):
            found[variant] = row
    return table(
        ["network", "data", "recipe", "epochs", "top-1 %", "top-5 %"],
        (
            [
                f"`{row['variant']}`",
                row["dataset"],
                f"`{row['recipe']}`",
                row["epochs"],
                _percent(row["test_top1"]),
                _percent(row["test_top5"]),
            ]
            for row in found.values()
        ),
    )


def runs(path: pathlib.Path) -> str:
    """Every recorded run."""
    return table(
        [
            *["network", "recipe", "data", "epochs", "precision", "top-1 %", "top-5 %"],
            *["views", "s/epoch", "commit"],
        ],
        (
            [
                f"`{row['variant']}`",
                *(row[name] for name in ("recipe", "dataset", "epochs", "precision")),
                _percent(row["test_top1"]),
                _percent(row["test_top5"]),
                row["views"],
                f"{float(row['seconds_per_epoch']):.0f}",
                row["commit"],
            ]
            for row in read_csv(path)
        ),
    )


def exports(path: pathlib.Path) -> str:
    """Every exported file that was measured."""
    return table(
        [
            *["network", "file", "MB", "ms, 1 thread", "ms, 2 threads", "top-1 %"],
            "same top-1 as Keras, %",
        ],
        (
            [
                f"`{row['variant']}`",
                row["file"],
                f"{int(row['bytes']) / 1e6:.2f}",
                f"{float(row['milliseconds_1_thread']):.2f}",
                f"{float(row['milliseconds_2_threads']):.2f}",
                _percent(row["top1"]),
                _percent(row["top1_agreement"]),
            ]
            for row in read_csv(path)
        ),
    )


def parity(path: pathlib.Path) -> str:
    """How far each converted network is from its source: a column a conversion, a row a layer."""
    found = read_csv(path)
    layers = [name for name in found[0] if name not in _PARITY_ROWS]
    rows = [
        [title, *(row[name] for row in found)]
        for name, title in _PARITY_ROWS.items()
        if name != "variant"
    ]
    rows += [[f"`{layer}`", *(row[layer] or "–" for row in found)] for layer in layers]
    return table(["", *(f"`{row['variant']}`" for row in found)], rows)


_PARITY_ROWS = {
    "variant": "network",
    "source": "source",
    "reference": "compared with",
    "images": "images",
    "top5_same": "same top 5, in order",
}
