"""Images that are read and preprocessed in threads, in order, and gathered in batches."""

import math
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import tensorflow as tf

from keras_alexnet.data import decode
from keras_alexnet.predicting.images import InputImage
from keras_alexnet.predicting.messages import reason
from keras_alexnet.utils import machine

_READ_AHEAD = 16  # number of images that are decoded while a batch is computed


class Item(NamedTuple):
    """One image: its name, and what was made of it or why it could not be read."""

    name: str
    image: Any = None
    error: str | None = None


def preprocessed(
    preprocess: Callable[[bytes], Any], images: Iterator[InputImage]
) -> Generator[Item, None, None]:
    """Reads and preprocesses images in threads, in order, and only a few ahead.

    Args:
        preprocess: what to do with the bytes of each; it may raise a `tf.errors.OpError`.
        images: what to read.
    """
    threads = len(machine.processors())
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Item]] = deque()
        try:
            for image in images:
                waiting.append(pool.submit(_preprocess, preprocess, image))
                if len(waiting) > max(_READ_AHEAD, threads):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def batches(items: Iterable[Item], most: int, most_bytes: float = math.inf) -> Iterator[list[Item]]:
    """Gathers images in batches, those that could not be read included.

    Args:
        items: the images.
        most: the largest number in a batch.
        most_bytes: the largest sum of the `len` of what was made of them; a larger one is alone.
    """
    batch: list[Item] = []
    size = 0
    for item in items:
        weight = len(item.image) if item.error is None else 0
        if batch and (len(batch) == most or size + weight > most_bytes):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += weight
    if batch:
        yield batch


def _preprocess(preprocess: Callable[[bytes], Any], image: InputImage) -> Item:
    try:
        return Item(image.name, preprocess(image.read()))
    except OSError as error:
        return Item(image.name, error=error.strerror or str(error))
    except tf.errors.OpError as error:
        return Item(image.name, error=reason(decode.reason(error)))
