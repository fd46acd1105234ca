"""Conversion of other programs' weights to model files, and of models to PyTorch weights."""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from keras_alexnet import run_folder
from keras_alexnet.data import decode
from keras_alexnet.errors import UsageError, UserError, unknown_name
from keras_alexnet.models import build
from keras_alexnet.networks import variants
from keras_alexnet.networks.image_plan import ImagePlan
from keras_alexnet.networks.spec import NetworkSpec
from keras_alexnet.predicting.local import LocalPredictor
from keras_alexnet.predicting.messages import reason
from keras_alexnet.predicting.predictor import TopClasses
from keras_alexnet.trained import TrainedNetwork
from keras_alexnet.utils import files, outputs
from keras_alexnet.utils.imagenet_classes import imagenet_labels
from keras_alexnet.utils.values import path_text
from keras_alexnet.weights import Loaded, save
from keras_alexnet.weights.load import fill
from keras_alexnet.weights.references import installed_framework, reference_logits
from keras_alexnet.weights.source import KINDS, Source, kind_of, read_source

# Name of a source → the kind of file that its weights are in, and its default network.
SOURCES: dict[str, tuple[str, str | None]] = {
    "torchvision": ("pytorch", "alexnet_owt"),
    "pytorch": ("pytorch", None),
    "caffe": ("caffe", "alexnet_caffe"),
    "kratzert": ("tensorflow", "alexnet_caffe"),
}

IMAGENET = "imagenet"

_TOP = 5


@dataclasses.dataclass(frozen=True)
class Check:
    """The classes of one image by a weights file's own framework and by the converted network.

    Attributes:
        before: the five likeliest classes by the framework; None if it is not installed.
        after: those by the converted network.
        framework: "PyTorch", "OpenCV" or "TensorFlow", or None.
        relative_difference: the largest difference of two logits, divided by the largest logit.
    """

    before: TopClasses | None
    after: TopClasses
    framework: str | None = None
    relative_difference: float | None = None


def convert(
    weights: str | os.PathLike,
    out: str | os.PathLike,
    *,
    source: str,
    variant: str | None = None,
    mean: str | os.PathLike | None = None,
    labels: str | os.PathLike | None = None,
    sha256: str | None = None,
    check: str | os.PathLike | None = None,
) -> tuple[Loaded, Check | None]:
    """Converts weights of PyTorch or Caffe to a model file with the classes that they are for.

    Args:
        weights: the file, as `keras_alexnet.weights.load` takes it.
        out: the `.keras` file to write, or a folder to write `model.keras` into.
        source: "torchvision", "pytorch" for a network of the documents, "caffe", or "kratzert" for
            `bvlc_alexnet.npy`, which has Caffe's weights.
        variant: the network; by default torchvision's or Caffe's.
        mean: with Caffe's weights, the mean file.
        labels: a text file with one class a line, or "imagenet" for the WordNet ids of its 1000
            classes; written to `labels.txt` beside the model.
        sha256: the SHA-256 that the file must have, or at least its first 8 digits.
        check: an image to classify before and after the conversion.

    Returns:
        What was loaded, and the result of the check.

    Raises:
        UsageError: an argument cannot be used.
        UserError: the weights cannot be read or do not fit, as for `weights.load`; the number of
            labels is not that of the classes; or the image cannot be read. Then nothing is written.

    Example:
        >>> convert("alexnet-owt-7be5be79.pth", "owt/model.keras",
        ...         source="torchvision")  # doctest: +SKIP
    """
    network = variants.get(_variant(weights, source, variant))
    path = pathlib.Path(path_text("out", out))
    path = path if path.suffix == ".keras" else path / run_folder.MODEL
    outputs.check_file(path, "out")
    if check is not None:
        check = path_text("check", check)
    read = read_source(weights, network, mean=mean, sha256=sha256)
    model = build(network.name, num_classes=read.classes())
    loaded = fill(model, read, network)
    classes = model.output_shape[-1]
    names = None if labels is None else _labels(labels)
    if names is not None:
        run_folder.check_labels(names, classes, path)
    _refuse_a_run(path)
    _refuse_other_labels(path, names)
    checked = None
    if check is not None:
        checked = _check(model, read, network, check, names or [str(n) for n in range(classes)])
    with files.atomic_write(path) as temporary:
        model.save(temporary)
    if names is not None:
        run_folder.write_labels(path.with_name(run_folder.LABELS), names)
    return loaded, checked


def to_torch(
    model: str | os.PathLike,
    out: str | os.PathLike,
    *,
    variant: str | None = None,
    names: str | None = None,
) -> dict[str, tuple[int, ...]]:
    """Writes the weights of a saved network for PyTorch.

    Args:
        model: a run's folder, a `.keras` file, or the name of a network whose weights come with the
            package.
        out, names: as in `keras_alexnet.weights.save`.
        variant: the network, if the file does not say which it is.

    Returns:
        A dict: name of a tensor → its shape.

    Raises:
        UsageError, UserError: as `weights.save`, or if the model cannot be read.

    Example:
        >>> to_torch("runs/mine", "mine.safetensors")  # doctest: +SKIP
    """
    out = path_text("out", out)
    outputs.check_file(out, "out")
    network = TrainedNetwork.load(model, variant).require_keras("A conversion")
    return save(network.model, out, variant=network.variant, names=names)


def _variant(weights: str | os.PathLike, source: str, variant: str | None) -> str:
    if source not in SOURCES:
        raise unknown_name("source", source, SOURCES)
    wanted, usual = SOURCES[source]
    kind, _ = kind_of(weights)
    if kind != wanted:
        endings = [ending for ending, its_kind in KINDS.items() if its_kind == wanted]
        raise UsageError(
            f"--from {source} needs a file that ends in {', '.join(endings)}. Received: {weights}."
        )
    chosen = usual if variant is None else variant
    if chosen is None:
        raise UsageError(
            f"--variant is needed with --from {source}: one of "
            f"{', '.join(variants.list_variants())}."
        )
    return chosen


def _labels(labels: str | os.PathLike) -> tuple[str, ...]:
    if labels != IMAGENET:
        return run_folder.read_labels(labels)
    return tuple(wordnet_id for wordnet_id, _ in imagenet_labels())


def _refuse_a_run(path: pathlib.Path) -> None:
    """Its config.json and results.json would describe weights that it no longer has."""
    if path.name == run_folder.MODEL and path.with_name(run_folder.CONFIG).exists():
        raise UserError(
            f"{path.parent} is a run's folder, and its model would be overwritten. Pass another "
            "--out."
        )


def _refuse_other_labels(path: pathlib.Path, names: Sequence[str] | None) -> None:
    """Other labels beside the model would be loaded with it."""
    beside = path.with_name(run_folder.LABELS)
    if beside.exists() and (names is None or run_folder.read_labels(beside) != tuple(names)):
        raise UserError(
            f"{beside} holds the labels of a different model, and would be loaded with this "
            "one. Pass a different folder with --out, or remove that file."
        )


def _check(
    model: keras.Model,
    read: Source,
    network: NetworkSpec,
    image: str | os.PathLike,
    labels: Sequence[str],
) -> Check:
    def answer(
        logits_of: Callable[[np.ndarray], np.ndarray], plan: ImagePlan
    ) -> tuple[TopClasses, np.ndarray]:
        """The likeliest classes, and the logits: float32 [1, classes]."""
        logits = []

        def probabilities(pixels: np.ndarray) -> np.ndarray:
            logits.append(logits_of(pixels))
            return tf.nn.softmax(logits[0]).numpy()

        predictor = LocalPredictor(probabilities, plan, labels, _TOP)
        return predictor.classify([predictor.preprocess(contents)])[0], logits[0]

    try:
        contents = pathlib.Path(image).read_bytes()
        after, by_keras = answer(lambda pixels: model(pixels, training=False), network.image_plan)
        # Caffe's weights are compared in Caffe's own network, whatever they were loaded into.
        usual = next(name for kind, name in SOURCES.values() if kind == read.kind)
        own = network if read.kind == "pytorch" else variants.get(str(usual))
        framework = installed_framework(read.kind)
        if framework is None:
            return Check(None, after)
        before, by_framework = answer(
            lambda pixels: reference_logits(read, own, pixels), own.image_plan
        )
    except tf.errors.OpError as error:
        raise UserError(f"{image} cannot be read: {reason(decode.reason(error))}") from error
    difference = np.max(np.abs(by_keras - by_framework)) / np.max(np.abs(by_framework))
    return Check(before, after, framework, float(difference))
