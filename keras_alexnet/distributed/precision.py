"""The precision that a run computes in.

TensorFlow is imported only when it is needed, because the flags of a run list the precisions.
"""

import contextlib
from collections.abc import Iterator

from absl import logging

from keras_alexnet.errors import UsageError
from keras_alexnet.utils import machine

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16", "graph_bfloat16")

_REWRITER = "auto_mixed_precision_onednn_bfloat16"


@contextlib.contextmanager
def precision(name: str) -> Iterator[None]:
    """Runs its body in the precision `name`, then restores the previous one.

    - `float32`: regardless of Keras's global dtype policy.
    - `mixed_bfloat16`: Keras's policy; layers compute in bfloat16 on float32 variables.
    - `mixed_float16`: Keras's policy; layers compute in float16 on float32 variables, and training
      scales the loss. For GPUs before those that have bfloat16.
    - `graph_bfloat16`: the model stays float32, and TensorFlow's graph rewriter converts the
      operations that benefit from it to bfloat16. For CPUs with oneDNN only.

    Raises:
        UsageError: for an unknown name, or for `graph_bfloat16` if there is a GPU or oneDNN is off.

    Example:
        >>> with precision("float32"):
        ...     model = keras_alexnet.build("cifar_v2")
    """
    import keras
    import tensorflow as tf

    from keras_alexnet.utils import tensorflow_private

    if name not in PRECISIONS:
        raise UsageError(f"precision must be one of {', '.join(PRECISIONS)}. Received: {name!r}.")
    if name == "graph_bfloat16" and tf.config.list_physical_devices("GPU"):
        raise UsageError(
            "precision=graph_bfloat16 is for CPUs, but this machine has a GPU. Use mixed_bfloat16."
        )
    if name == "graph_bfloat16" and not tensorflow_private.onednn_is_on():
        raise UsageError(  # the rewriter would do nothing
            "precision=graph_bfloat16 needs oneDNN, which is off. Use mixed_bfloat16, or set "
            "TF_ENABLE_ONEDNN_OPTS=1 before TensorFlow is imported."
        )
    warn_if_slow(name)
    former_policy = keras.config.dtype_policy()
    former_options = tf.config.optimizer.get_experimental_options()
    keras.config.set_dtype_policy("float32" if name == "graph_bfloat16" else name)
    tf.config.optimizer.set_experimental_options({_REWRITER: name == "graph_bfloat16"})
    try:
        yield
    finally:
        keras.config.set_dtype_policy(former_policy)
        tf.config.optimizer.set_experimental_options(
            {_REWRITER: former_options.get(_REWRITER, False)}
        )


def graph_is_rewritten() -> bool:
    """Returns whether TensorFlow's graph rewriter converts operations to bfloat16 now.

    Example:
        >>> with precision("float32"):
        ...     graph_is_rewritten()
        False
    """
    import tensorflow as tf

    return bool(tf.config.optimizer.get_experimental_options().get(_REWRITER, False))


def warn_if_slow(name: str) -> None:
    """Logs a warning if this machine can only emulate a precision."""
    import tensorflow as tf

    if name == "float32" or tf.config.list_physical_devices("GPU"):
        return
    if name == "mixed_float16":
        logging.warning("precision mixed_float16 is for GPUs: on a processor it is very slow.")
    elif machine.has_bfloat16() is False:
        logging.warning(
            "precision %s: this processor has no bfloat16 instructions, so it will be slow.", name
        )
