"""Progress of long work: a bar on a terminal, plain lines now and then in a log."""

import sys
import time

from absl import logging
from tqdm import tqdm

SECONDS_BETWEEN_LINES = 30


class Progress:
    """Counts images against a total.

    Args:
        total: images in all.
        description: what is being done, such as "epoch 3/20".

    Example:
        >>> with Progress(10, "reading") as progress:
        ...     progress.advance(10)
    """

    def __init__(self, total: int, description: str):
        self._total, self._description, self._done = total, description, 0
        self._bar = None
        if sys.stderr.isatty():
            self._bar = tqdm(total=total, desc=description, unit="images", leave=False)
        self._last_line = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._bar is not None:
            self._bar.close()

    def advance(self, images: int, **figures: str) -> None:
        """Adds `images` to those done and shows `figures` beside them."""
        self._done += images
        if self._bar is not None:
            self._bar.set_postfix(figures, refresh=False)
            self._bar.update(images)
        elif time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            shown = "".join(f", {name} {value}" for name, value in figures.items())
            logging.info("%s: %d of %d images%s", self._description, self._done, self._total, shown)
