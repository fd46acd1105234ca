"""The network, the data and the images that a picture is made of."""

import os
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from keras_alexnet.data import decode
from keras_alexnet.data.config import DataSpec
from keras_alexnet.data.dataset import Dataset
from keras_alexnet.data.decoding import other_formats
from keras_alexnet.data.images import EncodedImages
from keras_alexnet.data.splits import Split, stratified_choice
from keras_alexnet.data.squares import square
from keras_alexnet.data.views import center_view
from keras_alexnet.errors import UsageError, UserError, whole_number
from keras_alexnet.networks.image_plan import ImagePlan
from keras_alexnet.predicting.images import input_images
from keras_alexnet.trained import TrainedNetwork, check_finite
from keras_alexnet.utils import files, outputs
from keras_alexnet.utils.values import path_text

# A run's folder, a `.keras` file, the name of a network with weights, or the network itself.
Model: TypeAlias = str | os.PathLike | keras.Model


class ShownImages(NamedTuple):
    """Test images to show, with their data set.

    Attributes:
        dataset: the whole data set.
        split: the test images that were chosen.
        pixels: their inputs to the network, uint8 `[n, input_size, input_size, 3]`.
    """

    dataset: Dataset
    split: Split
    pixels: np.ndarray

    @property
    def labels(self) -> list[str]:
        """The correct class of each image."""
        return [self.dataset.class_names[label] for label in self.split.labels]


def network(model: Model, variant: str | None = None, precision: str = "float32") -> TrainedNetwork:
    """Loads a run's folder or a `.keras` file, or wraps a model.

    Args:
        model: the folder, the file, or a model that `build` made.
        variant: name of the network, if neither config.json nor the model's name says it.
        precision: what it computes in, as `TrainedNetwork.in_precision` takes it.

    Raises:
        UsageError: for an unknown variant or precision.
        UserError: if there is no such network.

    Example:
        >>> network(keras_alexnet.build("cifar_v2")).plan.input_size
        32
    """
    found = TrainedNetwork.load(model, variant).require_keras("A figure")
    return found.in_precision(precision)


def test_images(
    network: TrainedNetwork,
    data: DataSpec | None,
    *,
    images: int,
    indices: Sequence[int] | None,
    seed: int,
) -> ShownImages:
    """Loads the data that a network was trained on, and chooses test images.

    Args:
        network: the network that they are shown to.
        data: the data, or None for those that the network was trained on.
        images, indices, seed: as in `chosen`.

    Raises:
        UsageError: for an argument that cannot be used.
        UserError: if the data cannot be loaded, have other classes, or an image cannot be read.
    """
    if data is not None and not isinstance(data, DataSpec):
        raise UsageError(
            "data must be a DataSpec, such as DataSpec('cifar10'); table is the file for the "
            f"numbers. Received: data={data!r}."
        )
    dataset = network.load_data(DataSpec() if data is None else data.data)
    network.check_data(dataset)
    split = dataset.test.subset(chosen(dataset.test, images, indices, seed))
    return ShownImages(dataset, split, views(split, range(len(split)), network.plan))


def training_images(network: TrainedNetwork, dataset: Dataset) -> Split:
    """Returns the images that the network was trained on, without validation images.

    For data that it was not trained on, these are all training images.
    """
    if network.config is not None and network.config["data"]["sha256"] == dataset.sha256:
        return network.split(dataset, "train")
    return dataset.train


def chosen(split: Split, images: int, indices: Sequence[int] | None, seed: int) -> np.ndarray:
    """Chooses images to show: those in `indices`, or some of each class in proportion.

    Args:
        split: what to choose from.
        images: how many to choose if there are no `indices`.
        indices: indices of images, from 0, in the order in which they are shown.
        seed: the seed of the choice.

    Returns:
        int64 `[k]`.

    Raises:
        UsageError: if there are no such images, or too few.
    """
    if indices:
        found = np.array([whole_number("indices", index, 0) for index in indices], np.int64)
        if found.max() >= len(split):
            raise UsageError(
                f"indices must be from 0 to {len(split) - 1}. Received: {found.max()}."
            )
        return found
    images = whole_number("images", images, 1)
    if images > len(split):
        raise UsageError(f"There are only {len(split)} images to choose from. Received: {images}.")
    return np.flatnonzero(
        stratified_choice(split.labels, images, whole_number("seed", seed, least=0))
    )


def views(split: Split, indices: Iterable[int], plan: ImagePlan) -> np.ndarray:
    """Returns the network's inputs for some images, decoded one by one.

    Returns:
        uint8 `[k, input_size, input_size, 3]`.

    Raises:
        UserError: if one cannot be read; the message names its file.
    """
    # A pipeline would decode the whole split, for the few that are shown.
    squares = [_square(split, int(split.rows[index]), plan) for index in indices]
    return _center_views(tf.stack(squares), plan)


def view_of(image: object, plan: ImagePlan) -> tuple[str, np.ndarray]:
    """Returns the network's input for one image.

    Args:
        image: a path, encoded bytes, or uint8 pixels `[H, W, 3]`.
        plan: how it becomes an input.

    Returns:
        The image's name, and uint8 `[input_size, input_size, 3]`.

    Raises:
        UsageError: if there are several images.
        UserError: if it cannot be read; the message names it.
    """
    sources = list(input_images(image))
    if len(sources) != 1:
        raise UsageError(f"image must be one image. Received: {len(sources)}.")
    [source] = sources
    try:
        with tf.device("/CPU:0"):
            made = decode.decode_square(tf.constant(source.read()), *plan.square)
    except (OSError, tf.errors.OpError) as error:
        raise UserError(
            f"The image {source.name} cannot be read: {decode.reason(error)}. Pass a "
            f"{other_formats.READ}."
        ) from error
    return source.name, _center_views(made[None], plan)[0]


def compiled(model: keras.Model, output: keras.KerasTensor) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a function from pixels to the values of one of the model's tensors.

    It takes uint8 `[N, H, W, 3]`, returns float32 `[N, ...]`, and raises a `UserError` for values
    that are not finite.
    """
    part = keras.Model(model.input, output)
    signature = [tf.TensorSpec([None, *model.input_shape[1:]], tf.uint8)]

    @tf.function(input_signature=signature, autograph=False)
    def forward(pixels: tf.Tensor) -> tf.Tensor:
        return tf.cast(part(tf.cast(pixels, tf.float32), training=False), tf.float32)

    # Traced here: TensorFlow warns of repeated tracing, and each picture has its own function.
    traced = forward.get_concrete_function()

    def values_of(pixels: np.ndarray) -> np.ndarray:
        values = traced(tf.convert_to_tensor(pixels)).numpy()
        check_finite(values)
        return values

    return values_of


def png_path(out: str | os.PathLike) -> pathlib.Path:
    """Checks and returns the path of a picture.

    Raises:
        UsageError: if its name does not end in .png.
        UserError: if it cannot be written.
    """
    path = pathlib.Path(path_text("out", out))
    if path.suffix.lower() != ".png":
        raise UsageError(
            f"A picture is written to a file that ends in .png. Received: {os.fspath(out)!r}."
        )
    outputs.check_file(path, "out")
    return path


def table_path(picture: pathlib.Path, table: str | os.PathLike | None) -> pathlib.Path:
    """Returns the path of the numbers in a picture: `table`, or a .csv beside the picture.

    Raises:
        UsageError: if the name ends neither in .csv nor in .json.
        UserError: if it cannot be written.
    """
    path = picture.with_suffix(".csv")
    if table is not None:
        path = pathlib.Path(path_text("table", table))
    if path.suffix not in (".csv", ".json"):
        raise UsageError(f"A table is written to a .csv or a .json file. Received: {str(table)!r}.")
    outputs.check_file(path, "table")
    return path


def write_table(path: pathlib.Path, rows: list[dict]) -> None:
    """Writes rows with the same keys as CSV or JSON, completely or not at all."""
    if path.suffix == ".json":
        files.write_json(path, rows)
    else:
        files.write_csv(path, rows)


def _square(split: Split, row: int, plan: ImagePlan) -> tf.Tensor:
    pixels = split.pixels
    with tf.device("/CPU:0"):
        if not isinstance(pixels, EncodedImages):
            return square(tf.constant(pixels.images[row]), *plan.square)
        try:
            return pixels.square(tf.constant(row, tf.int64), *plan.square)
        except (OSError, tf.errors.OpError) as error:
            raise pixels.damage_error({row: decode.reason(error)}) from error


def _center_views(squares: tf.Tensor, plan: ImagePlan) -> np.ndarray:
    with tf.device("/CPU:0"):
        return center_view(squares, plan).numpy()
