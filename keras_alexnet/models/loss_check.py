"""check_loss and LossCheck: a loss that takes the logits of a network for probabilities."""

from typing import Any

import keras
from absl import logging

from keras_alexnet.errors import UsageError

# Losses that expect probabilities, unless from_logits is true.
_OF_PROBABILITIES = {
    "sparse_categorical_crossentropy",
    "categorical_crossentropy",
    "binary_crossentropy",
    "categorical_focal_crossentropy",
    "binary_focal_crossentropy",
}


def check_loss(model: keras.Model) -> keras.Model:
    """Checks that a compiled model's loss expects what the model computes.

    The networks return logits, and Keras's cross-entropies expect probabilities by default, so a
    network would train badly or not at all, without a word. Call this after `compile`:
    `keras_alexnet.check_loss(model).fit(batches)`. `LossCheck` only warns.

    Args:
        model: a model that `build` made, or one that ends in one; of others nothing is known.

    Returns:
        The model.

    Raises:
        UsageError: the model returns logits, and the loss expects probabilities; or the model
            returns probabilities, and the loss expects logits.

    Example:
        >>> model = keras_alexnet.build("cifar_v2")
        >>> model.compile(loss="sparse_categorical_crossentropy")
        >>> check_loss(model)
        Traceback (most recent call last):
        ...
        keras_alexnet.errors.UsageError: cifar_v2 returns logits, and the loss \
sparse_categorical_crossentropy expects probabilities. Compile with \
loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), or build with \
classifier_activation="softmax".
    """
    if (problem := _problem(model)) is not None:
        raise UsageError(problem)
    return model


class LossCheck(keras.callbacks.Callback):
    """Warns when `fit` or `evaluate` begins with a loss that `check_loss` refuses.

    Example:
        >>> model.fit(batches, callbacks=[LossCheck()])  # doctest: +SKIP
    """

    def __init__(self) -> None:
        super().__init__()
        self._has_warned = False

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._warn()

    def on_test_begin(self, logs: dict | None = None) -> None:
        self._warn()

    def _warn(self) -> None:
        problem = None if self._has_warned else _problem(self.model)
        if problem is not None:
            self._has_warned = True
            logging.warning("%s", problem)


def _problem(model: keras.Model) -> str | None:
    """Returns what is wrong with the loss of a model; None if nothing is, or nothing is known."""
    is_logits = _returns_logits(model)
    for loss in keras.tree.flatten(getattr(model, "loss", None)):
        name, from_logits = _described(loss)
        if name is None or is_logits is None or is_logits == from_logits:
            continue
        kind = _class_name(name)
        if is_logits:
            return (
                f"{model.name} returns logits, and the loss {name} expects probabilities. Compile "
                f"with loss=keras.losses.{kind}(from_logits=True), or build with "
                'classifier_activation="softmax".'
            )
        return (
            f"{model.name} returns probabilities, and the loss {name} expects logits. Compile "
            f"with loss=keras.losses.{kind}(), or build with classifier_activation=None."
        )
    return None


def _returns_logits(model: keras.Model) -> bool | None:
    """Returns whether the last layer is one of our networks' logits; None if it is another."""
    if not getattr(model, "layers", None):
        return None
    last = model.layers[-1]
    if isinstance(last, keras.Model):
        return _returns_logits(last)
    if last.name == "logits":
        return True
    if last.name == "predictions" and any(each.name == "logits" for each in model.layers):
        return False if last.activation is keras.activations.softmax else None
    return None


def _described(loss: Any) -> tuple[str | None, bool]:
    """Returns the name of a loss that expects probabilities or logits, and whether logits."""
    if isinstance(loss, str):
        try:
            loss = keras.losses.get(loss)
        except ValueError:  # compile has said so, or will
            return None, False
    if isinstance(loss, keras.losses.Loss):
        settings = loss.get_config()
        name = next((n for n in _OF_PROBABILITIES if _class_name(n) == type(loss).__name__), None)
        return name, bool(settings.get("from_logits", False))
    name = getattr(loss, "__name__", None)
    return (name if name in _OF_PROBABILITIES else None), False


def _class_name(function: str) -> str:
    return "".join(part.capitalize() for part in function.split("_"))
