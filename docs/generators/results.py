"""Tables of the CSV files in saved_models/."""

import pathlib
import shlex
import statistics

from generators.tables import read_csv, table


def _percent(share: str) -> str:
    return f"{100 * float(share):.2f}"


def best(path: pathlib.Path) -> str:
    """The best settings that each network was trained with, by the mean over their seeds."""
    found: dict[str, list[dict[str, str]]] = {}
    for rows in _of_the_same_settings(path):
        so_far = found.get(rows[0]["variant"])
        if so_far is None or _top1(rows) > _top1(so_far):
            found[rows[0]["variant"]] = rows
    return table(
        ["network", "data", "recipe", "epochs", "seeds", "top-1 %", "views", "top-5 %"],
        (
            [
                f"`{variant}`",
                rows[0]["dataset"],
                f"`{rows[0]['recipe']}`",
                rows[0]["epochs"],
                str(len(rows)),
                f"{100 * _top1(rows):.2f}",
                rows[0]["views"],
                f"{statistics.mean(100 * float(row['test_top5']) for row in rows):.2f}",
            ]
            for variant, rows in found.items()
        ),
    )


def _top1(rows: list[dict[str, str]]) -> float:
    return statistics.mean(float(row["test_top1"]) for row in rows)


def runs(path: pathlib.Path) -> str:
    """Every recorded experiment: one row for all seeds of the same settings."""
    return table(
        [
            *["network", "recipe", "data", "epochs", "precision", "seeds", "top-1 %, one view"],
            *["top-1 %", "views", "top-5 %", "s/epoch", "peak GB", "commits", "flags"],
        ],
        (
            [
                f"`{row['variant']}`",
                *(row[name] for name in ("recipe", "dataset", "epochs", "precision")),
                str(len(rows)),
                _mean(rows, "test_top1_one_view"),
                _mean(rows, "test_top1"),
                row["views"],
                _mean(rows, "test_top5"),
                f"{statistics.median(float(each['seconds_per_epoch']) for each in rows):.0f}",
                _gigabytes(rows),
                ", ".join(dict.fromkeys(each["commit"] for each in rows)),
                f"`{_flags(row['overrides'])}`" if row["overrides"] else "",
            ]
            for rows in _of_the_same_settings(path)
            for row in rows[-1:]
        ),
    )


def _of_the_same_settings(path: pathlib.Path) -> list[list[dict[str, str]]]:
    alike: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for row in read_csv(path):
        same = ("variant", "recipe", "dataset", "epochs", "precision", "views")
        settings = *(row[name] for name in same), *_overrides_but_epochs(row)
        alike.setdefault(settings, []).append(row)
    return list(alike.values())


def _overrides_but_epochs(row: dict[str, str]) -> list[str]:
    """What a run changed in its recipe, but for the epochs, which may be the recipe's by now."""
    return [each for each in row["overrides"].split(" ") if not each.startswith("epochs=")]


def _mean(rows: list[dict[str, str]], name: str) -> str:
    """The mean of a share over seeds in percent, with its deviation if there are several."""
    if not all(row[name] for row in rows):
        return ""
    shares = [100 * float(row[name]) for row in rows]
    mean = f"{statistics.mean(shares):.2f}"
    return mean if len(shares) == 1 else f"{mean} ± {statistics.stdev(shares):.2f}"


def _gigabytes(rows: list[dict[str, str]]) -> str:
    sizes = [int(row["peak_memory_bytes"]) for row in rows if row["peak_memory_bytes"]]
    return f"{max(sizes) / 1e9:.1f}" if sizes else ""


def _flags(overrides: str) -> str:
    """The flags of `train` for what a row's overrides say."""
    words = []
    for each in overrides.split(" "):
        name, value = each.split("=", 1)
        known = {"True": [f"--{name}"], "False": [f"--no-{name}"]}
        words += known.get(value, [f"--{name}", value])
    return shlex.join(words)


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
        [title, *(row[name] or "–" for row in found)]
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
    "probabilities": "largest difference of two probabilities",
}
