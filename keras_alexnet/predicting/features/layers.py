"""LayerOutputs: the function from pixels to the outputs of some layers of a network."""

import copy
import os
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from keras_alexnet.errors import UsageError, UserError, unknown_name
from keras_alexnet.predicting.features.config import LAST
from keras_alexnet.trained import TrainedNetwork, check_finite

_LINEAR = ":linear"  # after a layer's name: its output before the activation

# Float pixels 0–255 → name of a layer → its output.
_Compute = Callable[[tf.Tensor], dict[str, tf.Tensor]]


class LayerOutputs:
    """Computes the outputs of layers.

    Args:
        network: a Keras network or a SavedModel.
        layers: their names, as in `features`.
        pooling: "avg" or "max" over the positions of maps, or None.
        flatten: whether maps become vectors.

    Attributes:
        shapes: name of a layer → shape of its output for one image.

    Raises:
        UsageError: there is no such layer, or it has no activation that can be left out.
        UserError: the network is in a file that does not show its layers.

    Example:
        >>> network = TrainedNetwork.load("cifar_v2")
        >>> LayerOutputs(network, ["conv2", "fc4:linear"]).shapes
        {'conv2': (9, 9, 64), 'fc4:linear': (192,)}
    """

    def __init__(
        self,
        network: TrainedNetwork,
        layers: Sequence[str],
        pooling: str | None = None,
        flatten: bool = False,
    ):
        if isinstance(network.model, keras.Model):
            compute = _of_keras(network, layers)
        elif network.path.is_dir():
            compute = _of_saved_model(network.path, layers)
        else:
            raise UserError(
                "Features need a run's folder, a .keras file or a SavedModel: other exported files "
                f"do not show their layers. Received: {network.path}."
            )
        declared = tf.TensorSpec([None, *network.input_shape], tf.uint8)

        @tf.function(input_signature=[declared], autograph=False)
        def forward(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
            outputs = compute(tf.cast(pixels, tf.float32))
            return {name: _shaped(outputs[name], pooling, flatten) for name in layers}

        self._compute = compute  # a graph does not keep the variables that it uses
        self._forward = forward.get_concrete_function()
        found = self._forward.structured_outputs
        self.shapes = {name: tuple(found[name].shape[1:]) for name in layers}

    def __call__(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        """Computes the outputs of a batch.

        Args:
            pixels: RGB 0–255, uint8 `[N, H, W, 3]`.

        Returns:
            Name of a layer → float32 `[N, *shape]`.

        Raises:
            UserError: some are NaN or infinite.
        """
        outputs = self._forward(tf.convert_to_tensor(pixels))
        found = {name: outputs[name].numpy() for name in self.shapes}
        for values in found.values():
            check_finite(values)
        return found


def _of_keras(network: TrainedNetwork, layers: Sequence[str]) -> _Compute:
    taps, linear = {}, {}
    for name in layers:
        layer = _layer(network, name)
        if layer is None:
            taps[name] = network.features.output
        elif name.endswith(_LINEAR):
            taps[name], linear[name] = layer.input, _without_activation(layer)
        else:
            taps[name] = layer.output
    part = keras.Model(network.model.input, taps)

    def compute(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = part(pixels, training=False)
        return {
            name: linear[name](output) if name in linear else output
            for name, output in outputs.items()
        }

    return compute


def _layer(network: TrainedNetwork, name: str) -> keras.layers.Layer | None:
    """Returns a layer by its name, without the ending; None is the last hidden layer."""
    known = {
        each.name: each
        for each in network.model.layers
        if not isinstance(each, keras.layers.InputLayer)
    }
    if name == LAST and name not in known:
        return None
    found = known.get(name.removesuffix(_LINEAR))
    if found is None:
        raise unknown_name(f"layer of {network.variant}", name, [*known, LAST])
    if name.endswith(_LINEAR) and not hasattr(found, "activation"):
        with_one = [each for each, layer in known.items() if hasattr(layer, "activation")]
        raise UsageError(
            f"{name} is {found.name} before its activation, but it has none. Layers that have one: "
            f"{', '.join(with_one)}."
        )
    return found


def _without_activation(layer: keras.layers.Layer) -> keras.layers.Layer:
    """Returns a layer with the very weights of another one, but without its activation."""
    linear = copy.copy(layer)
    linear.activation = keras.activations.linear
    return linear


def _of_saved_model(folder: os.PathLike, layers: Sequence[str]) -> _Compute:
    if others := [name for name in layers if name != LAST]:
        raise UsageError(
            f"Of a SavedModel, only {LAST!r} can be computed, its last hidden layer. For other "
            f"layers, use the run's folder or .keras file that was exported. Received: "
            f"{', '.join(others)}, of {folder}."
        )
    loaded = tf.saved_model.load(os.fspath(folder))
    if LAST not in loaded.signatures:
        raise UserError(
            f"{folder} has no signature {LAST!r}. It has: {', '.join(loaded.signatures)}. Export "
            "the network again with this version."
        )
    [(name, declared)] = loaded.signatures[LAST].structured_input_signature[1].items()

    def compute(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        function = loaded.signatures[LAST]
        return {LAST: function(**{name: tf.cast(pixels, declared.dtype)})["features"]}

    return compute


def _shaped(values: tf.Tensor, pooling: str | None, flatten: bool) -> tf.Tensor:
    values = tf.cast(values, tf.float32)
    if pooling is not None and values.shape.rank > 2:
        positions = list(range(1, values.shape.rank - 1))
        reduce = tf.reduce_mean if pooling == "avg" else tf.reduce_max
        return reduce(values, positions)
    if flatten:
        return tf.reshape(values, [-1, int(np.prod(values.shape[1:]))])
    return values
