"""Keras callbacks that act at a step or an epoch of a run."""

from collections.abc import Callable

import keras

Action = Callable[[keras.Model], object]  # called with the network that is trained


class _At(keras.callbacks.Callback):
    def __init__(self, when: str, number: int, action: Action):
        super().__init__()
        self.when, self.number, self.action = when, number, action

    def _act_at(self, when: str, number: int) -> None:
        if (when, number) == (self.when, self.number):
            self.action(self.model)

    def on_train_batch_begin(self, batch, logs=None):
        self._act_at("before step", int(self.model.optimizer.iterations.numpy()) + 1)

    def on_train_batch_end(self, batch, logs=None):
        self._act_at("step", int(self.model.optimizer.iterations.numpy()))

    def on_epoch_begin(self, epoch, logs=None):
        self._act_at("before epoch", epoch + 1)

    def on_epoch_end(self, epoch, logs=None):
        self._act_at("epoch", epoch + 1)

    def on_train_end(self, logs=None):
        self._act_at("end", 0)


def at_step(step: int, action: Action) -> keras.callbacks.Callback:
    """Calls `action(model)` after optimizer step `step` of the run, counted from 1."""
    return _At("step", step, action)


def before_step(step: int, action: Action) -> keras.callbacks.Callback:
    """Calls `action(model)` before optimizer step `step` of the run, counted from 1."""
    return _At("before step", step, action)


def at_epoch(epoch: int, action: Action) -> keras.callbacks.Callback:
    """Calls `action(model)` after epoch `epoch`, counted from 1, has been saved."""
    return _At("epoch", epoch, action)


def before_epoch(epoch: int, action: Action) -> keras.callbacks.Callback:
    """Calls `action(model)` before the first step of epoch `epoch`, counted from 1."""
    return _At("before epoch", epoch, action)


def at_end(action: Action) -> keras.callbacks.Callback:
    """Calls `action(model)` at the end of training."""
    return _At("end", 0, action)


def crash_at(step: int) -> keras.callbacks.Callback:
    """Ends the run after a step like a crash, which saves nothing."""

    def crash(model):
        raise RuntimeError("killed")

    return at_step(step, crash)


class Seen(keras.callbacks.Callback):
    """Records the epochs that begin, from 1, and each step's learning rate and first kernel."""

    def __init__(self):
        super().__init__()
        self.epochs, self.batches, self.rates, self.kernels = [], [], [], []

    def on_epoch_begin(self, epoch, logs=None):
        self.epochs.append(epoch + 1)

    def on_train_batch_end(self, batch, logs=None):
        self.batches.append(batch)
        self.rates.append(float(self.model.optimizer.learning_rate.numpy()))
        self.kernels.append(self.model.trainable_variables[0].numpy())
