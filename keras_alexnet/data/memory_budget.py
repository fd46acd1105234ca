"""How much memory the decoded images of a data set may take."""

import math
import os

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
    budget = BYTES
    if hasattr(os, "sysconf"):  # not on Windows
        budget = min(budget, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2)
    return images * math.prod(shape) <= budget
