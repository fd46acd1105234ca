"""The perceptual distance as a Keras loss and as a Keras metric."""

import os
from collections.abc import Callable, Sequence
from typing import Any, Self

import keras
import tensorflow as tf
from absl import logging

from keras_alexnet.errors import UserError, first_line
from keras_alexnet.perceptual.layer import PerceptualDistance

_register = keras.saving.register_keras_serializable(package="keras_alexnet")


class _Objective:
    """What the loss and the metric share: the distance, and their config.

    A `.keras` file of a compiled model holds configs of losses and metrics. Their weights are read
    again, so a model in memory is no good as their source.
    """

    def _measure_with(self, weights: Any, value_range: Sequence[float], seed: int | None) -> None:
        layer = PerceptualDistance(weights, value_range=value_range, seed=seed)
        # Only the function: Keras would write the weights of a layer of a metric to every file.
        self._distances: Callable[..., tf.Tensor] = layer.__call__
        own = layer.get_config()
        self._settings = {name: own[name] for name in ("weights", "value_range", "seed")}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._settings}  # type: ignore[misc]

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Reads the weights again. If they cannot be read, the first call says why."""
        try:
            return cls(**config)
        except UserError as error:
            reason = (
                f"The weights of {config['name']} could not be read when its model was loaded: "
                f"{first_line(error)} Compile the model again with weights that can be read."
            )
        logging.warning("%s", reason)

        def refuse(*images: Any) -> tf.Tensor:
            raise UserError(reason)

        found = cls(**{**config, "weights": None})
        found._distances, found._settings["weights"] = refuse, config["weights"]
        return found


@_register
class PerceptualLoss(_Objective, keras.losses.Loss):
    """The mean of `PerceptualDistance` between the images of `y_true` and `y_pred`.

    Args:
        weights, value_range, seed: as for `PerceptualDistance`.
        reduction, name, dtype: as for all losses of Keras.

    `y_true` and `y_pred` are images `[batch, height, width, 3]`, at least 31 x 31.

    Raises:
        UsageError, UserError: as `PerceptualDistance`.

    Example:
        >>> loss = PerceptualLoss(weights=None, seed=0, value_range=(0, 1))
        >>> float(loss(np.ones([1, 64, 64, 3]), np.ones([1, 64, 64, 3])))
        0.0
    """

    def __init__(
        self,
        weights: str | os.PathLike | keras.Model | None = "imagenet",
        *,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        name: str = "perceptual_loss",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self._measure_with(weights, value_range, seed)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        return self._distances(y_true, y_pred)


@_register
class PerceptualMetric(_Objective, keras.metrics.Mean):
    """The mean of `PerceptualDistance` between the images of `y_true` and `y_pred`, over batches.

    Args:
        weights, value_range, seed: as for `PerceptualDistance`.
        name, dtype: as for all metrics of Keras.

    `y_true` and `y_pred` are images `[batch, height, width, 3]`, at least 31 x 31.

    Raises:
        UsageError, UserError: as `PerceptualDistance`.

    Example:
        >>> metric = PerceptualMetric(weights=None, seed=0)
        >>> metric.update_state(np.ones([1, 64, 64, 3]), np.ones([1, 64, 64, 3]))
        >>> float(metric.result())
        0.0
    """

    def __init__(
        self,
        weights: str | os.PathLike | keras.Model | None = "imagenet",
        *,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        name: str = "perceptual_distance",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self._measure_with(weights, value_range, seed)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        super().update_state(self._distances(y_true, y_pred), sample_weight)
