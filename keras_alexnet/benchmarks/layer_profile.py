"""Where the time of a training step goes: forward and backward pass of each layer, and the rest.

Whole training is traced by TensorFlow's profiler, whose operations have the names of their layers.
Where operations run at the same time, they share it, so that the rows add up to the step.
"""

import dataclasses
import pathlib
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_alexnet.benchmarks import machine_report, random_data
from keras_alexnet.benchmarks.catalog import Settings
from keras_alexnet.benchmarks.report import Attempts, Report
from keras_alexnet.benchmarks.timed_run import Clock, Workload
from keras_alexnet.benchmarks.timing import WARM_UP_STEPS
from keras_alexnet.distributed import precision_choice
from keras_alexnet.errors import UsageError
from keras_alexnet.networks import variants
from keras_alexnet.networks.summary import LayerSummary, layer_table
from keras_alexnet.training.step import UPDATE_SCOPE
from keras_alexnet.utils import tensorflow_private

_BACKWARD = "gradient_tape"  # the scope in which TensorFlow puts gradients
_UPDATE, _REST, _HOST = "optimizer update", "loss and metrics", "host, between operations"


@dataclasses.dataclass(frozen=True)
class Part:
    """A part of the step: a layer's forward or backward pass, or one of the other rows."""

    row: str
    backward: bool = False


@dataclasses.dataclass(frozen=True)
class Interval:
    """An operation of the step, with its begin and end in seconds."""

    begin: float
    end: float
    part: Part


def measure(settings: Settings) -> Report:
    """Profiles whole training of each network.

    Raises:
        UsageError: there is a GPU, whose operations the trace lists differently.
    """
    if tf.config.list_physical_devices("GPU"):
        raise UsageError(
            "benchmark profile reads the operations of a processor, but this machine has a GPU."
            " Hide it with CUDA_VISIBLE_DEVICES=-1."
        )
    rows: list[dict[str, Any]] = []
    words: list[str] = []
    peaks: dict[str, float] = {}
    attempts = Attempts()
    for variant in settings.variants:
        precision = precision_choice.choose(settings.precision, variant).name
        dtype = "bfloat16" if "bfloat16" in precision else "float32"
        if dtype not in peaks:
            peaks[dtype] = machine_report.peak_of_products(dtype)
            words.append(
                f"A matrix product in {dtype} reaches {peaks[dtype] / 1e9:.0f} billion MACs a "
                "second."
            )
        for batch_size in settings.batch_sizes:
            name = f"{variant}, batches of {batch_size}"
            with attempts.at(name):
                workload = Workload(variant, batch_size, settings.steps, precision)
                found = _profile(workload, peaks[dtype])
                rows += found
                step, arithmetic = found[-1]["ms"], found[-1]["ms at peak"]
                words.append(
                    f"{name}, {precision}: {step:.1f} ms a step, "
                    f"{batch_size / step * 1e3:,.0f} images a second, "
                    f"{100 * arithmetic / step:.0f} % of the peak."
                )
    return Report(rows, words, {"peak_macs_per_second": peaks}, attempts.failed())


def _profile(workload: Workload, peak: float) -> list[dict[str, Any]]:
    layers = layer_table(workload.variant, workload.batch_size).layers
    tracer, spec = _Tracer(workload.steps), variants.get(workload.variant)
    images = workload.batch_size * (tracer.last + 1)  # in one epoch, at whose end nothing is saved
    # As many classes as the table of layers has, or the logits would do less than is counted.
    with random_data.registered(images, spec.image_plan.square_size, spec.num_classes):
        workload.train(clock=tracer, dataset=random_data.NAME)
    names = [layer.name for layer in layers]
    times = shared_times(tracer.intervals(workload.variant, names))
    a_step = {part: seconds / workload.steps for part, seconds in times.items()}
    rows = table(layers, workload.batch_size, a_step, tracer.seconds_a_step(), peak)
    return [{"network": workload.variant, "precision": workload.precision, **row} for row in rows]


class _Tracer(Clock):
    """Traces the timed steps of a run."""

    def __init__(self, steps: int):
        super().__init__(steps)
        self._events: list[tuple[str, float, float]] = []
        self._folder = tempfile.TemporaryDirectory()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        super().on_train_batch_end(batch, logs)
        if len(self.ends) == WARM_UP_STEPS:
            tf.profiler.experimental.start(self._folder.name)
            self.ends[-1] = time.perf_counter()  # starting takes seconds
        elif len(self.ends) == self.last:
            tf.profiler.experimental.stop()
            with self._folder as folder:
                self._events = list(_operations(pathlib.Path(folder)))

    def intervals(self, model: str, layers: Sequence[str]) -> list[Interval]:
        """Returns the operations of the timed steps."""
        return [
            Interval(begin, end, part_of(name, model, layers)) for name, begin, end in self._events
        ]


def _operations(folder: pathlib.Path) -> Iterator[tuple[str, float, float]]:
    """Yields name, begin and end of the operations in a trace, without those of pipelines."""
    for path in folder.rglob("*.xplane.pb"):
        space = tensorflow_private.profiler_messages().XSpace.FromString(path.read_bytes())
        for plane in space.planes:
            for line in plane.lines:
                if not line.name.startswith("tf_Compute"):
                    continue
                for event in line.events:
                    # As "conv1/Relu:_FusedConv2D"; the executor's own events have no name.
                    name, _, kind = plane.event_metadata[event.metadata_id].name.rpartition(":")
                    if name and kind and kind != "Process":
                        begin = line.timestamp_ns * 1e-9 + event.offset_ps * 1e-12
                        yield name, begin, begin + event.duration_ps * 1e-12


def part_of(name: str, model: str, layers: Sequence[str]) -> Part:
    """Returns the part of the step that an operation belongs to.

    Args:
        name: of the operation, as "gradient_tape/cifar_v2_1/conv1_1/convolution/Conv2DBackprop".
        model: name of the network.
        layers: names of its layers.

    Example:
        >>> part_of("gradient_tape/cifar_v2_1/conv1_1/ReluGrad", "cifar_v2", ["conv1"])
        Part(row='conv1', backward=True)
    """
    scopes = name.split("/")
    for outer, inner in zip(scopes, scopes[1:], strict=False):
        if _without_number(outer) == model:
            for layer in (inner, _without_number(inner)):
                if layer in layers:
                    return Part(layer, _BACKWARD in scopes)
    is_update = any(_without_number(scope) == UPDATE_SCOPE for scope in scopes)
    return Part(_UPDATE if is_update else _REST)


def _without_number(scope: str) -> str:
    """Returns the scope that TensorFlow made unique with a number, as "conv1" from "conv1_1"."""
    before, _, number = scope.rpartition("_")
    return before if number.isdigit() else scope


def shared_times(intervals: Iterable[Interval]) -> dict[Part, float]:
    """Returns the seconds of each part, where parts that run at the same time share it equally.

    Example:
        >>> first, second = Part("conv1"), Part("conv1", backward=True)
        >>> shared_times([Interval(0, 2, first), Interval(1, 3, second)])
        {Part(row='conv1', backward=False): 1.5, Part(row='conv1', backward=True): 1.5}
    """
    changes = sorted(
        [(each.begin, 1, each.part) for each in intervals]
        + [(each.end, -1, each.part) for each in intervals],
        key=lambda change: change[0],
    )
    times: dict[Part, float] = {}
    running: dict[Part, int] = {}
    before = 0.0
    for moment, change, part in changes:
        count = sum(running.values())
        for other, number in running.items() if count else ():
            times[other] = times.get(other, 0.0) + (moment - before) * number / count
        running[part] = running.get(part, 0) + change
        if not running[part]:
            del running[part]
        before = moment
    return times


def table(
    layers: Sequence[LayerSummary],
    batch_size: int,
    a_step: Mapping[Part, float],
    whole: float,
    peak: float,
) -> list[dict[str, Any]]:
    """Returns a row for each layer, for the rest, and for the whole step as the last.

    Args:
        layers: the layers, in order.
        batch_size: images in a step.
        a_step: seconds of a step in each part.
        whole: seconds of a step.
        peak: multiply-accumulates a second of a matrix product.
    """
    rows: list[dict[str, Any]] = []
    has_weights_before = False
    for layer in layers:
        forward, backward = (a_step.get(Part(layer.name, back), 0.0) for back in (False, True))
        # Of weights and of inputs, but pixels need no gradient.
        products = layer.macs * (3 if has_weights_before else 2)
        has_weights_before = has_weights_before or layer.macs > 0
        passes = {"forward ms": forward * 1e3, "backward ms": backward * 1e3}
        rows.append(
            _row(layer.name, passes, forward + backward, whole, products * batch_size / peak)
        )
    macs_at_peak = sum(row["ms at peak"] or 0.0 for row in rows) / 1e3
    others = {name: a_step.get(Part(name), 0.0) for name in (_UPDATE, _REST)}
    others[_HOST] = max(0.0, whole - sum(a_step.values()))
    rows += [_row(name, {}, seconds, whole, 0.0) for name, seconds in others.items()]
    return [*rows, _row("whole step", {}, whole, whole, macs_at_peak)]


def _row(
    name: str, passes: dict[str, float], seconds: float, whole: float, at_peak: float
) -> dict[str, Any]:
    return {
        "layer": name,
        **{column: passes.get(column) for column in ("forward ms", "backward ms")},
        "ms": seconds * 1e3,
        "% of the step": float(np.round(100 * seconds / whole, 1)),
        "ms at peak": at_peak * 1e3 if at_peak else None,
        "% of the peak": float(np.round(100 * at_peak / seconds)) if at_peak and seconds else None,
    }
