"""The files of weights with a name: a `.safetensors` file, and its card in JSON.

Those that come with the package and, in the cache, published ones have the same form.
"""

import dataclasses
import hashlib
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_alexnet import run_folder
from keras_alexnet.distributed.precision import precision
from keras_alexnet.errors import UserError
from keras_alexnet.networks.build import build, standardize_layer
from keras_alexnet.networks.spec import NetworkSpec
from keras_alexnet.utils import files, finite, json_files, json_schema
from keras_alexnet.utils.json_schema import COUNT, Number, OneOf
from keras_alexnet.weights import quantized
from keras_alexnet.weights.layout import fitting_tensors

FOLDER = pathlib.Path(__file__).parent / "shipped"  # those that come with the package
WEIGHTS, CARD = ".safetensors", ".json"  # endings of the two files of a set of weights

_COLOR, _SIZE = Number(0, 255), Number(1, 2**14, whole=True)

# What every card holds; the comments say what the names do not.
_CARD: json_schema.Schema = {
    **dict.fromkeys(("variant", "name", "file", "sha256"), str),
    "stored_as": str,  # one of quantized.FORMS, or float32
    "parameters": COUNT,
    "labels": [str],
    "input_size": _SIZE,
    "image_plan": {
        **dict.fromkeys(("square_size", "crop_size", "input_size"), _SIZE),
        **{"crop_padding": COUNT, "warp": bool, "resize": str},
        ...: None,
    },
    **dict.fromkeys(("pixel_mean", "pixel_std"), [_COLOR]),
    **dict.fromkeys(("dataset", "license"), str),
    "test_images": COUNT,
    **dict.fromkeys(("commit", "tensorflow", "keras", "date"), str),
}

# What that of weights holds too that come with the package.
_MEASURED: json_schema.Schema = {
    # Of exactly these weights: number of views → loss, top-1 and top-5 on all test images.
    "accuracy": {...: {"loss": Number(), "top1": Number(0, 1), "top5": Number(0, 1)}},
    "top1_before": OneOf(None, Number(0, 1)),  # of the float32 weights, one view
    **dict.fromkeys(("data_sha256", "data_sha256_of"), str),
    "command": str,  # that trains such a network
    "training": run_folder.RESULTS_SCHEMA,
    "check": [[float]],  # the logits of `check_images`
}

# What that of published weights holds too.
_PUBLISHED: json_schema.Schema = {
    "accuracy": {...: {"top1": Number(0, 1), "top5": Number(0, 1)}},  # as published
    "published": {
        "format": COUNT,
        **dict.fromkeys(("file", "url", "sha256", "publisher"), str),
        "bytes": COUNT,
    },
}


def read_card(weights: pathlib.Path) -> dict[str, Any]:
    """Returns the card of a `.safetensors` file; only that of published weights has "published".

    Raises:
        UserError: it is missing or damaged.
    """
    path, advice = weights.with_suffix(CARD), _advice(weights)
    card = json_files.read(path, _CARD, advice, nan=True)
    more = _PUBLISHED if "published" in card else _MEASURED
    return json_files.matched(card, more, path, advice, nan=True)


def read_model(weights: pathlib.Path) -> keras.Model:
    """Builds the network of a `.safetensors` file with its weights, in float32.

    Raises:
        UserError: the file is not the one that its card describes, or the card is damaged.

    Example:
        >>> kind, file = keras_alexnet.weights.named.locate("cifar_v2")
        >>> read_model(file).name
        'cifar_v2'
    """
    card = read_card(weights)
    tensors = quantized.unpack(_read_tensors(weights, card["sha256"]))
    size = card["input_size"]
    with precision("float32"):
        model = build(card["variant"], num_classes=len(card["labels"]), input_shape=(size, size, 3))
    wanted = {
        layer.name: {f"{layer.name}/{each.name}": tuple(each.shape) for each in layer.weights}
        for layer in model.layers
        if layer.weights
    }
    found = fitting_tensors(
        {layer: list(shapes.values()) for layer, shapes in wanted.items()},
        {layer: list(shapes) for layer, shapes in wanted.items()},
        tensors,
        title=f"The weights of {weights} and {card['variant']}",
    )
    finite.check_weights(weights, tensors.items())
    for layer, values in found.items():
        model.get_layer(layer).set_weights(values)
    pixels = standardize_layer(model)
    pixels.mean, pixels.std = list(card["pixel_mean"]), list(card["pixel_std"])
    return model


def of_network(spec: NetworkSpec) -> dict[str, Any]:
    """Returns what a card says of a network that `build` makes by default."""
    return {
        "variant": spec.name,
        "input_size": spec.input_size,
        "image_plan": dataclasses.asdict(spec.image_plan),
        "pixel_mean": list(spec.standardization.mean),
        "pixel_std": list(spec.standardization.std),
    }


def origin(card: Mapping[str, Any] | None, facts: Sequence[str]) -> dict[str, Any]:
    """Returns what results say of a network's weights.

    Args:
        card: the card of its weights, or None if they have none.
        facts: names in the card of weights that come with the package.

    Returns:
        These facts under "shipped"; what is known of published weights under "published"; None
        under what the weights are not.
    """
    if card is None:
        return {"shipped": None, "published": None}
    if "published" not in card:
        return {"shipped": {name: card[name] for name in facts}, "published": None}
    names = ("name", "dataset", "test_images", "accuracy", "license")
    return {"shipped": None, "published": {**{n: card[n] for n in names}, **card["published"]}}


def write(weights: pathlib.Path, stored: Mapping[str, np.ndarray], card: dict[str, Any]) -> None:
    """Writes the tensors that `quantized.pack` returned, and their card, each whole or not at all.

    Until the card is there too, the weights do not have its hash, and nobody can load them.

    Args:
        weights: the `.safetensors` file.
        stored: the tensors.
        card: all but the name of the file and its hash.
    """
    from safetensors.numpy import save

    contents = save({name: np.ascontiguousarray(each) for name, each in stored.items()})
    with files.atomic_write(weights) as temporary:
        temporary.write_bytes(contents)  # save_file would keep it from other users
    of_file = {"file": weights.name, "sha256": files.sha256_of(weights)}
    files.write_json(weights.with_suffix(CARD), {**card, **of_file})


def check_images(size: int) -> np.ndarray:
    """Returns images whose logits are on each card, to tell whether a network computes the same.

    Returns:
        uint8 `[4, size, size, 3]`: waves of several lengths and colors, from whole numbers alone,
        so that they are the same everywhere.

    Example:
        >>> check_images(32).shape, check_images(32)[1, 2, 3].tolist()
        ((4, 32, 32, 3), [51, 97, 143])
    """
    image, row, column, color = np.indices([4, size, size, 3])
    waves = (row * 5 * (image + 1) + column * column * (3 - image) + color * 46 + 13 * image) % 512
    return np.minimum(waves, 511 - waves).astype(np.uint8)


def _read_tensors(path: pathlib.Path, sha256: str) -> dict[str, np.ndarray]:
    from safetensors.numpy import load

    try:
        contents = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}. {_advice(path)}") from error
    found = hashlib.sha256(contents).hexdigest()
    if found != sha256:
        raise UserError(
            f"{path} is not the file that its card describes: its SHA-256 should be {sha256}. "
            f"Received: {found}. {_advice(path)}"
        )
    return load(contents)


def _advice(weights: pathlib.Path) -> str:
    if weights.parent == FOLDER:
        return "Install keras_alexnet again."
    return "Put a copy of both files back, or name the weights, such as imagenet, not their file."
