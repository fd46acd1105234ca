"""The network and the images that are looked at."""

import functools
import os
import pathlib
from collections.abc import Callable, Iterable, Sequence

import keras
import numpy as np
import tensorflow as tf

from keras_alexnet import models, trained
from keras_alexnet.data import decode
from keras_alexnet.data.config import DataSpec
from keras_alexnet.data.dataset import Dataset
from keras_alexnet.data.images import EncodedImages
from keras_alexnet.data.splits import Split, stratified_choice
from keras_alexnet.data.views import center_view
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.networks import build, variants
from keras_alexnet.networks.spec import ImagePlan
from keras_alexnet.predicting.images import image_sources
from keras_alexnet.trained import TrainedNetwork
from keras_alexnet.utils import files
from keras_alexnet.utils.arguments import whole_number


def network(where: str | os.PathLike | keras.Model, variant: str | None = None) -> TrainedNetwork:
    """Loads a run's folder or a `.keras` file, or takes a model as it is.

    Args:
        where: the folder, the file, or a model that `build` made.
        variant: the network, where neither a config.json nor the model's name tells it.

    Raises:
        UsageError, UserError: as `exporting.networks.load`.

    Example:
        >>> network(keras_alexnet.build("cifar_v2")).plan.input_size
        32
    """
    if not isinstance(where, keras.Model):
        return trained.load(where, variant)
    logits = build.logits_of(where)
    name = variant or where.name
    return TrainedNetwork(
        path=pathlib.Path(where.name),
        model=keras.Model(where.input, logits, name=where.name),
        labels=tuple(str(index) for index in range(logits.shape[-1])),
        named=False,
        variant=name,
        plan=variants.image_plan(name, where.input_shape[1]),
        config=None,
        results=None,
    )


def data_for(looked: TrainedNetwork, dataset: str | None, **options) -> Dataset:
    """Loads the data that a network was trained on, or others of the same classes.

    Args:
        looked: the network.
        dataset, options: as in `runs.load_data`.

    Raises:
        UsageError, UserError: if the data cannot be had, or are of other classes.
    """
    data = trained.load_data(looked.config, DataSpec(dataset, **options))
    labels = looked.labels if looked.named else None
    trained.check_labels(len(looked.labels), labels, data)
    return data


def training_images(looked: TrainedNetwork, data: Dataset) -> Split:
    """The images that the network was trained on, without those held out; of other data, all."""
    if looked.config is not None and looked.config["data"]["sha256"] == data.sha256:
        return trained.split_of(data, "train", looked.config)
    return data.train


def chosen(split: Split, images: int, indices: Sequence[int] | None, seed: int) -> np.ndarray:
    """Chooses images to show: those named, or some of each class in proportion.

    Args:
        split: what to choose from.
        images: how many, where `indices` names none.
        indices: the numbers of images, from 0, to be shown in this order.
        seed: of the choice.

    Returns:
        int64 `[k]`.

    Raises:
        UsageError: if there are no such images, or not so many.
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
    return np.flatnonzero(stratified_choice(split.labels, images, whole_number("seed", seed)))


def views(split: Split, indices: Iterable[int], plan: ImagePlan) -> np.ndarray:
    """What the network sees of some images, decoded one by one.

    Returns:
        uint8 `[k, input_size, input_size, 3]`.

    Raises:
        UserError: with the file's name, if one cannot be read.
    """
    # A set is decoded whole for a pipeline: too much for the few that are shown.
    squares = [_square(split, int(split.rows[index]), plan) for index in indices]
    return _center_views(tf.stack(squares), plan)


def view_of(image, plan: ImagePlan) -> tuple[str, np.ndarray]:
    """What the network sees of an image that is given as a file, as bytes or as pixels.

    Args:
        image: one of what `serving.predict` takes.
        plan: how it becomes an input.

    Returns:
        (its name, uint8 `[input_size, input_size, 3]`).

    Raises:
        UsageError: if it is several.
        UserError: with its name, if it cannot be read.
    """
    sources = list(image_sources(image))
    if len(sources) != 1:
        raise UsageError(f"One image is wanted. Received: {len(sources)}.")
    [source] = sources
    try:
        with tf.device("/CPU:0"):
            square = decode.decode_square(tf.constant(source.read()), plan.square_size, plan.warp)
    except (OSError, tf.errors.OpError) as error:
        raise UserError(
            f"The image {source.name} cannot be read: {decode.reason(error)}. Give a JPEG, PNG, "
            "BMP or GIF."
        ) from error
    return source.name, _center_views(square[None], plan)[0]


def compiled(model: keras.Model, output: keras.KerasTensor) -> Callable[[np.ndarray], np.ndarray]:
    """Makes a function from pixels to the values of one of the model's tensors.

    It takes uint8 `[N, H, W, 3]`, returns float32 `[N, ...]`, and raises a UserError for values
    that are not finite.
    """
    part = keras.Model(model.input, output)
    signature = [tf.TensorSpec([None, *model.input_shape[1:]], tf.uint8)]

    @tf.function(input_signature=signature, autograph=False)
    def forward(pixels):
        return tf.cast(part(tf.cast(pixels, tf.float32), training=False), tf.float32)

    # Traced by name: TensorFlow warns of calls that trace, and each picture has its own function.
    traced = forward.get_concrete_function()

    def values_of(pixels: np.ndarray) -> np.ndarray:
        values = traced(tf.convert_to_tensor(pixels)).numpy()
        check_finite(values)
        return values

    return values_of


def caption(class_name: str) -> str:
    """What a picture calls a class: its name, or in words if it is one of ImageNet's WordNet ids.

    Example:
        >>> caption("n01484850"), caption("cat")
        ('great white shark', 'cat')
    """
    return _imagenet_words().get(class_name, class_name)


def enlargement(pixels: np.ndarray, drawn: np.ndarray) -> str:
    """A sentence on how an image `[h, w, 3]` was enlarged for a picture; empty if it was not."""
    factor = drawn.shape[0] // pixels.shape[0]
    return f" Every pixel is drawn {factor} × {factor}." if factor > 1 else ""


def check_finite(values: np.ndarray) -> None:
    """Raises a UserError if a number is NaN or infinite."""
    if not np.all(np.isfinite(values)):
        raise UserError("The network's values are not finite: its weights hold NaN or inf.")


def table_path(picture: pathlib.Path, data: str | os.PathLike | None) -> pathlib.Path:
    """Where the data behind a picture goes: `data`, or beside the picture as CSV.

    Raises:
        UsageError: if the name ends neither in .csv nor in .json.
    """
    path = picture.with_suffix(".csv") if data is None else pathlib.Path(data)
    if path.suffix not in (".csv", ".json"):
        raise UsageError(f"Data are written to a .csv or a .json file. Received: {str(data)!r}.")
    return path


def write_table(path: pathlib.Path, rows: list[dict]) -> None:
    """Writes rows of the same keys as CSV or JSON, whole or not at all."""
    if path.suffix == ".json":
        files.write_json(path, rows)
    else:
        files.write_csv(path, rows)


@functools.cache
def _imagenet_words() -> dict[str, str]:
    return {number: name.replace("_", " ") for number, name in models.imagenet_labels()}


def _square(split: Split, row: int, plan: ImagePlan) -> tf.Tensor:
    pixels = split.pixels
    with tf.device("/CPU:0"):
        if not isinstance(pixels, EncodedImages):
            return decode.square(tf.constant(pixels.images[row]), plan.square_size, plan.warp)
        try:
            return pixels.square(tf.constant(row, tf.int64), plan.square_size, plan.warp)
        except (OSError, tf.errors.OpError) as error:
            raise pixels.damage_error({row: decode.reason(error)}) from error


def _center_views(squares: tf.Tensor, plan: ImagePlan) -> np.ndarray:
    with tf.device("/CPU:0"):
        return center_view(squares, plan).numpy()
