"""oneDNN, the library with which TensorFlow computes faster on CPUs."""

import os
import platform
import sys

VARIABLE = "TF_ENABLE_ONEDNN_OPTS"  # read once, when TensorFlow is imported

_X86 = ("x86_64", "AMD64")


def turn_on() -> None:
    """Lets TensorFlow use oneDNN on every x86-64 processor, unless the user decided already.

    TensorFlow itself turns oneDNN on only for processors with AVX512-VNNI or newer instructions.
    On those that have AVX2, as most laptops have, a training step is 1.4 to 2.6 times as fast with
    it. On other architectures the choice remains TensorFlow's.

    This must happen before TensorFlow is imported; afterward, nothing is changed. A value of
    TF_ENABLE_ONEDNN_OPTS that the user set, such as 0, is kept. Child processes inherit it.

    Example:
        >>> turn_on()
    """
    if platform.machine() in _X86 and "tensorflow" not in sys.modules:
        os.environ.setdefault(VARIABLE, "1")
