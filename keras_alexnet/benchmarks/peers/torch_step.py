"""PyTorch's training step on a batch in memory as one side of a comparison, at its best."""

import functools
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from keras_alexnet.benchmarks.peers import torch_networks
from keras_alexnet.benchmarks.side import Turns
from keras_alexnet.errors import UserError, first_line
from keras_alexnet.networks import variants
from keras_alexnet.utils import machine

if TYPE_CHECKING:
    import torch

SIDE = f"{__name__}:serve"

_TRIED_STEPS, _TRIED_SECONDS = 3, 1.0  # at least, of each way, after as many steps to warm up

Step = Callable[[], Any]


def serve(turns: Turns, *, variant: str, batch_size: int, steps: int) -> None:
    """Trains so many steps each turn, in the fastest way that was found before.

    Network, loss, gradients and momentum, on one batch that is standardized already. The first
    answer says which way is the "best", "tried" has the images a second of all, and "failed" why
    others could not be tried.
    """
    import torch

    torch.set_num_threads(len(machine.processors()))
    tried: dict[str, float] = {}
    failed: dict[str, str] = {}
    steps_of: dict[str, Step] = {}
    for name, make in _ways(variant, batch_size, tried):
        try:
            step = make()
            tried[name] = batch_size / _seconds_a_step(step)
        except Exception as error:  # a compiler that lacks Python's headers, for example
            failed[name] = first_line(error)
            continue
        if tried[name] == max(tried.values()):
            steps_of = {name: step}  # frees the others
    if not steps_of:
        raise UserError("; ".join(f"{name}: {why}" for name, why in failed.items()))
    [(best, fastest)] = steps_of.items()
    turns.answer(
        {
            "best": best,
            "tried": tried,
            "failed": failed,
            "device": "gpu" if device() == "cuda" else "cpu",
            "torch": torch.__version__,
        }
    )
    while turns.wait():
        for _ in range(steps):
            fastest()
        _wait_for_device()
        turns.answer(turns.seconds())


def _ways(
    variant: str, batch_size: int, tried: Mapping[str, float]
) -> Iterator[tuple[str, Callable[[], Step]]]:
    """Yields ways to train; the last one depends on how fast the ones before were."""
    import torch

    layouts = {"channels first": torch.contiguous_format, "channels last": torch.channels_last}
    ways = {
        f"{precision}, {layout}": (precision == "bfloat16", layouts[layout])
        for precision in ("float32", *(["bfloat16"] if has_bfloat16() else []))
        for layout in layouts
    }
    for name, way in ways.items():
        yield name, functools.partial(_step, variant, batch_size, *way)
    if tried and (shutil.which("g++") or shutil.which("clang++")):
        fastest = max(tried, key=lambda name: tried[name])
        compiled = functools.partial(_step, variant, batch_size, *ways[fastest], compiled=True)
        yield f"{fastest}, compiled", compiled


def _step(
    variant: str,
    batch_size: int,
    bfloat16: bool,
    layout: "torch.memory_format",
    compiled: bool = False,
) -> Step:
    import torch

    spec, where = variants.get(variant), device()
    network: Any = torch_networks.build(spec, standardize=False)
    network = network.to(where, memory_format=layout)
    images = torch.randn((batch_size, 3, spec.input_size, spec.input_size))
    images = images.to(where, memory_format=layout)
    labels = (torch.arange(batch_size) % spec.num_classes).to(where)
    # A low rate, so that one batch is not learned by heart: gradients near 0 are slow.
    optimizer = torch.optim.SGD(
        network.parameters(), lr=1e-6, momentum=0.9, weight_decay=5e-4, fused=True
    )
    loss_of = torch.nn.CrossEntropyLoss()
    if compiled:
        network = torch.compile(network)

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(where, torch.bfloat16, enabled=bfloat16):
            logits = network(images)
        loss_of(logits.float(), labels).backward()
        optimizer.step()

    return step


def _seconds_a_step(step: Step) -> float:
    for _ in range(_TRIED_STEPS):
        step()
    _wait_for_device()
    started, steps = time.perf_counter(), 0
    while steps < _TRIED_STEPS or time.perf_counter() - started < _TRIED_SECONDS:
        step()
        steps += 1
    _wait_for_device()
    return (time.perf_counter() - started) / steps


def device() -> str:
    """Returns the device that PyTorch trains on."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def has_bfloat16() -> bool:
    """Returns whether that device computes in bfloat16."""
    import torch

    if device() == "cuda":
        return torch.cuda.is_bf16_supported()
    return bool(machine.has_bfloat16())


def _wait_for_device() -> None:
    import torch

    if device() == "cuda":
        torch.cuda.synchronize()
