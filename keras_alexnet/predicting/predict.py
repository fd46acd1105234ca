"""The one way from images to predictions, for every place that a network can be at."""

import contextlib
import dataclasses
import math
import numbers
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging

from keras_alexnet.data import decode
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.predicting.images import Source, image_sources
from keras_alexnet.predicting.places import predictor_for
from keras_alexnet.predicting.predictor import Predictor, Refused, TopClasses, read_labels, reason
from keras_alexnet.utils import machine
from keras_alexnet.utils.arguments import whole_number
from keras_alexnet.utils.terminal import Progress

_READ_AHEAD = 16  # images that are read and decoded while a batch is computed


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What a network says of one image.

    Attributes:
        image: its path, or `image <number>`.
        classes: the likeliest classes, likeliest first; empty if there was an error.
        scores: their probabilities, 0–1.
        error: why there is no prediction, or None.

    Example:
        >>> Prediction("cat.jpg", ("cat", "dog"), (0.75, 0.25)).classes[0]
        'cat'
    """

    image: str
    classes: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    error: str | None = None


def predict(
    where: str | os.PathLike,
    images,
    top: int = 5,
    *,
    batch_size: int = 32,
    timeout: float = 60.0,
    variant: str | None = None,
    labels: str | os.PathLike | None = None,
) -> list[Prediction]:
    """Names the likeliest classes of images, by a network wherever it is.

    Every place gives the same classes and scores for the same image, up to rounding. A bar or
    lines of progress are shown where the number of images is known.

    Args:
        where: a run's folder, a `.keras` file, a SavedModel's folder (of a version, or of the
            versions, of which the newest is taken), a `.tflite` file, or the address of a
            TensorFlow Serving: `http://host:8501/v1/models/NAME[/versions/N]` or
            `grpc://host:8500/NAME[/versions/N]`, or with `/labels/L` for `/versions/N`.
        images: the path of an image or of a folder of images, which is searched with all below
            it; encoded JPEG, PNG, BMP or GIF bytes; uint8 pixels `[H, W, 3]` or `[N, H, W, 3]`,
            0–255; or an iterable of these. Of any size and color. They are read batch by batch.
        top: how many classes to name; all, if the network has fewer.
        batch_size: images in one step or request at most.
        timeout: seconds that a server may take for one request.
        variant: the network, for a `.keras` or `.tflite` file that does not tell it.
        labels: a text file with the name of a class a line, in place of the network's own. A
            server names five classes by itself, and more of them only with this.

    Returns:
        A `Prediction` for each image, in order; one that cannot be read or decoded has `error`.

    Raises:
        UsageError: for an argument that cannot be used, such as more classes than a server names.
        UserError: if there is no network at `where`, or its server does not answer.

    Example:
        >>> from keras_alexnet import build, runs
        >>> runs.save("run", build("cifar_v2", num_classes=3, seed=0), ["cat", "dog", "owl"])
        >>> [found] = predict("run", np.zeros([40, 50, 3], np.uint8), top=2)
        >>> found.image, len(found.classes), found.error
        ('image 0', 2, None)
    """
    options = {"batch_size": batch_size, "timeout": timeout, "variant": variant, "labels": labels}
    return list(predictions(where, images, top, **options))


def predictions(
    where: str | os.PathLike,
    images,
    top: int = 5,
    *,
    batch_size: int = 32,
    timeout: float = 60.0,
    variant: str | None = None,
    labels: str | os.PathLike | None = None,
) -> Iterator[Prediction]:
    """As `predict`, but gives the predictions one after another, while the next are computed.

    Args:
        where, images, top, batch_size, timeout, variant, labels: as in `predict`.

    Returns:
        An iterator of `Prediction`.

    Raises:
        UsageError, UserError: as `predict`; at once for what is wrong with the arguments, later
            for a server that stops.

    Example:
        >>> for found in predictions("runs/mine", "photos", top=1):  # doctest: +SKIP
        ...     print(found.image, found.error or found.classes[0])
    """
    top, batch_size = whole_number("top", top, 1), whole_number("batch_size", batch_size, 1)
    if not isinstance(timeout, numbers.Real) or not 0 < timeout < math.inf:
        raise UsageError(f"timeout must be a number of seconds above 0. Received: {timeout!r}.")
    sources = image_sources(images)
    predictor = predictor_for(
        where,
        top=top,
        timeout=timeout,
        variant=variant,
        labels=None if labels is None else read_labels(labels),
    )
    return _predicted(predictor, sources, batch_size)


def _shortest(score: float) -> float:
    """The number of the fewest digits that is the same in float32."""
    return float(str(np.float32(score)))


class _Item(NamedTuple):
    name: str
    prepared: object = None
    error: str | None = None


def _predicted(predictor: Predictor, sources, batch_size: int) -> Iterator[Prediction]:
    done = 0
    try:
        with contextlib.closing(_one_by_one(predictor, sources, batch_size)) as found:
            for prediction in found:
                done += 1
                yield prediction
    except UserError as error:
        if not done:
            raise
        total = f" of {len(sources)}" if isinstance(sources, list) else ""
        raise type(error)(f"{error} {done}{total} images were done.") from error


def _one_by_one(predictor: Predictor, sources, batch_size: int) -> Iterator[Prediction]:
    with contextlib.ExitStack() as stack:
        stack.callback(predictor.close)
        advance = lambda images: None  # noqa: E731
        if isinstance(sources, list):
            advance = stack.enter_context(Progress(len(sources), "predicting")).advance
        items = stack.enter_context(contextlib.closing(_prepared(predictor, iter(sources))))
        for batch in _batches(items, batch_size, predictor.request_bytes):
            good = [item.prepared for item in batch if item.error is None]
            found = iter(_classified(predictor, good) if good else [])
            for item in batch:
                top = next(found) if item.error is None else item.error
                if isinstance(top, str):
                    yield Prediction(item.name, error=top)
                else:
                    yield Prediction(item.name, top.classes, tuple(map(_shortest, top.scores)))
            advance(len(batch))


def _prepared(predictor: Predictor, sources: Iterator[Source]) -> Iterator[_Item]:
    """Reads and prepares the images in threads, in order, and never more than a few ahead."""
    threads = len(machine.processors())
    with ThreadPoolExecutor(threads) as pool:
        waiting = deque()
        try:
            for source in sources:
                waiting.append(pool.submit(_prepare, predictor, source))
                if len(waiting) > max(_READ_AHEAD, threads):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _prepare(predictor: Predictor, source: Source) -> _Item:
    try:
        return _Item(source.name, predictor.prepare(source.read()))
    except OSError as error:
        return _Item(source.name, error=error.strerror or str(error))
    except tf.errors.OpError as error:
        return _Item(source.name, error=reason(decode.reason(error)))


def _batches(items: Iterable[_Item], most: int, most_bytes: float) -> Iterator[list[_Item]]:
    batch, size = [], 0
    for item in items:
        weight = len(item.prepared) if item.error is None else 0
        if batch and (len(batch) == most or size + weight > most_bytes):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += weight
    if batch:
        yield batch


def _classified(predictor: Predictor, prepared: list) -> list[TopClasses | str]:
    """Asks for all at once and, should that be refused, for each alone, to find the bad ones."""
    try:
        found = predictor.classify(prepared)
    except Refused as error:
        refused = str(error)
    else:
        _check_finite(found)
        return found
    if len(prepared) == 1:
        return [refused]
    text = "A request with %d images was refused (%s). Such images are sent one at a time."
    logging.log_first_n(logging.WARNING, text, 1, len(prepared), refused)
    return [each for one in prepared for each in _classified(predictor, [one])]


def _check_finite(found: list[TopClasses]) -> None:
    if not all(np.all(np.isfinite(top.scores)) for top in found):
        raise UserError("The network's outputs are not finite: its weights hold NaN or inf.")
