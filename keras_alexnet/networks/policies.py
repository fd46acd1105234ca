"""Copies of a network that compute under another dtype policy."""

import keras

# In float32 in every precision: a thousand classes need more than the 8 bits of bfloat16.
_FLOAT32 = ("logits", "predictions")


def in_policy(model: keras.Model, policy: str) -> keras.Model:
    """Returns a copy of a network for inference under another dtype policy, with its own weights.

    Args:
        model: a network that `build` made.
        policy: a name of Keras's; under bfloat16 and float16, weights are rounded once, where
            mixed_bfloat16 and mixed_float16 would round them at every call, with equal results.

    Returns:
        A model that takes the same pixels and returns float32 logits. Standardization and the
        classifier compute in float32.

    Example:
        >>> model = keras_alexnet.build("cifar_v2")
        >>> in_policy(model, "bfloat16").get_layer("conv1").compute_dtype
        'bfloat16'
    """

    def copied(layer: keras.layers.Layer) -> keras.layers.Layer:
        # Zeros, because drawing weights that are replaced would take a second for alexnet.
        config = {
            name: "zeros" if name.endswith("_initializer") else value
            for name, value in layer.get_config().items()
        }
        config["dtype"] = "float32" if layer.name in _FLOAT32 else policy
        return type(layer).from_config(config)

    copy = keras.models.clone_model(model, clone_function=copied)
    for own, given in zip(copy.weights, model.weights, strict=True):
        own.assign(given)
    return copy
