"""Benchmark of locally connected layers against convolutions of the same multiply-accumulates."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_alexnet.benchmarks.catalog import Settings
from keras_alexnet.benchmarks.measures import report_of
from keras_alexnet.benchmarks.report import Report
from keras_alexnet.benchmarks.timed_run import Workload
from keras_alexnet.benchmarks.timing import WARM_UP_STEPS, compare, seconds_a_call
from keras_alexnet.distributed.precision import precision
from keras_alexnet.errors import UsageError
from keras_alexnet.networks import build, variants
from keras_alexnet.networks.spec import ConvolutionSpec, LocallyConnectedSpec, NetworkSpec


def measure(settings: Settings) -> Report:
    """Measures the locally connected layers of each network, and the network as a whole.

    Raises:
        UsageError: a network has no locally connected layer.
    """
    for variant in settings.variants:
        _checked(variant)
    return report_of(MEASURES, settings)


def measure_layers(workload: Workload, rounds: int) -> dict[str, Any]:
    """Measures each layer: forward, and forward with the gradients of its inputs and weights.

    Raises:
        UsageError: the network has no locally connected layer.
    """
    network = _checked(workload.variant)
    found: dict[str, Any] = {}
    with precision(workload.precision):
        convolutions, local = _built(_with_convolutions(network)), _built(network)
        for spec in filter(_is_local, network.features):
            pair = {
                "convolution": convolutions.get_layer(spec.name),
                "locally connected": local.get_layer(spec.name),
            }
            inputs = _inputs(pair["convolution"], workload.batch_size)
            found[spec.name] = {
                way: _compare(
                    {name: make(layer, inputs) for name, layer in pair.items()},
                    workload.steps,
                    rounds,
                )
                for way, make in (("forward", _forward), ("gradients", _gradients))
            }
    words = [
        f"{name} {1 / ways['forward']['ratio']:.2f} forward and "
        f"{1 / ways['gradients']['ratio']:.2f} gradients"
        for name, ways in found.items()
    ]
    text = "Images a second of a locally connected layer over those of a convolution"
    return found | {"in_words": f"{text} (goal: at least 0.5): {', '.join(words)}"}


def measure_network(workload: Workload, rounds: int) -> dict[str, Any]:
    """Measures the whole network's training step.

    Raises:
        UsageError: the network has no locally connected layer.
    """
    network = _checked(workload.variant)
    with precision(workload.precision):
        sides = {
            "convolution": _training_step(_built(_with_convolutions(network)), workload.batch_size),
            "locally connected": _training_step(_built(network), workload.batch_size),
        }
        found = _compare(sides, workload.steps, rounds)
    seconds = found["seconds_a_step"]
    rates = {name: workload.batch_size / np.median(values) for name, values in seconds.items()}
    return found | {
        "images_per_second": rates,
        "in_words": f"{network.name} in training: {1 / found['ratio']:.2f} of the images a second "
        f"of the same network with convolutions ({rates['locally connected']:.0f} and "
        f"{rates['convolution']:.0f})",
    }


MEASURES = {"layers": measure_layers, "network": measure_network}


def _is_local(spec: Any) -> bool:
    return isinstance(spec, LocallyConnectedSpec)


def _checked(variant: str) -> NetworkSpec:
    network = variants.get(variant)
    if not any(map(_is_local, network.features)):
        known = [
            name
            for name in variants.list_variants()
            if any(map(_is_local, variants.get(name).features))
        ]
        raise UsageError(
            f"{variant} has no locally connected layer. Give --variants one of {', '.join(known)}."
        )
    return network


def _with_convolutions(network: NetworkSpec) -> NetworkSpec:
    """The same network with a convolution in place of each locally connected layer."""
    features = tuple(
        ConvolutionSpec(spec.name, spec.filters, spec.kernel, padding=spec.padding)
        if isinstance(spec, LocallyConnectedSpec)
        else spec
        for spec in network.features
    )
    return dataclasses.replace(network, features=features)


def _built(network: NetworkSpec) -> keras.Model:
    image = keras.Input((network.input_size, network.input_size, 3), name="image")
    choices = build.Choices.checked(network, seed=0)
    return keras.Model(image, build.connect(image, network, network.layers, choices))


def _inputs(layer: keras.layers.Layer, batch_size: int) -> tf.Tensor:
    """Inputs as the layer before gives them, so that no conversion is timed."""
    shape = [batch_size, *layer.input.shape[1:]]
    return tf.cast(tf.random.stateless_normal(shape, [0, 0]), layer.compute_dtype)


def _forward(layer: keras.layers.Layer, inputs: tf.Tensor) -> Callable[[], Any]:
    return tf.function(lambda: layer(inputs))


def _gradients(layer: keras.layers.Layer, inputs: tf.Tensor) -> Callable[[], Any]:
    @tf.function
    def gradients() -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            total = tf.reduce_sum(layer(inputs) ** 2)
        return tape.gradient(total, [inputs, *layer.trainable_variables])

    return gradients


def _training_step(model: keras.Model, batch_size: int) -> Callable[[], Any]:
    pixels = tf.random.stateless_uniform([batch_size, *model.input_shape[1:]], [0, 0], 0, 255)
    labels = tf.range(batch_size) % model.output_shape[-1]
    optimizer = keras.optimizers.SGD(1e-6, momentum=0.9)
    optimizer.build(model.trainable_variables)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function
    def step() -> tf.Tensor:
        with tf.GradientTape() as tape:
            value = loss(labels, model(pixels, training=True))
        gradients = tape.gradient(value, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return value

    return step


def _compare(calls: dict[str, Callable[[], Any]], steps: int, rounds: int) -> dict[str, Any]:
    for call in calls.values():
        seconds_a_call(call, WARM_UP_STEPS)
    sides = {name: lambda call=call: seconds_a_call(call, steps) for name, call in calls.items()}
    return compare(sides, rounds)
