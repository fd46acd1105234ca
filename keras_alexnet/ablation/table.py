"""The table of a study: mean errors, differences to the whole network, and the paper's."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from keras_alexnet.ablation.paper import CLAIMS, TEN_VIEWS, Claim
from keras_alexnet.ablation.runs import MANY_VIEWS
from keras_alexnet.ablation.versions import WHOLE, Version

ONE_VIEW = f"one view in place of {MANY_VIEWS}"

_MANY = f"_{MANY_VIEWS}_views"
_MEASURES = ("top1", "top5", f"top1{_MANY}", f"top5{_MANY}")

Outcome = Mapping[str, Any]


def rows_of(versions: Sequence[Version], outcomes: Mapping[str, Sequence[Outcome]]) -> list[dict]:
    """Returns the rows of the table: all versions that have an outcome, and one for the views.

    Errors are means over the seeds, in percent, with their standard deviations. Differences are
    those to the whole network, in points: means over the seeds that both have, with their standard
    errors. None is in the place of what cannot be computed, such as a deviation of one seed.

    Args:
        versions: the versions.
        outcomes: name of a version → what `Run.outcome` returned for its runs, one for each seed.
    """
    whole = {each["seed"]: each for each in outcomes.get(WHOLE, ())}
    rows = [
        _row(version.name, outcomes[version.name], whole, version.claim)
        for version in versions
        if outcomes.get(version.name)
    ]
    if whole:
        # The same runs with fewer views, compared with what they reach with more.
        fewer = [_with_one_view(each) for each in whole.values()]
        row = _row(ONE_VIEW, fewer, whole, CLAIMS[TEN_VIEWS], of=lambda name: f"{name}{_MANY}")
        rows.append(row)
    return rows


def markdown(rows: Sequence[Mapping[str, Any]], training_error: float) -> str:
    """Returns the table as Markdown, with a note on what its numbers are."""
    several_rates = len({row["learning_rate"] for row in rows}) > 1
    titles = [
        "version",
        "seeds",
        *(["rate"] if several_rates else []),
        "top-1 error %, one view",
        "difference",
        f"{MANY_VIEWS} views",
        "difference",
        "the paper's difference",
        f"epochs to {training_error:g} % training error",
    ]
    lines = [titles, ["---"] * len(titles)]
    for row in rows:
        rate = "" if row["learning_rate"] is None else f"{row['learning_rate']:g}"
        claim = f"{row['paper']} ({row['paper_section']})" if row["paper"] else ""
        lines.append(
            [
                row["version"],
                str(row["seeds"]),
                *([rate] if several_rates else []),
                _shown(row, "top1_error"),
                _shown(row, "top1_difference", "+.2f"),
                _shown(row, f"top1{_MANY}_error"),
                _shown(row, f"top1{_MANY}_difference", "+.2f"),
                claim,
                _epochs(row),
            ]
        )
    note = (
        "Errors are means over the seeds ± their standard deviation. Differences are in points of "
        "error to the whole network (positive is worse), means over pairs of runs with the same "
        "seed ± their standard error. A training error is the mean over an epoch, with the "
        "augmentation and dropout of the run."
    )
    at_chance = [
        f"{row['version']} ({row['seeds_at_chance']} of {row['seeds']} seeds)"
        for row in rows
        if row["seeds_at_chance"] and row["version"] != ONE_VIEW
    ]
    if at_chance:
        note += f" The loss stayed at chance for long, or to the end, in: {', '.join(at_chance)}."
    return "\n".join([*(f"| {' | '.join(line)} |" for line in lines), "", note, ""])


def _row(
    name: str,
    found: Sequence[Outcome],
    whole: Mapping[int, Outcome],
    claim: Claim | None,
    of: Callable[[str], str] = lambda name: name,
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "version": name,
        "seeds": len(found),
        "learning_rate": found[0]["learning_rate"],
    }
    for measure in _MEASURES:
        errors = {each["seed"]: _error(each.get(measure)) for each in found}
        base = {seed: _error(each.get(of(measure))) for seed, each in whole.items()}
        pairs = [
            error - base[seed]
            for seed, error in errors.items()
            if name != WHOLE and not math.isnan(error - base.get(seed, math.nan))
        ]
        real = [error for error in errors.values() if not math.isnan(error)]
        row[f"{measure}_error"] = _mean(real)
        row[f"{measure}_error_deviation"] = _deviation(real)
        row[f"{measure}_difference"] = _mean(pairs)
        deviation = _deviation(pairs)
        row[f"{measure}_difference_error"] = (
            None if deviation is None else deviation / math.sqrt(len(pairs))
        )
    reached = [each["epochs_to_training_error"] for each in found]
    known = [epochs for epochs in reached if epochs is not None]
    row |= {
        "paper": claim.words if claim else None,
        "paper_section": claim.section if claim else None,
        "epochs_to_training_error": _mean(known),
        "epochs_to_training_error_deviation": _deviation(known),
        "seeds_that_reached_it": len(known),
        "seeds_at_chance": sum(each["at_chance"] for each in found),
        "epochs": max(each["epochs"] for each in found),
        "seconds": _mean([each["seconds"] for each in found]),
    }
    return row


def _with_one_view(outcome: Outcome) -> Outcome:
    return {name: value for name, value in outcome.items() if not name.endswith(_MANY)}


def _error(share: float | None) -> float:
    return math.nan if share is None else 100 * (1 - share)


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None


def _deviation(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None


def _shown(row: Mapping[str, Any], name: str, form: str = ".2f") -> str:
    value, deviation = row[name], row[f"{name}_{'error' if 'difference' in name else 'deviation'}"]
    if value is None:
        return ""
    return format(value, form) + ("" if deviation is None else f" ± {deviation:.2f}")


def _epochs(row: Mapping[str, Any]) -> str:
    if row["version"] == ONE_VIEW:
        return ""
    if not row["seeds_that_reached_it"]:
        return f"not in {row['epochs']}"
    shown = f"{row['epochs_to_training_error']:.1f}"
    if (deviation := row["epochs_to_training_error_deviation"]) is not None:
        shown += f" ± {deviation:.1f}"
    if row["seeds_that_reached_it"] < row["seeds"]:
        shown += f" ({row['seeds_that_reached_it']} of {row['seeds']} seeds)"
    return shown
