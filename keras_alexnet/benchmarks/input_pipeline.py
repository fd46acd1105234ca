"""Benchmark of the input pipeline: images in memory, JPEG photographs, and long lists."""

import functools
import io
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from keras_alexnet.benchmarks import torchvision_loader
from keras_alexnet.benchmarks.catalog import Settings
from keras_alexnet.benchmarks.report import Report
from keras_alexnet.benchmarks.timing import quartiles, take_turns
from keras_alexnet.data.config import DataSpec
from keras_alexnet.data.images import EncodedImages, ImageArray
from keras_alexnet.data.load import load_dataset
from keras_alexnet.data.pipeline import PixelStatistics, train_batches
from keras_alexnet.data.splits import Split
from keras_alexnet.utils import machine

LISTED = (10_000, 100_000, 1_000_000)

_IN_MEMORY = 10_000
_MADE_UP = 32  # photographs
_MEMORY_BATCH, _PHOTOGRAPH_BATCH = 128, 64
# How long a pipeline runs before it is timed, so that its buffers are as full as they stay.
_WARM_UP_SECONDS = 1.0
_STATISTICS = PixelStatistics(np.full(3, 120.0), np.eye(3) * 900 + 3500, 1, True)
_TORCHVISION = "torchvision DataLoader"  # its work is in other processes, whose time is not known
_AUGMENTATIONS: tuple[tuple[str, ...], ...] = (
    *((), ("flip",), ("crop", "flip"), ("crop(reflect)", "flip(alternating)")),
    ("crop", "flip", "cutout(8)"),
    ("crop", "flip", "color_noise(paper)"),
)


class Encoded(EncodedImages):
    """Encoded images in memory, each at many rows, that are decoded for every batch."""

    def __init__(self, images: Sequence[bytes], rows: int):
        super().__init__()
        self._images, self._rows = images, rows
        self._tensor = tf.constant(images)

    def __len__(self) -> int:
        return self._rows

    @property
    def paths(self) -> list[str]:
        return []

    def name(self, row: int) -> str:
        return f"image {row}"

    def contents(self, row: tf.Tensor) -> tf.Tensor:
        return tf.gather(self._tensor, row % len(self._images))

    def size(self, row: int) -> int:
        return len(self.read(row))

    def read(self, row: int) -> bytes:
        return self._images[row % len(self._images)]

    def in_memory(self, *kind: Any) -> None:
        """Returns None: the images stay encoded, as those of a set that is too large."""


def measure(settings: Settings) -> Report:
    """Measures what `settings.only` names, all sides of each in turn."""
    rows: list[dict[str, Any]] = []
    words, details = [], {}
    for name in settings.only:
        sides = MEASURES[name](settings)
        cpu: dict[str, list[float]] = {}
        timed = {
            side: functools.partial(_timed, call, cpu.setdefault(side, []))
            for side, call in sides.items()
        }
        rates = take_turns(timed, settings.rounds, "images/s")
        first = float(np.median(next(iter(rates.values()))))
        for side, found in rates.items():
            spread = quartiles(found)
            rows.append(
                {
                    "what": f"{name}: {side}",
                    "images/s": spread["median"],
                    "from": spread["lower_quartile"],
                    "to": spread["upper_quartile"],
                    "of the first": spread["median"] / first,
                    "CPU ms/image": None if side == _TORCHVISION else _median_ms(cpu[side]),
                }
            )
        cpu.pop(_TORCHVISION, None)
        details[name] = {"images_per_second": rates, "cpu_seconds_an_image": cpu}
    if "torchvision" in settings.peers and _without_torchvision():
        words.append(f"torchvision is absent: {_without_torchvision()}")
    return Report(rows, words, {"found": details})


Side = Callable[[], tuple[int, float, float]]  # → images, seconds, CPU seconds of this process


def _median_ms(seconds: Sequence[float]) -> float:
    return 1000 * float(np.median(seconds))


def _timed(side: Side, cpu: list[float]) -> float:
    images, seconds, processor = side()
    cpu.append(processor / images)
    return images / seconds


def _side(batches: Callable[[], Iterator[Any]], batch_size: int, steps: int) -> Side:
    def run() -> tuple[int, float, float]:
        # Opened anew for each turn: one that stayed open would fill its buffers while another side
        # is timed, and be timed with full buffers itself.
        opened = batches()
        next(opened)
        warm = time.perf_counter() + _WARM_UP_SECONDS
        while time.perf_counter() < warm:
            next(opened)
        start, processor = time.perf_counter(), time.process_time()
        for _ in range(steps):
            next(opened)
        return (
            steps * batch_size,
            time.perf_counter() - start,
            time.process_time() - processor,
        )

    return run


def _ours(split: Split, variant: str, batch_size: int, steps: int, augment: Sequence[str]) -> Side:
    def batches() -> Iterator[Any]:
        return iter(
            train_batches(
                split,
                variant,
                global_batch_size=batch_size,
                seed=0,
                augment=augment,
                statistics=_STATISTICS,
            )
        )

    return _side(batches, batch_size, steps)


def measure_memory(settings: Settings) -> Mapping[str, Side]:
    """Images of CIFAR's size in memory, with each augmentation."""
    split = _random_split(_IN_MEMORY)
    return {
        " ".join(augment) or "nothing": _ours(
            split, "cifar_v2", _MEMORY_BATCH, settings.steps, augment
        )
        for augment in _AUGMENTATIONS
    }


def measure_listed(settings: Settings) -> Mapping[str, Side]:
    """The same images in longer and longer lists."""
    pixels = _random_split(_IN_MEMORY).pixels
    sides = {}
    for listed in LISTED:
        rows = np.arange(listed) % _IN_MEMORY
        split = Split((rows % 10).astype(np.int32), pixels, rows)
        sides[f"{listed:,} listed"] = _ours(
            split, "cifar_v2", _MEMORY_BATCH, settings.steps, ("crop", "flip")
        )
    return sides


def measure_photographs(settings: Settings) -> Mapping[str, Side]:
    """JPEG photographs, cropped and flipped, as two networks want them, and as torchvision does."""
    images = _photographs(settings)
    rows = 20 * _PHOTOGRAPH_BATCH
    split = Split.of(Encoded(images, rows), np.zeros(rows))
    sides: dict[str, Side] = {}
    if "torchvision" in settings.peers and not _without_torchvision():
        sides[_TORCHVISION] = _side(
            lambda: torchvision_loader.batches(
                images, _PHOTOGRAPH_BATCH, len(machine.processors())
            ),
            _PHOTOGRAPH_BATCH,
            settings.steps,
        )
    for variant in ("alexnet", "alexnet_owt"):
        for augment in (("crop", "flip"), ("crop", "flip", "color_noise(paper)")):
            sides[f"{variant}, {' '.join(augment)}"] = _ours(
                split, variant, _PHOTOGRAPH_BATCH, settings.steps, augment
            )
    return sides


MEASURES = {
    "memory": measure_memory,
    "photographs": measure_photographs,
    "listed": measure_listed,
}


def _random_split(images: int) -> Split:
    random = np.random.Generator(np.random.PCG64(0))
    pixels = random.integers(0, 256, (images, 32, 32, 3), np.uint8)
    return Split.of(ImageArray(pixels), np.arange(images) % 10)


def _photographs(settings: Settings) -> list[bytes]:
    """The encoded images of a folder, or made up ones of a photograph's size and detail."""
    if settings.data_dir is not None:
        data = load_dataset(DataSpec("image_folder", data_dir=settings.data_dir))
        encoded = data.train.encoded
        return encoded.read_many(data.train.rows[:1000])
    from PIL import Image

    random, made = np.random.Generator(np.random.PCG64(0)), []
    for _ in range(_MADE_UP):
        rough = Image.fromarray(random.integers(0, 256, (48, 64, 3), np.uint8))
        smooth = np.asarray(rough.resize((500, 375), Image.Resampling.BICUBIC), np.float32)
        noisy = smooth + random.normal(0, 8, smooth.shape)
        file = io.BytesIO()
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
        made.append(file.getvalue())
    return made


def _without_torchvision() -> str | None:
    """Why torchvision cannot be used, or None."""
    try:
        import torchvision.transforms  # noqa: F401
    except (ImportError, RuntimeError, OSError) as error:  # as of versions that do not fit
        logging.info("torchvision cannot be imported: %s", error)
        return str(error).splitlines()[0]
    return None
