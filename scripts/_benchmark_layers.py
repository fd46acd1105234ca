"""How fast locally connected layers are beside convolutions of the same multiply-accumulates."""

import dataclasses
import os
import time

import keras
import numpy as np
import tensorflow as tf
from absl import logging

import keras_alexnet as ka
from keras_alexnet.networks import build, spec, variants
from keras_alexnet.utils import provenance

WARM_UP_STEPS = 3


def measure(names, variant: str, batch_size: int, steps: int, repeats: int) -> dict:
    """Returns name of a measure → its figures, and with what they were found.

    Raises:
        UsageError: the variant has no locally connected layer.
    """
    network = variants.get(variant)
    if _shared(network) == network:
        local = [name for name in ka.list_variants() if _shared(row := variants.get(name)) != row]
        raise ka.UsageError(
            f"{variant} has no locally connected layer. Give --variant one of {', '.join(local)}."
        )
    found = {
        "variant": variant,
        "batch_size": batch_size,
        "steps": steps,
        "repeats": repeats,
        "cores": len(os.sched_getaffinity(0)),
        **provenance.provenance(),
    }
    return found | {name: MEASURES[name](network, batch_size, steps, repeats) for name in names}


def _shared(network: spec.NetworkSpec) -> spec.NetworkSpec:
    """The same network with a convolution in the place of each locally connected layer."""
    features = tuple(
        spec.ConvolutionSpec(row.name, row.filters, row.kernel, padding=row.padding)
        if isinstance(row, spec.LocallyConnectedSpec)
        else row
        for row in network.features
    )
    return dataclasses.replace(network, features=features)


def _built(network: spec.NetworkSpec) -> keras.Model:
    image = keras.Input((network.input_size, network.input_size, 3), name="image")
    choices = build.Choices.checked(network, seed=0)
    return keras.Model(image, build.connect(image, network, network.layers, choices))


def _layers(network: spec.NetworkSpec, batch_size: int, steps: int, repeats: int) -> dict:
    """Each layer alone: forward, and forward with the gradients of inputs and weights."""
    sides = {"convolution": _built(_shared(network)), "locally connected": _built(network)}
    found, words = {}, []
    for row in network.features:
        if not isinstance(row, spec.LocallyConnectedSpec):
            continue
        layers = {name: model.get_layer(row.name) for name, model in sides.items()}
        inputs = tf.random.stateless_normal(
            [batch_size, *layers["convolution"].input.shape[1:]], [0, 0]
        )
        found[row.name] = {
            way: _compared(
                {name: make(layer, inputs) for name, layer in layers.items()}, steps, repeats
            )
            for way, make in (("forward", _forward), ("gradients", _gradients))
        }
        speeds = [f"{each['speed']:.2f} {way}" for way, each in found[row.name].items()]
        words.append(f"{row.name} {' and '.join(speeds)}")
    return {
        **found,
        "in_words": "Images a second of a locally connected layer over those of a convolution "
        f"(goal: at least 0.5): {', '.join(words)}",
    }


def _network(network: spec.NetworkSpec, batch_size: int, steps: int, repeats: int) -> dict:
    """The whole network's training step."""
    sides = {
        "convolution": _step(_built(_shared(network)), batch_size),
        "locally connected": _step(_built(network), batch_size),
    }
    found = _compared(sides, steps, repeats)
    rates = {
        name: batch_size / np.median(seconds) for name, seconds in found["seconds_a_step"].items()
    }
    return found | {
        "images_per_second": rates,
        "in_words": f"{network.name} in training: {found['speed']:.2f} of the images a second of "
        f"the same network with convolutions ({rates['locally connected']:.0f} and "
        f"{rates['convolution']:.0f})",
    }


def _forward(layer, inputs):
    return tf.function(lambda: layer(inputs))


def _gradients(layer, inputs):
    @tf.function
    def gradients():
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            total = tf.reduce_sum(layer(inputs) ** 2)
        return tape.gradient(total, [inputs, *layer.trainable_variables])

    return gradients


def _step(model: keras.Model, batch_size: int):
    pixels = tf.random.stateless_uniform([batch_size, *model.input_shape[1:]], [0, 0], 0, 255)
    labels = tf.range(batch_size) % model.output_shape[-1]
    optimizer = keras.optimizers.SGD(1e-6, momentum=0.9)
    optimizer.build(model.trainable_variables)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            value = loss(labels, model(pixels, training=True))
        gradients = tape.gradient(value, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return value

    return step


def _compared(sides: dict, steps: int, repeats: int) -> dict:
    """Times sides in turn; → seconds of each, and the median of the first over the second."""
    for call in sides.values():
        _seconds_a_call(call, WARM_UP_STEPS)
    seconds = {name: [] for name in sides}
    for _ in range(repeats):
        for name, call in sides.items():
            seconds[name].append(_seconds_a_call(call, steps))
            logging.info("%s: %.5f s a step", name, seconds[name][-1])
    first, second = (np.array(values) for values in seconds.values())
    return {
        "seconds_a_step": seconds,
        "ratios": (first / second).tolist(),
        "speed": float(np.median(first / second)),
    }


def _seconds_a_call(call, calls: int) -> float:
    started = time.perf_counter()
    for _ in range(calls):
        outputs = call()
    tf.nest.map_structure(lambda tensor: tensor.numpy(), outputs)  # on a GPU, calls do not wait
    return (time.perf_counter() - started) / calls


MEASURES = {"layers": _layers, "network": _network}
