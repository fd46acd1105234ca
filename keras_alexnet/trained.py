"""TrainedNetwork: a trained network with its labels, image plan and run."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from absl import logging

import keras_alexnet
from keras_alexnet import run_folder
from keras_alexnet.data import run_data
from keras_alexnet.data.config import DataSpec
from keras_alexnet.data.dataset import Dataset
from keras_alexnet.data.splits import Split
from keras_alexnet.distributed import precision_choice
from keras_alexnet.distributed.precision_choice import AUTO, GIVEN, PrecisionChoice
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.networks import policies, variants
from keras_alexnet.networks.image_plan import ImagePlan
from keras_alexnet.utils import files, finite
from keras_alexnet.utils.pixels import message, wrong_scale
from keras_alexnet.weights import model_files, named
from keras_alexnet.weights.model_files import ModelFile

if TYPE_CHECKING:
    from keras_alexnet import Prediction

TOP = 5  # labels that an exported network names

OF_THE_FILE = PrecisionChoice("of the file", GIVEN)
_AS_LOADED = PrecisionChoice("float32", "as loaded")


@dataclasses.dataclass(frozen=True)
class TrainedNetwork:
    """A trained network of any file format, with everything that is known about it.

    Attributes:
        path: the `.keras`, `.tflite` or `.onnx` file, or the folder of a SavedModel.
        model: RGB pixels 0–255 `[N, H, W, 3]` in, float32 logits `[N, classes]` out: a
            `keras.Model`, for a SavedModel a `keras.layers.TFSMLayer`, for other files None.
        labels: the names of the classes, in order, or their numbers if no names are known.
        labels_are_names: whether `labels` are names.
        variant: the name of the network.
        plan: how an image of any size becomes an input.
        config: the run's `config.json`, or None for a bare file.
        results: the run's `results.json`, or None.
        card: what is known of weights that have a name; None for others.
        precision: what it computes in, and why; `load` gives float32.

    Example:
        >>> network = TrainedNetwork.of_model(keras_alexnet.build("cifar_v2"))
        >>> network.logits(np.zeros([4, 32, 32, 3], np.uint8)).shape
        (4, 10)
    """

    path: pathlib.Path
    model: Any
    labels: tuple[str, ...]
    labels_are_names: bool
    variant: str
    plan: ImagePlan
    config: dict[str, Any] | None = None
    results: dict[str, Any] | None = None
    card: dict[str, Any] | None = None
    precision: PrecisionChoice = _AS_LOADED
    _compute: model_files.Compute | None = None

    @classmethod
    def load(
        cls,
        model: str | os.PathLike | keras.Model,
        variant: str | None = None,
        labels: str | os.PathLike | Sequence[str] | None = None,
    ) -> "TrainedNetwork":
        """Loads a trained network.

        Args:
            model: a run's folder, a `.keras` file, a SavedModel's folder (of one version, or of
                several, of which the newest is loaded), a `.tflite` or `.onnx` file, the name of
                weights or of their network, such as "imagenet" or "cifar_v2", hf://user/name on the
                Hugging Face Hub, or a model that `build` made.
            variant: the network, if the files do not say which it is.
            labels: a text file with one class per line, or the names, to replace the network's.

        Raises:
            UsageError: the variant is unknown or differs from that of the files, or the network's
                input is not square.
            UserError: there is no model, it cannot be read, `build` did not make it, its weights
                are NaN or infinite, or the number of labels differs from the number of classes.

        Example:
            >>> network = TrainedNetwork.load("cifar_v2")  # or a path, such as "runs/mine"
            >>> network.variant, network.labels[:2]
            ('cifar_v2', ('airplane', 'automobile'))
        """
        if isinstance(model, keras.Model):
            return cls.of_model(model, variant, labels)
        file = model_files.open_model(*named.locate(model, variant=variant))
        if file.labels is None and labels is None:
            logging.warning(
                "%s has no class names (%s), so class numbers are used as labels.",
                *(file.path, run_folder.LABELS),
            )
        return _assemble(file, variant, labels)

    @classmethod
    def of_model(
        cls,
        model: keras.Model,
        variant: str | None = None,
        labels: str | os.PathLike | Sequence[str] | None = None,
    ) -> "TrainedNetwork":
        """Takes a model that `build` made; the arguments and errors are those of `load`."""
        finite.check_weights(model.name, finite.weights_of(model))
        return _assemble(model_files.of_keras(model), variant, labels)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an input."""
        return (self.plan.input_size, self.plan.input_size, 3)

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the file."""
        return files.sha256_of(self.path)

    @cached_property
    def features(self) -> keras.Model:
        """The Keras model from pixels to the last hidden layer, which feeds the classifier."""
        return keras.Model(self.model.input, self.model.get_layer("logits").input)

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Computes the logits of images in one step.

        Args:
            images: RGB pixels 0–255, uint8 `[N, *input_shape]`; `predict` takes other sizes.

        Returns:
            float32 `[N, classes]`.

        Raises:
            UsageError: the images have a different shape or type.
        """
        return self._outputs(images)["logits"]

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Computes the softmax of the logits; arguments and errors are those of `logits`."""
        return self._outputs(images)["probabilities"]

    def predict(self, images: Any, top: int = 5, **options: Any) -> "list[Prediction]":
        """Names the likeliest classes of images, as `keras_alexnet.predict` does for this network.

        Args:
            images: paths, folders, encoded bytes, or pixels 0–255 of any size, uint8 or float.
            top: how many classes to name; all if the network has fewer.
            options: `batch_size` and `max_image_pixels`.

        Raises:
            UsageError: an argument that cannot be used, such as pixels in 0–1.

        Example:
            >>> [found] = load("cifar_v2").predict(np.zeros([40, 50, 3], np.uint8), top=1)
            >>> found.classes, found.error
            (('cat',), None)
        """
        # The public function is above this module, which therefore does not import it by name.
        return keras_alexnet.predict(self, images, top, **options)

    def in_precision(self, precision: str = AUTO) -> "TrainedNetwork":
        """Returns this network, computing in another precision, and logs what `auto` chooses.

        Exported files compute as they were exported. With "auto", a network that this method
        returned keeps its precision, and a model of your own its dtype policy if that is not
        float32.

        Args:
            precision: "auto", "float32", "mixed_bfloat16" or "mixed_float16".

        Raises:
            UsageError: the precision is unknown, or one is given for an exported file.

        Example:
            >>> load("cifar_v2").in_precision("mixed_bfloat16").model.get_layer("conv1").dtype
            'bfloat16'
        """
        if precision == AUTO and self.precision != _AS_LOADED:
            return self
        if precision not in self._in_precisions:
            self._in_precisions[precision] = self._converted(precision)
        return self._in_precisions[precision]

    @cached_property
    def _in_precisions(self) -> "dict[str, TrainedNetwork]":
        return {}

    def _converted(self, precision: str) -> "TrainedNetwork":
        if not isinstance(self.model, keras.Model):
            if precision != AUTO:
                raise UsageError(exported_precision(self.path, precision))
            return dataclasses.replace(self, precision=OF_THE_FILE)
        own = {layer.dtype_policy.name for layer in self.model.layers} - {"float32"}
        if own and precision == AUTO:
            return dataclasses.replace(self, precision=PrecisionChoice(min(own), "of the model"))
        found = precision_choice.chosen(precision)
        if found.name == "float32" and not own:
            return dataclasses.replace(self, precision=found)
        model = policies.in_policy(self.model, found.name.removeprefix("mixed_"))
        return dataclasses.replace(self, model=model, precision=found, _compute=None)

    def require_keras(self, purpose: str) -> "TrainedNetwork":
        """Returns the network itself, if it is a Keras model.

        Args:
            purpose: what it is needed for, as the beginning of the message.

        Raises:
            UserError: it is not.
        """
        if isinstance(self.model, keras.Model):
            return self
        raise UserError(
            f"{purpose} needs a Keras model: a run's folder or a .keras file. Received: "
            f"{self.path}, an exported file."
        )

    def description(self) -> dict[str, Any]:
        """Returns what exported files say about the network, for clients that run them."""
        return {
            "format": 1,
            "variant": self.variant,
            "labels": list(self.labels),
            "labels_are_names": self.labels_are_names,
            "image_plan": dataclasses.asdict(self.plan),
        }

    def load_data(self, spec: DataSpec) -> Dataset:
        """Loads the data that the network was trained on, or other data.

        Args:
            spec: the data set. Fields that are not set are taken from the run; the folder and the
                name of the run's data are used only for the same data set.

        Raises:
            UsageError, UserError: as in `load_dataset`.
        """
        if self.card is not None and spec.dataset is None:
            spec = dataclasses.replace(spec, dataset=run_data.usual_dataset(self.card["dataset"]))
        return run_data.load_run_data(self.config, spec)

    def check_data(self, data: Dataset) -> None:
        """Raises a UserError unless the classes of the data are the network's."""
        names = self.labels if self.labels_are_names else None
        run_data.check_classes(len(self.labels), names, data)

    def split(self, data: Dataset, name: str) -> Split:
        """Returns the "test", "validation" or "train" images, as split by the network's run.

        Raises:
            UsageError: the run's split is needed, but is unknown or is of different data.
        """
        return run_data.run_split(self.config, data, name)

    def as_tested(self, data: Dataset) -> Dataset:
        """Returns a data set without splits with all its images as test images.

        Data that the network's run was trained on is returned as the run split it.
        """
        return run_data.as_tested(self.config, data)

    def _outputs(self, images: np.ndarray) -> dict[str, np.ndarray]:
        images = np.asarray(images)
        if (received := wrong_scale(images)) is not None:
            raise UsageError(message("images", received))
        if images.dtype != np.uint8 or images.shape[1:] != self.input_shape:
            raise UsageError(
                f"images must be uint8 [N, {', '.join(map(str, self.input_shape))}]. Received: "
                f"{images.dtype} {list(images.shape)}."
            )
        return self._computing(images)

    @cached_property
    def _computing(self) -> model_files.Compute:
        return self._compute or model_files.compiled(self.model)


load = TrainedNetwork.load


def exported_precision(model: object, precision: str) -> str:
    """Returns the message that a precision was given for an exported file or a server."""
    return (
        f"precision is for Keras models, but {model} computes as it was exported. Leave it out. "
        f"Received: {precision!r}."
    )


def check_finite(values: np.ndarray) -> None:
    """Raises a UserError if a number that a network computed is NaN or infinite."""
    if not np.all(np.isfinite(values)):
        raise UserError(
            "The network's outputs are not finite: its weights are too large for these images. "
            "Train again with a smaller learning rate."
        )


def _assemble(
    file: ModelFile,
    variant: str | None,
    labels: str | os.PathLike | Sequence[str] | None,
) -> TrainedNetwork:
    height, width, _ = file.input_shape
    if height != width:
        raise UsageError(
            f"Only networks with square inputs can be used here, because an image plan cuts "
            f"squares. {file.path} takes images of {height} x {width}."
        )
    name = _variant(file, variant)
    if isinstance(labels, (str, os.PathLike)):
        labels = run_folder.read_labels(labels)
    names = file.labels if labels is None else tuple(labels)
    if names is not None:
        run_folder.check_labels(names, file.classes, file.path)
    return TrainedNetwork(
        path=file.path,
        model=file.model,
        labels=names or tuple(map(str, range(file.classes))),
        labels_are_names=names is not None,
        variant=name,
        plan=file.plan or variants.image_plan(name, height),
        config=file.config,
        results=file.results,
        card=file.card,
        _compute=file.compute,
    )


def _variant(file: ModelFile, requested: str | None) -> str:
    """Returns the network's name: that of the file, or the requested one if it has none."""
    known = file.plan is not None or file.variant in variants.list_variants()
    if known and requested not in (None, file.variant):
        raise UsageError(
            f"{file.path} is a {file.variant}, and --variant (variant=) is only for files that do "
            f"not name their network. Leave it out. Received: {requested!r}."
        )
    name = requested or file.variant
    if name is None:
        raise UsageError(
            f"{file.path} was not exported by this package, so it does not say how images become "
            "its inputs. Name the network with --variant (variant=), and its classes with "
            "--labels (labels=)."
        )
    return name
