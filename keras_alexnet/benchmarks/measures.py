"""Runs the measures of a benchmark for each network and batch size."""

from collections.abc import Callable, Mapping
from typing import Any

from keras_alexnet.benchmarks.catalog import Settings
from keras_alexnet.benchmarks.report import Attempts, Report
from keras_alexnet.benchmarks.timed_run import Workload
from keras_alexnet.distributed import precision_choice

Measure = Callable[[Workload, int], dict[str, Any]]


def report_of(measures: Mapping[str, Measure], settings: Settings) -> Report:
    """Runs the measures that `settings.only` names.

    Args:
        measures: their names → functions of a workload and a number of rounds, which return what
            they found, with a sentence under "in_words".
        settings: what is measured; a precision of "auto" is that of each network.
    """
    words: list[str] = []
    details: dict[str, dict[str, Any]] = {}
    attempts = Attempts()
    for variant in settings.variants:
        chosen = precision_choice.choose(settings.precision, variant).name
        for batch_size in settings.batch_sizes:
            workload = Workload(variant, batch_size, settings.steps, chosen)
            name = f"{variant}, batches of {batch_size}, {chosen}"
            for each in settings.only:
                with attempts.at(f"{name}, {each}"):
                    found = measures[each](workload, settings.rounds)
                    words.append(f"{name}: {found.pop('in_words')}")
                    details.setdefault(name, {})[each] = found
    return Report(words=words, details={"found": details}, failed=attempts.failed())
