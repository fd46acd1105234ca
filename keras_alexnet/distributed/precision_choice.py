"""The precision that `auto` chooses: its rule, and the figures that the rule is from."""

import math
import os
from typing import Any, NamedTuple

from absl import logging

from keras_alexnet.distributed.precision import PRECISIONS, warn_if_slow
from keras_alexnet.errors import unknown_name
from keras_alexnet.utils import machine

AUTO = "auto"

FOR_TRAINING = (AUTO, *PRECISIONS)
# The graph rewriter is a state of the whole process, and would convert the logits, too.
FOR_INFERENCE = tuple(name for name in FOR_TRAINING if name != "graph_bfloat16")

# Names the precision that `auto` is, on machines that are to give the same numbers.
VARIABLE = "KERAS_ALEXNET_PRECISION"

GIVEN = "as given"

HELP = (
    "auto, the fastest for the machine; float32; mixed_bfloat16; or mixed_float16, for GPUs that "
    "lack bfloat16. Exported files compute as they were exported."
)

# Images a second in training on 2 cores with AVX-512 bf16, of mixed_bfloat16 and graph_bfloat16:
# variant → on each of three machines, or on the third. Batches of 128, 64 and 128, of 32 for the
# rest, but of 64 for cifar_v3 on the third machine, and Muon only there; oneDNN, TensorFlow 2.21.
_MEASURED = {
    "cifar_v1": ((1075, 1006), (538, 543), (1011, 967)),
    "cifar_v2": ((4541, 4036), (1982, 2018), (5026, 4917)),
    "cifar_v3": ((438, 416), (252, 226), (424, 405)),
    "alexnet_owt": ((101, 112), (59, 57), (106, 107)),
    "alexnet_two_tower": ((94.3, 95.5),),
    "alexnet": ((68, 63), (32, 35), (70.6, 75.0)),
}


class PrecisionChoice(NamedTuple):
    """A precision, and why it is used.

    Example:
        >>> print(PrecisionChoice("float32", "auto: oneDNN is off"))
        auto (float32: oneDNN is off)
        >>> print(PrecisionChoice("mixed_bfloat16", GIVEN))
        mixed_bfloat16
    """

    name: str
    why: str

    def __str__(self) -> str:
        automatic, _, reason = self.why.partition(": ")
        return f"{AUTO} ({self.name}: {reason})" if automatic == AUTO else self.name

    def log(self) -> None:
        """Logs the choice, if `auto` made it."""
        if self.why != GIVEN:
            logging.info("precision: %s", self)


def choose(asked: str, trained: str | None = None, *, on_cpu: bool = False) -> PrecisionChoice:
    """Returns the precision to compute in on this machine.

    `auto` is what trains fastest, as far as this is known:

    - on a GPU, mixed_bfloat16 from compute capability 8.0 on, and mixed_float16 from 7.0 on;
    - on a processor with bf16 instructions and with oneDNN, mixed_bfloat16, or graph_bfloat16 to
      train a network that was faster in it where it was measured;
    - else float32;
    - or what the environment variable `KERAS_ALEXNET_PRECISION` names: one of `FOR_INFERENCE`.

    Args:
        asked: a name from `FOR_TRAINING`, or from `FOR_INFERENCE`.
        trained: the network's variant, to train it; None for inference.
        on_cpu: whether the CPU is used although there may be a GPU.

    Raises:
        UsageError: the name is unknown, or that in the environment variable.

    Example:
        >>> choose("mixed_bfloat16").name
        'mixed_bfloat16'
    """
    names = FOR_INFERENCE if trained is None else FOR_TRAINING
    if asked not in names:
        raise unknown_name("precision", asked, names)
    if asked != AUTO:
        return PrecisionChoice(asked, GIVEN)
    if named := os.environ.get(VARIABLE):
        if named not in FOR_INFERENCE[1:]:
            raise unknown_name(f"precision in {VARIABLE}", named, FOR_INFERENCE[1:])
        return PrecisionChoice(named, f"{AUTO}: {VARIABLE} says so")
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if gpus and not on_cpu:
        name, why = _for_gpus(gpus)
    else:
        name, why = _for_cpu(None if gpus else trained)
    return PrecisionChoice(name, f"{AUTO}: {why}")


def chosen(asked: str) -> PrecisionChoice:
    """Returns the precision for inference as `choose` does, and logs it and what makes it slow.

    Raises:
        UsageError: the name is unknown.
    """
    found = choose(asked)
    found.log()
    warn_if_slow(found.name)
    return found


def _for_gpus(gpus: list[Any]) -> tuple[str, str]:
    import tensorflow as tf

    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    known = [each.get("compute_capability") for each in details]
    if None in known:
        return "float32", "this GPU does not say its compute capability"
    least = min(known)
    why = f"the GPU has compute capability {least[0]}.{least[1]}"
    if least >= (8, 0):
        return "mixed_bfloat16", why
    return ("mixed_float16" if least >= (7, 0) else "float32"), why


def _for_cpu(trained: str | None) -> tuple[str, str]:
    """`trained` is None also if there is a GPU, with which there is no graph_bfloat16."""
    from keras_alexnet.utils import tensorflow_private

    if not tensorflow_private.onednn_is_on():
        return "float32", "oneDNN is off"
    has_bfloat16 = machine.has_bfloat16()
    if has_bfloat16 is None:
        return "float32", "whether this processor has bf16 instructions is not known"
    if not has_bfloat16:
        return "float32", "this processor has no bf16 instructions"
    return _faster(trained), "this processor has bf16 instructions"


def _faster(trained: str | None) -> str:
    """The geometric mean over the machines decides; mixed_bfloat16 if it was not measured."""
    ratios = [mixed / graph for mixed, graph in _MEASURED.get(trained or "", ())]
    return "graph_bfloat16" if math.prod(ratios) < 1 else "mixed_bfloat16"
