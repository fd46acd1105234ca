"""How much memory the decoded images of a data set may take."""

import math

from keras_alexnet.networks.memory import memory_of_machine

BYTES = 4 * 2**30  # the most that is kept of one set's decoded squares


def fits(images: int, shape: tuple[int, ...]) -> bool:
    """Returns whether decoded images stay within the budget, and within half of the memory.

    Args:
        images: their number.
        shape: of one image, a byte for each value.

    Example:
        >>> fits(1000, (32, 32, 3)), fits(10**9, (32, 32, 3))
        (True, False)
    """
    memory = memory_of_machine()
    budget = BYTES if memory is None else min(BYTES, memory // 2)
    return images * math.prod(shape) <= budget
