"""Small networks to export, and the contents of SavedModels."""

import contextlib
import pathlib

import keras
import numpy as np
import pytest
from tensorflow.core.protobuf import saved_model_pb2

import keras_alexnet
from keras_alexnet import run_folder
from keras_alexnet.networks import variants
from keras_alexnet.networks.image_plan import ImagePlan
from keras_alexnet.trained import TrainedNetwork
from support import networks
from support.fixed_weights import set_fixed_weights
from support.networks import registered

SIGNATURES = ("serving_default", "image_bytes", "features")

# Together, these have every kind of layer, as test_saved_model checks; all others are slow.
EVERY_KIND_OF_LAYER = (
    "alexnet_2012",
    "alexnet_owt",
    "cifar_v2",
    "cuda_convnet_13pct",
    "cuda_convnet_18pct",
)
VARIANTS = [
    pytest.param(name, marks=[] if name in EVERY_KIND_OF_LAYER else pytest.mark.slow)
    for name in variants.list_variants()
]

LABELS = ["cat", "Hund, groß", "a b", "猫", "=1+1", "cat", "'\"", "#7", "0", "last"]


def shrunk(name: str):
    """A context in which a network has all its layers, but few filters and units."""
    return registered(networks.shrunk(variants.get(name), filters=8, units=16))


def trained(
    folder: pathlib.Path, name: str, labels=None, full_size=False, **options
) -> TrainedNetwork:
    """A network with weights from a fixed formula, saved as a run saves it and loaded again.

    The default labels are `class <number>`; `labels=()` writes none.
    """
    with contextlib.nullcontext() if full_size else shrunk(name):
        model = keras_alexnet.build(name, **options)
    set_fixed_weights(model)
    folder.mkdir(parents=True, exist_ok=True)
    if labels is None:
        labels = [f"class {number}" for number in range(model.output_shape[-1])]
    run_folder.save(folder, model, labels)
    if not labels:
        (folder / run_folder.LABELS).unlink()
    return TrainedNetwork.load(folder)


def transparent(plan: ImagePlan) -> TrainedNetwork:
    """A network whose logits are its pixels, to show what an export receives."""
    image = keras.Input((plan.input_size, plan.input_size, 3), name="image", dtype="float32")
    model = keras.Model(image, keras.layers.Flatten(name="logits")(image), name="transparent")
    labels = tuple(f"{number}" for number in range(model.output_shape[-1]))
    return TrainedNetwork(
        path=pathlib.Path("transparent.keras"),
        model=model,
        labels=labels,
        labels_are_names=False,
        variant="transparent",
        plan=plan,
        config=None,
        results=None,
    )


def noise(count: int, network: TrainedNetwork, seed: int = 0) -> np.ndarray:
    """Returns smooth waves with noise, each image different: uint8 `[count, H, W, 3]`."""
    generator = np.random.default_rng(seed)
    height, width, _ = network.input_shape
    y, x = np.mgrid[:height, :width][..., None] / height
    waves = np.sin(x[None] * generator.uniform(1, 9, (count, 1, 1, 3)) + y[None] * 5)
    pixels = 127 + 90 * waves + generator.normal(0, 20, (count, height, width, 3))
    return np.clip(pixels, 0, 255).astype(np.uint8)


def meta_graph(folder: pathlib.Path):
    """The only graph in a SavedModel's file, which is tagged for serving."""
    contents = (folder / "saved_model.pb").read_bytes()
    [found] = saved_model_pb2.SavedModel.FromString(contents).meta_graphs
    assert list(found.meta_info_def.tags) == ["serve"]
    return found


def nodes_of(graph, signature: str) -> list:
    """All nodes that run when a signature is called, with those of the functions it calls."""
    functions = {each.signature.name: each for each in graph.graph_def.library.function}
    [called] = {info.name.split(":")[0] for info in graph.signature_def[signature].outputs.values()}
    nodes = [node for node in graph.graph_def.node if node.name == called]
    for node in nodes:  # grows during the loop
        for attribute in node.attr.values():
            for function in (attribute.func, *attribute.list.func):
                if function.name in functions:
                    nodes.extend(functions.pop(function.name).node_def)
    return nodes


def keras_logits(network: TrainedNetwork, pixels) -> np.ndarray:
    """The logits that the Keras model computes for pixels of any number type."""
    return network.model(np.asarray(pixels, np.float32), training=False).numpy()
