"""Predictions for images, from networks in files and on servers."""

import contextlib
import dataclasses
import os
import re
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from absl import logging

from keras_alexnet import run_folder
from keras_alexnet.data.config import MAX_IMAGE_PIXELS
from keras_alexnet.distributed.precision_choice import AUTO
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.predicting import addresses
from keras_alexnet.predicting.images import InputImage, input_images
from keras_alexnet.predicting.local import LocalPredictor, SavedModelPredictor
from keras_alexnet.predicting.predictor import Predictor, Refused, TopClasses
from keras_alexnet.predicting.preprocessing import batches, preprocessed
from keras_alexnet.trained import TrainedNetwork, check_finite, exported_precision
from keras_alexnet.utils import limits
from keras_alexnet.utils.reporting import reported
from keras_alexnet.utils.terminal import Progress
from keras_alexnet.utils.values import one_of, path_text
from keras_alexnet.weights import named

PLACES = (
    "a run's folder, a .keras file, a SavedModel folder, a .tflite file, an .onnx file, "
    "http://host:8501/v1/models/NAME[/versions/N] or grpc://host:8500/NAME[/versions/N]"
)

URL = r"(?!hf:)([A-Za-z][A-Za-z0-9+.-]*)://"  # a model on the Hugging Face Hub is no server


@dataclasses.dataclass(frozen=True)
class Prediction:
    """The likeliest classes of one image.

    Attributes:
        image: the path of the image, or `image <number>`.
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


@reported
def predict(
    model: str | os.PathLike | keras.Model | TrainedNetwork,
    images: Any,
    top: int = 5,
    *,
    batch_size: int = 32,
    precision: str = AUTO,
    timeout: float = 60.0,
    variant: str | None = None,
    labels: str | os.PathLike | None = None,
    max_image_pixels: int = MAX_IMAGE_PIXELS,
    verbose: int = 1,
) -> list[Prediction]:
    """Names the likeliest classes of images, with a network in a file or on a server.

    All kinds of models give the same classes and scores for the same image, up to rounding.
    Progress is shown if the number of images is known.

    Args:
        model: a run's folder, a `.keras` file, a SavedModel's folder (of one version, or of the
            versions, of which the newest is used), a `.tflite` or `.onnx` file, the name of weights
            or of their network, such as "imagenet" or "cifar_v2", or the address of a TensorFlow
            Serving server: `http://host:8501/v1/models/NAME[/versions/N]` or
            `grpc://host:8500/NAME[/versions/N]`, or with `/labels/L` for `/versions/N`; or what
            `load` returned, or a model that `build` made.
        images: the path of an image, or of a folder that is searched with all folders below it;
            encoded bytes; pixels 0–255, `[H, W, 3]` or `[N, H, W, 3]`, of which floats are
            rounded; or an iterable of these. Images may have any size and color, and are read batch
            by batch.
        top: how many classes to name, at most 100,000; all if the network has fewer.
        batch_size: the largest number of images in one step or request, at most 65,536.
        precision: "auto", "float32", "mixed_bfloat16" or "mixed_float16"; only "auto" for exported
            files and servers, which compute as they were exported.
        timeout: seconds that a server may take for one request, at most a million.
        variant: the network, for a file that does not say which it is. For a server: images are
            decoded here, and sent as the pixels that this network takes; without it, the server
            decodes them.
        labels: a text file with one class per line, in place of the network's own names. A server
            names five classes itself, and more only with this file.
        max_image_pixels: the largest image that is decoded here. Servers and SavedModels decode
            JPEG and PNG themselves, up to the default.
        verbose: 0 shows only warnings, 1 also lines and progress bars, 2 lines but no bars.

    Returns:
        A `Prediction` for each image, in order; if an image cannot be read, it has an `error`.

    Raises:
        UsageError: if an argument cannot be used, such as more classes than a server names, or
            pixels in 0–1.
        UserError: if there is no such model, or its server does not answer.

    Example:
        >>> from keras_alexnet import build, run_folder
        >>> run_folder.save("run", build("cifar_v2", num_classes=3, seed=0), ["cat", "dog", "owl"])
        >>> [found] = predict("run", np.zeros([40, 50, 3], np.uint8), top=2)
        >>> found.image, len(found.classes), found.error
        ('image 0', 2, None)
    """
    options: dict[str, Any] = {"timeout": timeout, "variant": variant, "labels": labels}
    options |= {"max_image_pixels": max_image_pixels, "precision": precision}
    return list(predictions(model, images, top, batch_size=batch_size, **options))


def predictions(
    model: str | os.PathLike | keras.Model | TrainedNetwork,
    images: Any,
    top: int = 5,
    *,
    batch_size: int = 32,
    max_image_pixels: int = MAX_IMAGE_PIXELS,
    done: Sequence[Prediction] = (),
    **options: Any,
) -> Iterator[Prediction]:
    """Like `predict`, but yields the predictions one by one while the next are computed.

    Args:
        model, images, top, batch_size, max_image_pixels: as in `predict`.
        done: predictions of some of the images, which are yielded in their place as they are.
        options: precision, timeout, variant and labels, as in `predict`.

    Raises:
        UsageError, UserError: as `predict`; at once for invalid arguments, and later for a server
            that stops.

    Example:
        >>> for found in predictions("runs/mine", "photos", top=1):  # doctest: +SKIP
        ...     print(found.image, found.error or found.classes[0])
    """
    batch_size = one_of("batch_size", batch_size, int, limits.BATCH)
    most = one_of("max_image_pixels", max_image_pixels, int, limits.PIXELS)
    inputs = input_images(images)
    predictor = open_predictor(model, top, **options)
    predictor.max_image_pixels = most
    if not done:
        return _predicted(predictor, inputs, batch_size)
    return _completed(predictor, list(inputs), batch_size, done)


def open_predictor(
    model: str | os.PathLike | keras.Model | TrainedNetwork,
    top: int = 5,
    *,
    precision: str = AUTO,
    timeout: float = 60.0,
    variant: str | None = None,
    labels: str | os.PathLike | None = None,
) -> Predictor:
    """Loads a network, or connects to its server; arguments and errors are those of `predict`."""
    top = one_of("top", top, int, limits.TOP)
    timeout = one_of("timeout", timeout, float, limits.TIMEOUT)
    names = None if labels is None else run_folder.read_labels(labels)
    if isinstance(model, TrainedNetwork):
        if variant is not None or names is not None:
            raise UsageError(
                "variant and labels are for files that do not have them. Give them to "
                "keras_alexnet.load, which returned this network."
            )
        return _local(model.in_precision(precision), top)
    if isinstance(model, keras.Model):
        network = TrainedNetwork.of_model(model, variant, names)
        return _local(network.in_precision(precision), top)
    if not isinstance(model, (str, os.PathLike)):
        raise UsageError(f"A model is {PLACES}. Received: {type(model).__name__}.")
    text = path_text("model", model)
    if scheme := re.match(URL, text):
        _refuse_precision(precision, addresses.shown(text))
        return _connect(scheme[1].lower(), text, variant, (top, names, timeout))
    kind, path = named.locate(text, PLACES, variant)
    if kind == run_folder.SAVED_MODEL:
        _refuse_variant(variant, model)
        _refuse_precision(precision, model)
        return SavedModelPredictor(path, top, names)
    return _local(TrainedNetwork.load(path, variant, names).in_precision(precision), top)


def _local(network: TrainedNetwork, top: int) -> Predictor:
    return LocalPredictor(network.probabilities, network.plan, network.labels, top)


def _connect(scheme: str, url: str, variant: str | None, options: tuple) -> Predictor:
    """Connects to a server; with a variant, to one that takes pixels."""
    if scheme in ("http", "https"):
        from keras_alexnet.predicting import rest

        if variant is None:
            return rest.RestPredictor(url, *options)
        return rest.RestPixelPredictor(variant, url, *options)
    if scheme == "grpc":
        # It needs an optional package.
        from keras_alexnet.predicting.grpc_client import GrpcPixelPredictor, GrpcPredictor

        if variant is None:
            return GrpcPredictor(url, *options)
        return GrpcPixelPredictor(variant, url, *options)
    raise UsageError(f"A model is {PLACES}. Received: {addresses.shown(url)}.")


def _refuse_precision(precision: str, model: object) -> None:
    if precision != AUTO:
        raise UsageError(exported_precision(model, precision))


def _refuse_variant(variant: str | None, model: object) -> None:
    if variant is not None:
        raise UsageError(
            "--variant (variant=) determines how images become inputs of a .keras, .tflite or "
            f".onnx file, but the network at {model} decodes images itself. Leave it out. "
            f"Received: {variant!r}."
        )


def _predicted(
    predictor: Predictor, images: list[InputImage] | Iterator[InputImage], batch_size: int
) -> Generator[Prediction, None, None]:
    done = 0
    try:
        with contextlib.closing(_one_by_one(predictor, images, batch_size)) as found:
            for prediction in found:
                done += 1
                yield prediction
    except UserError as error:
        if not done:
            raise
        total = f" of {len(images)}" if isinstance(images, list) else ""
        raise type(error)(f"{error} {done}{total} images were done.") from error


def _completed(
    predictor: Predictor, images: list[InputImage], batch_size: int, done: Sequence[Prediction]
) -> Iterator[Prediction]:
    """Yields the predictions of all images, in order, of which some are done."""
    known: dict[str, deque[Prediction]] = {}
    for each in done:
        known.setdefault(each.image, deque()).append(each)
    given = [known[image.name].popleft() if known.get(image.name) else None for image in images]
    left = [image for image, each in zip(images, given, strict=True) if each is None]
    with contextlib.closing(_predicted(predictor, left, batch_size)) as found:
        for known_one in given:
            yield next(found) if known_one is None else known_one


def _one_by_one(
    predictor: Predictor, images: list[InputImage] | Iterator[InputImage], batch_size: int
) -> Generator[Prediction, None, None]:
    with contextlib.ExitStack() as stack:
        stack.callback(predictor.close)
        advance: Callable[[int], None] = lambda images: None  # noqa: E731
        if isinstance(images, list):
            advance = stack.enter_context(Progress(len(images), "predicting")).advance
        read = preprocessed(predictor.preprocess, iter(images))
        items = stack.enter_context(contextlib.closing(read))
        for batch in batches(items, batch_size, predictor.request_bytes):
            good = [item.image for item in batch if item.error is None]
            found = iter(_classified(predictor, good) if good else [])
            for item in batch:
                top = next(found) if item.error is None else item.error
                if isinstance(top, str):
                    yield Prediction(item.name, error=top)
                else:
                    # The shortest decimal numbers that are equal in float32.
                    scores = tuple(float(str(np.float32(score))) for score in top.scores)
                    yield Prediction(item.name, top.classes, scores)
            advance(len(batch))


def _classified(predictor: Predictor, images: list[Any]) -> list[TopClasses | str]:
    """Sends all images at once or, if that is refused, one by one to find the bad ones."""
    try:
        found = predictor.classify(images)
    except Refused as error:
        refused = str(error)
    else:
        for top in found:
            check_finite(np.asarray(top.scores))
        return [*found]
    if len(images) == 1:
        return [refused]
    text = "A request with %d images was refused (%s). Its images are sent one at a time."
    logging.log_first_n(logging.WARNING, text, 1, len(images), refused)
    return [each for image in images for each in _classified(predictor, [image])]
