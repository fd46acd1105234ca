"""features(): the activations of a network's layers for many images."""

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from absl import logging

from keras_alexnet.data.config import MAX_IMAGE_PIXELS
from keras_alexnet.distributed.precision_choice import AUTO
from keras_alexnet.errors import UserError
from keras_alexnet.predicting.features.config import LAST, FeaturesConfig
from keras_alexnet.predicting.features.files import FeatureFiles, Row
from keras_alexnet.predicting.features.folder import check_out
from keras_alexnet.predicting.features.layers import LayerOutputs
from keras_alexnet.predicting.images import InputImage, input_images
from keras_alexnet.predicting.local import Decoder
from keras_alexnet.predicting.preprocessing import Item, batches, preprocessed
from keras_alexnet.trained import TrainedNetwork
from keras_alexnet.utils.reporting import reported
from keras_alexnet.utils.terminal import Progress
from keras_alexnet.utils.text import printable


class Features(dict[str, np.ndarray]):
    """The activations of layers: name of a layer → float32 `[N, …]`, a row for each image.

    Attributes:
        images: the name of the image of each row: its path, or `image <number>`.
        errors: name of an image that could not be read, and has no row → why.

    Example:
        >>> found = Features({"fc4": np.zeros([1, 192], np.float32)}, ["cat.jpg"], {})
        >>> found["fc4"].shape, found.images
        ((1, 192), ('cat.jpg',))
    """

    def __init__(
        self, arrays: dict[str, np.ndarray], images: Sequence[str], errors: dict[str, str]
    ):
        super().__init__(arrays)
        self.images, self.errors = tuple(images), errors


@reported
def features(
    model: str | os.PathLike | keras.Model,
    images: Any,
    layers: str | Sequence[str] = (LAST,),
    *,
    pooling: str | None = None,
    flatten: bool = False,
    out: str | os.PathLike | None = None,
    format: str = "npy",
    resume: bool = False,
    batch_size: int = 32,
    precision: str = AUTO,
    variant: str | None = None,
    max_image_pixels: int = MAX_IMAGE_PIXELS,
    verbose: int = 1,
) -> Features:
    """Computes the activations of a network's layers for images of any size and color.

    Images become inputs as in `predict` and `evaluate`.

    Args:
        model: a run's folder, a `.keras` file, a SavedModel's folder, the name of a network whose
            weights come with the package, or a model that `build` made.
        images: what `predict` takes: paths, folders, bytes, pixels 0–255, or several of them.
        layers: names of layers, as `layer_table` lists them; text is split at commas. "conv3" is
            the layer's output, after its activation, and "conv3:linear" before it. "features" is
            the last hidden layer, and the only one that a SavedModel has.
        pooling: "avg" or "max" pools maps over their positions to `[N, channels]`.
        flatten: whether to make vectors of maps, in the order height, width, channel.
        out: a folder to write to, which must not exist or be empty. Activations are written batch
            by batch, to `<out>.unfinished` until all are done, so they need not fit in memory.
        format: "npy", a file for each layer; "parquet" or "hdf5", one file for all, for which
            pyarrow or h5py must be installed.
        resume: whether to go on from what an earlier call with the same arguments had written to
            `out` when it was stopped or killed; the result is the same, bit for bit.
        batch_size: the number of images in one step, at most 65,536.
        precision: "auto", "float32", "mixed_bfloat16" or "mixed_float16". In all of them, the
            arrays are float32; but only in float32, their values have more than 2 or 3 digits.
        variant: the network, for a file that does not say which it is.
        max_image_pixels: the largest image that is decoded.
        verbose: 0 shows only warnings, 1 also lines and progress bars, 2 lines but no bars.

    Returns:
        A dict: name of a layer → float32 `[N, height, width, channels]` or `[N, units]`, with the
        names of the images. Images that cannot be read have no row; they are logged, and listed in
        `errors`. With `out`, the arrays are memory-mapped from its `.npy` files; for the other
        formats, the dict is empty.

    Raises:
        UsageError: an argument that cannot be used, such as an unknown layer or pixels in 0–1.
        UserError: there is no such model, or nothing to resume; `out` holds something; a package
            is missing; or the activations are not finite.

    Example:
        >>> found = features("cifar_v2", np.zeros([2, 40, 50, 3], np.uint8), ["conv2", "fc4"])
        >>> {name: array.shape for name, array in found.items()}
        {'conv2': (2, 9, 9, 64), 'fc4': (2, 192)}
        >>> found.images
        ('image 0', 'image 1')
    """
    return extract(
        FeaturesConfig(
            model=model,
            layers=layers,  # type: ignore[arg-type]
            pooling=pooling,
            flatten=flatten,
            out=out,
            format=format,
            resume=resume,
            batch_size=batch_size,
            precision=precision,
            variant=variant,
            max_image_pixels=max_image_pixels,
        ),
        images,
    )


def extract(config: FeaturesConfig, images: Any) -> Features:
    """Does what `features` does, with its arguments in a config.

    Example:
        >>> pixels = np.zeros([40, 50, 3], np.uint8)
        >>> extract(FeaturesConfig(model="cifar_v2"), pixels)["features"].shape
        (1, 192)
    """
    if config.out is not None:
        check_out(config)
    inputs = input_images(images)
    network = TrainedNetwork.load(config.model, config.variant).in_precision(config.precision)
    outputs = LayerOutputs(network, config.layers, config.pooling, config.flatten)
    decoder = Decoder(network.plan)
    decoder.max_image_pixels = config.max_image_pixels
    if config.out is None:
        memory = _Memory(outputs.shapes)
        _run(config, inputs, decoder, outputs, memory)
        return Features(memory.arrays(), memory.images, memory.errors)
    with FeatureFiles(config, network, outputs.shapes) as written:
        _run(config, inputs, decoder, outputs, written)
        rows = written.finish()
    errors = {row.image: row.error for row in rows if row.error is not None}
    arrays = written.mapped() if config.format == "npy" else {}
    return Features(arrays, [row.image for row in rows if row.error is None], errors)


class _Memory:
    """Activations in memory."""

    def __init__(self, shapes: dict[str, tuple[int, ...]]):
        self.images: list[str] = []
        self.errors: dict[str, str] = {}
        self._parts = {name: [np.zeros([0, *shape], np.float32)] for name, shape in shapes.items()}

    def done(self) -> Iterator[Row]:
        return iter(())

    def add(self, rows: list[Row], values: dict[str, np.ndarray]) -> None:
        for row in rows:
            if row.error is None:
                self.images.append(row.image)
            else:
                self.errors[row.image] = row.error
        for name, array in values.items():
            self._parts[name].append(array)

    def arrays(self) -> dict[str, np.ndarray]:
        # One by one, so that only one layer is in memory twice.
        return {name: np.concatenate(self._parts.pop(name)) for name in list(self._parts)}


def _run(
    config: FeaturesConfig,
    images: list[InputImage] | Iterator[InputImage],
    decoder: Decoder,
    outputs: LayerOutputs,
    written: "_Memory | FeatureFiles",
) -> None:
    """Computes the activations of all images that are not done, batch by batch."""
    left, done = iter(images), 0
    for row in written.done():
        image = next(left, None)
        done += 1
        if image is None or image.name != row.image:
            found = "missing" if image is None else printable(image.name)
            raise UserError(
                f"The images are not those of the stopped command: image {done} was "
                f"{printable(row.image)}, and is {found}. Pass the same images, or omit --resume "
                "(resume=) to start again."
            )
    with contextlib.ExitStack() as stack:
        progress = None
        if isinstance(images, list):
            progress = stack.enter_context(Progress(len(images), "features"))
            progress.advance(done)
        items = stack.enter_context(
            contextlib.closing(preprocessed(_hashed(decoder.preprocess), left))
        )
        for batch in batches(items, config.batch_size):
            squares = [item.image.made for item in batch if item.error is None]
            values = outputs(decoder.inputs(squares)) if squares else {}
            written.add([_row(item) for item in batch], values)
            if progress is not None:
                progress.advance(len(batch))


class _Read(NamedTuple):
    made: np.ndarray
    sha256: str


def _hashed(preprocess: Callable[[bytes], np.ndarray]) -> Callable[[bytes], _Read]:
    return lambda contents: _Read(preprocess(contents), hashlib.sha256(contents).hexdigest())


def _row(item: Item) -> Row:
    if item.error is not None:
        logging.warning("%s is left out: %s", printable(item.name), printable(item.error))
        return Row(item.name, error=item.error)
    return Row(item.name, item.image.sha256)
