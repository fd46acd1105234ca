"""Networks whose top-1 means something, for benchmarks of inference."""

import keras
import numpy as np

from keras_alexnet.data import pipeline
from keras_alexnet.data.splits import Split
from keras_alexnet.models import build
from keras_alexnet.networks.image_plan import ImagePlan
from keras_alexnet.networks.locally_connected import LocallyConnected
from keras_alexnet.trained import TrainedNetwork
from keras_alexnet.weights import named

_BATCH = 64
_RIDGE = 1e-3  # of the mean square of the features


def of_package(variant: str) -> TrainedNetwork | None:
    """Returns the network with the weights that come with the package, if there are some."""
    for each in named.list_named():
        if each.variant == variant:
            return TrainedNetwork.load(each.file)
    return None


def fitted(variant: str, training: Split) -> TrainedNetwork:
    """Returns a network with random weights, whose classifier is fitted to images.

    Initial weights of 2012 make features that hardly depend on the image, so these are drawn as He
    et al. do. The classifier is a ridge regression on the features. That takes one pass over the
    images, and gives logits whose order is as stable as in trained networks.

    Args:
        variant: the network, which keeps its number of classes.
        training: a few hundred images.
    """
    model = build(variant, seed=0)
    random = np.random.default_rng(0)
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(_he(layer, random))
    # There is no file, and nothing asks for it.
    network = TrainedNetwork.of_model(model, variant)
    pixels, labels = inputs_of(training, network.plan)
    features = np.concatenate(
        [
            network.features(np.float32(pixels[start : start + _BATCH]), training=False).numpy()
            for start in range(0, len(pixels), _BATCH)
        ]
    )
    model.get_layer("logits").set_weights(_ridge(features, labels, model.output_shape[-1]))
    return network


def inputs_of(split: Split, plan: ImagePlan) -> tuple[np.ndarray, np.ndarray]:
    """Returns all inputs of a split, uint8 `[n, H, W, 3]`, and their labels `[n]`."""
    batches = list(pipeline.eval_batches(split, plan, batch_size=_BATCH))
    images, labels = zip(*batches, strict=True)
    return np.concatenate([each.numpy() for each in images]), np.concatenate(labels)


def _he(layer: keras.layers.Layer, random: np.random.Generator) -> list[np.ndarray]:
    kernel, bias = layer.get_weights()
    of_one_place = kernel.shape[2:] if isinstance(layer, LocallyConnected) else kernel.shape
    std = np.sqrt(2 / np.prod(of_one_place[:-1]))
    return [random.normal(0, std, kernel.shape).astype(np.float32), np.zeros_like(bias)]


def _ridge(features: np.ndarray, labels: np.ndarray, classes: int) -> list[np.ndarray]:
    """Returns kernel and bias of the classifier; a class without images is never the likeliest."""
    mean = features.mean(0, dtype=np.float64)
    centered, wanted = features - mean, np.eye(classes)[labels]
    products = centered @ centered.T
    products += _RIDGE * np.trace(products) * np.eye(len(products))
    kernel = centered.T @ np.linalg.solve(products, wanted - wanted.mean(0))
    bias = wanted.mean(0) - mean @ kernel
    bias[wanted.sum(0) == 0] = -1
    return [kernel.astype(np.float32), bias.astype(np.float32)]
