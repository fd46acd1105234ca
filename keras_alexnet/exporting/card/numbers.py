"""Accuracies in words and in a table of Markdown."""

from collections.abc import Mapping


def percent(share: float) -> str:
    """Returns a share, 0–1, in percent.

    Example:
        >>> percent(0.8125)
        '81.25 %'
    """
    return f"{100 * share:.2f} %"


def by_views(accuracy: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Returns the lines of a table: views → top1, top5 and loss."""
    rows = [
        f"| {views} | {percent(found['top1'])} | {percent(found['top5'])} | {found['loss']:.4f} |"
        for views, found in accuracy.items()
    ]
    return ["| views | top-1 | top-5 | loss |", "|---|---|---|---|", *rows]
