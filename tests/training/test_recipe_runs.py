"""Whole runs by recipes that change on the way: drops, freezing, noise that ends, two stages."""

import dataclasses
import json
import pathlib

import keras
import numpy as np
import pytest

import keras_alexnet as ka
from keras_alexnet import run_folder


class _Kill(keras.callbacks.Callback):
    def __init__(self, step):
        super().__init__()
        self.step = step

    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations.numpy() == self.step:
            raise RuntimeError("killed")


class _Weights(keras.callbacks.Callback):
    """The first kernel, and the rate, after each step."""

    def on_train_begin(self, logs=None):
        self.kernels, self.rates = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.kernels.append(self.model.layers[2].kernel.numpy())
        self.rates.append(float(self.model.optimizer.learning_rate.numpy()))


@pytest.mark.slow
def test_resumed_amid_drop_freezing_and_the_end_of_noise_it_ends_as_one_never_stopped(config):
    # Two epochs of 5 steps: a drop after 6, and after the first epoch conv1 and the noise end.
    changing = {
        **{"schedule": "drops", "drop_epochs": (1.2,), "learning_rate": 0.01, "bias_rate": 2.0},
        **{"augment": ("crop", "flip", "color_noise(2012, until=1)"), "freeze_from_epoch": 1},
        **{"keep": "last", "weight_decay": 0.01},
    }
    config = dataclasses.replace(
        config,
        overrides={**config.overrides, **changing},
        freeze_until="conv2",
    )
    seen = _Weights()
    found = ka.train(config, callbacks=[seen])
    assert seen.rates == pytest.approx([0.01] * 6 + [0.001] * 4)
    moved = [
        not np.array_equal(*pair) for pair in zip(seen.kernels, seen.kernels[1:], strict=False)
    ]
    assert moved == [True] * 4 + [False] * 5
    assert found["freeze_until"] == "conv2" and "freeze_until=conv2" in found["overrides"]

    killed = dataclasses.replace(
        config, workdir=f"{config.workdir}-killed", checkpoint_every_steps=7
    )
    with pytest.raises(RuntimeError, match="killed"):
        ka.train(killed, callbacks=[_Kill(8)])
    again = ka.TrainConfig(workdir=killed.workdir, resume=True)
    with pytest.raises(ka.UserError, match="freeze_until: conv2 before, now logits"):
        ka.train(dataclasses.replace(again, freeze_until="logits"))
    ka.train(again)
    whole, resumed = (ka.load(run.workdir).model.get_weights() for run in (config, killed))
    for one, other in zip(whole, resumed, strict=True):
        np.testing.assert_array_equal(one, other)


def test_two_stages_of_cuda_convnet_at_24_pixels_with_ten_views(config):
    # As the note of cuda_convnet_11pct says, with its numbers made small: 58 images, then all 72.
    small = {"global_batch_size": 16, "drop_epochs": (2,)}
    config = dataclasses.replace(config, variant="cuda_convnet_80sec", recipe="document")
    first = {**small, "epochs": 1, "validation_fraction": 0.2}
    found = ka.train(dataclasses.replace(config, overrides=first))
    assert (found["train_images"], found["validation_images"], found["steps"]) == (58, 14, 4)
    assert found["views"] == 10 and "input_size" not in found["overrides"]
    second = ka.TrainConfig(
        workdir=config.workdir,
        resume=True,
        overrides={"epochs": 3, "validation_fraction": 0.0},
        allow_change="validation_fraction,epochs",
    )
    seen = _Weights()
    found = ka.train(second, callbacks=[seen])
    assert (found["train_images"], found["validation_images"], found["epochs"]) == (72, 0, 3)
    assert seen.rates == pytest.approx([0.001] * 5 + [0.0001] * 5)
    described = json.loads((pathlib.Path(config.workdir) / run_folder.CONFIG).read_text())
    assert (described["config"]["input_size"], described["config"]["views"]) == (24, 10)
    assert described["recipe"]["layer_decay"] == {"fc64": 7.5, "logits": 7.5}
    assert ka.load(config.workdir).model.input_shape == (None, 24, 24, 3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"freeze_until": "conv9"}, "freeze_until must be a layer of the network: conv1, pool1"),
        ({"overrides": {"freeze_from_epoch": 3}}, "pass --freeze_from_epoch=0"),
    ],
)
def test_freezing_is_checked_before_the_data_are_read(config, given, message):
    with pytest.raises(ka.UsageError, match=message):
        ka.train(dataclasses.replace(config, data_dir="nowhere", **given))
