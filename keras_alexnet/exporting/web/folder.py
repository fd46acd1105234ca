"""The folder of the page: its own files, network.json, labels and filters."""

import dataclasses
import pathlib
import shutil
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_alexnet import run_folder
from keras_alexnet.data.config import MAX_IMAGE_PIXELS
from keras_alexnet.errors import UsageError, UserError, unknown_name
from keras_alexnet.figures.filters import rgb_kernel, scaled
from keras_alexnet.networks import variants
from keras_alexnet.trained import TrainedNetwork
from keras_alexnet.utils import files

PAGE = pathlib.Path(__file__).with_name("page")
NETWORK, FILTERS = "network.json", "filters.png"


@dataclasses.dataclass(frozen=True)
class Page:
    """What the page says about a network, besides the network's own description.

    Attributes:
        input_dtype: "uint8" or "float32", the type of the pixels.
        layers: the layers whose maps are shown.
        models: the name and the file of each model, in the order of the choice.
        runtime: the name and the release of the runtime.
    """

    input_dtype: str
    layers: tuple[str, ...]
    models: dict[str, pathlib.Path]
    runtime: str


def check_layers(network: TrainedNetwork, layers: Sequence[str]) -> None:
    """Raises a `UsageError` unless all of these are layers of the network that put out maps."""
    known = {layer.name: layer.output for layer in network.model.layers[1:]}
    with_maps = [name for name, output in known.items() if len(output.shape) == 4]
    for name in layers:
        if name not in known:
            raise unknown_name(f"layer of {network.variant}", name, with_maps)
        if name not in with_maps:
            raise UsageError(
                f"The page shows the maps of layers, and {name} puts out a vector. Layers with "
                f"maps: {', '.join(with_maps)}."
            )


def write(network: TrainedNetwork, page: Page, folder: pathlib.Path) -> None:
    """Writes everything but the models and the runtime into the folder of the page."""
    for source in PAGE.iterdir():
        shutil.copyfile(source, folder / source.name)
    run_folder.write_labels(folder / run_folder.LABELS, network.labels)
    shapes = {name: list(network.model.get_layer(name).output.shape[1:]) for name in page.layers}
    description = {
        **network.description(),
        "title": variants.get(network.variant).title,
        "input_dtype": page.input_dtype,
        "max_image_pixels": MAX_IMAGE_PIXELS,
        "runtime": page.runtime,
        "models": [
            {"name": name, "file": path.name, "bytes": path.stat().st_size}
            for name, path in page.models.items()
        ],
        "layers": [{"name": name, "shape": shape} for name, shape in shapes.items()],
        "filters": _write_filters(network, page.layers, folder / FILTERS),
    }
    files.write_json(folder / NETWORK, description)


def _write_filters(
    network: TrainedNetwork, layers: Sequence[str], path: pathlib.Path
) -> dict[str, Any] | None:
    """Writes the filters of the first convolution, if it is shown, one below the other."""
    from PIL import Image

    first = next(
        (each for each in network.model.layers if isinstance(each, keras.layers.Conv2D)), None
    )
    if first is None or first.name not in layers:
        return None
    try:
        kernel = rgb_kernel(network.model, first)
    except UserError:  # it does not read colors
        return None
    pictures = scaled(kernel, "each")
    Image.fromarray(np.concatenate(list(pictures))).save(path)
    return {"layer": first.name, "file": path.name, "count": len(pictures)}
