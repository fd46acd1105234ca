"""Benchmark of memory and seconds as work grows, each point in processes of its own."""

import contextlib
import dataclasses
import json
import pathlib
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from absl import logging

from keras_alexnet.benchmarks import scale_picture, scale_point, side
from keras_alexnet.benchmarks.catalog import Settings
from keras_alexnet.benchmarks.report import Report
from keras_alexnet.benchmarks.scale_lines import AXES, CPU, FIRST, MEMORY, STEP, line_of
from keras_alexnet.benchmarks.scale_point import Point
from keras_alexnet.benchmarks.train import usual_batch_size
from keras_alexnet.benchmarks.two_workers import free_addresses
from keras_alexnet.errors import UserError
from keras_alexnet.networks import variants
from keras_alexnet.utils import files

TABLE = "scale.csv"


def measure(settings: Settings) -> Report:
    """Measures the points of each axis that `settings.only` names, and draws them if asked to."""
    rows: list[dict[str, Any]] = []
    for variant in settings.variants:
        for name in settings.only:
            for value in getattr(settings, name):
                rows.append(_row(variant, name, value, settings))
    words, lines = _in_words(rows)
    if settings.out is not None:
        out = pathlib.Path(settings.out)
        out.mkdir(parents=True, exist_ok=True)
        files.write_csv(out / TABLE, rows)
        for name in settings.only:
            scale_picture.draw(out / f"scale_{name}.png", AXES[name], _of_axis(rows, name))
        words.append(f"The rows and the pictures are in {out}.")
    failed = {
        f"{row['network']}, {AXES[row['axis']].title} {row['value']}": row["note"]
        for row in rows
        if row["note"]
    }
    return Report(rows, words, {"lines": lines}, failed)


def _row(variant: str, axis: str, value: int, settings: Settings) -> dict[str, Any]:
    spec = variants.get(variant)
    usual = {
        "batch_size": usual_batch_size(variant),
        "image_size": spec.input_size,
        "classes": spec.num_classes,
    }
    fields = usual | {AXES[axis].field: value}
    point = Point(variant, settings.steps, settings.precision, **fields)
    found, note = {}, None
    try:
        found = measured(point)
    except UserError as error:  # such as too little memory for the largest batch
        note = str(error)
    logging.info("%s, %s %d: %s", variant, AXES[axis].title, value, note or found)
    memory = found.get("memory_bytes")
    return {
        "network": variant,
        "axis": axis,
        "value": value,
        MEMORY: None if memory is None else memory / 1e6,
        STEP: found.get("seconds_a_step"),
        CPU: found.get("cpu_seconds_a_step"),
        FIRST: found.get("seconds_to_first_step"),
        "note": note,
    }


def measured(point: Point) -> dict[str, Any]:
    """Returns seconds and memory of a point; of several workers, the largest of each.

    Raises:
        UserError: a process failed.
    """
    addresses = free_addresses(point.workers) if point.workers > 1 else []
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as processes:
        given = {"point": dataclasses.asdict(point), "folder": folder}
        workers = [
            processes.enter_context(
                side.started(
                    point.variant,
                    scale_point.SIDE,
                    given,
                    environment=_cluster(addresses, index) if addresses else None,
                )
            )
            for index in range(point.workers)
        ]
        side.wait_for_all(*workers)
    found = [worker.ready for worker in workers]
    return {
        name: max(each[name] for each in found)
        for name in found[0]
        if found[0][name] is not None  # memory on Windows
    }


def _cluster(addresses: Sequence[str], index: int) -> dict[str, str]:
    cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
    return {"TF_CONFIG": json.dumps(cluster)}


def _of_axis(rows: Sequence[Mapping[str, Any]], name: str) -> list[Mapping[str, Any]]:
    return [row for row in rows if row["axis"] == name]


def _in_words(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[dict[str, Any]]]:
    """Returns a sentence for each line, and the lines for JSON."""
    words, lines = [], []
    for network, name in dict.fromkeys((row["network"], row["axis"]) for row in rows):
        axis = AXES[name]
        points = [row for row in _of_axis(rows, name) if row["network"] == network]
        for column in (MEMORY, STEP, CPU):
            line = line_of(points, axis, column)
            if line is None:
                continue
            kind = "a straight line" if line.is_straight else "no straight line"
            words.append(
                f"{network}, {column} over {axis.title}: {kind}, {line.start:.4g} and "
                f"{line.slope:.4g} for each {axis.unit}; points are off it by at most "
                f"{100 * line.deviation:.1f} % of the largest."
            )
            lines.append(
                {"network": network, "axis": name, "of": column, **dataclasses.asdict(line)}
            )
    return words, lines
