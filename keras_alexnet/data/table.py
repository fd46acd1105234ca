"""The table of a data set: its classes with their images, and what was left out and why."""

from collections.abc import Mapping, Sequence

import numpy as np
from absl import logging

_MOST_CLASSES = 16
_FIRST, _LAST = 8, 4  # classes that are shown if there are more
_MOST_REASONS = 8
_WIDEST = 40


def table(
    title: str,
    class_names: Sequence[str],
    labels: Mapping[str, np.ndarray],
    left_out: Mapping[str, int],
    notes: Sequence[str] = (),
) -> str:
    """Returns the table as lines.

    Args:
        title: the name of the data.
        class_names: the names of the classes.
        labels: name of a split → int `[n]`, the labels of its images.
        left_out: why files were left out → how many.
        notes: lines that follow.

    Example:
        >>> print(table("pets", ["cat", "dog"], {"train": np.array([0, 0, 1])}, {".txt": 2}))
        pets: 3 images of 2 classes
          class  train
          cat        2
          dog        1
          all        3
          left out: 2 files
              2  .txt
    """
    counts = {
        split: np.bincount(np.asarray(found, np.int64), minlength=len(class_names)).tolist()
        for split, found in labels.items()
    }
    rows = [
        [_shortened(name), *(str(counts[split][label]) for split in counts)]
        for label, name in enumerate(class_names)
    ]
    if len(rows) > _MOST_CLASSES:
        more = [f"... {len(rows) - _FIRST - _LAST} more", *("" for _ in counts)]
        rows = [*rows[:_FIRST], more, *rows[-_LAST:]]
    totals = [sum(each) for each in counts.values()]
    rows = [["class", *counts], *rows, ["all", *map(str, totals)]]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    classes = f"{len(class_names)} class{'' if len(class_names) == 1 else 'es'}"
    lines = [f"{title}: {sum(totals)} images of {classes}"]
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append(f"  {'  '.join(cells)}".rstrip())
    return "\n".join([*lines, *_left_out_lines(left_out), *(f"  {note}" for note in notes)])


def log_table(
    title: str,
    class_names: Sequence[str],
    labels: Mapping[str, np.ndarray],
    left_out: Mapping[str, int],
    notes: Sequence[str] = (),
) -> None:
    """Logs what `table` returns."""
    lines = table(title, class_names, labels, left_out, notes).split("\n")
    # As many values as lines, because the command escapes line breaks in the values of a message.
    logging.info("\n".join(["%s"] * len(lines)), *lines)


def _left_out_lines(left_out: Mapping[str, int]) -> list[str]:
    if not left_out:
        return []
    rows = list(left_out.items())
    if len(rows) > _MOST_REASONS:
        rest = rows[_MOST_REASONS - 1 :]
        rows = [
            *rows[: _MOST_REASONS - 1],
            (f"for {len(rest)} other reasons (see the results)", sum(count for _, count in rest)),
        ]
    width = max(len(str(count)) for _, count in rows)
    total = sum(left_out.values())
    lines = [f"    {count:>{width + 2}}  {reason}" for reason, count in rows]
    return [f"  left out: {total} file{'' if total == 1 else 's'}", *lines]


def _shortened(name: str) -> str:
    return name if len(name) <= _WIDEST else name[: _WIDEST - 3] + "..."
