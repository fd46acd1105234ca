"""Images that could be read when a run began, and then no longer."""

import json
from collections.abc import Callable

import numpy as np
from absl import logging

from keras_alexnet.errors import UserError
from keras_alexnet.images import DamagedImages, EncodedImages
from keras_alexnet.splits import Split

# Beyond these it is no longer a bad file or two: a disk has gone, and the run must not go on.
_SHARE_ALLOWED, _NUMBER_ALLOWED = 0.01, 10


class LostImages:
    """Keeps count of the images of some splits that broke while a run was reading them.

    Args:
        splits: of the run; those in memory cannot lose any.
        gather: one worker's bytes → those of all, `keras_alexnet.cluster.Cluster.gather`.

    Of several workers, each leaves out what it could not read itself. When a run goes on, each
    leaves out what any of them had lost.

    Example:
        >>> import keras_alexnet as ka
        >>> LostImages([ka.load_dataset("shapes").train]).names()
        []
    """

    def __init__(
        self, splits: list[Split], gather: Callable[[bytes], list[bytes]] = lambda own: [own]
    ):
        self._gather = gather
        self._sets = list(dict.fromkeys(split.pixels for split in splits))
        self._rows: dict[EncodedImages, set[int]] = {
            pixels: set() for pixels in self._sets if isinstance(pixels, EncodedImages)
        }

    def names(self) -> list[str]:
        """Returns the names of what any worker lost, sorted; all workers must call it."""
        own = [pixels.name(row) for pixels, rows in self._rows.items() for row in rows]
        everyone = self._gather(json.dumps(own).encode())
        return sorted({name for names in everyone for name in json.loads(names)})

    def add(self, error: DamagedImages) -> None:
        """Leaves the damaged images out from now on.

        Raises:
            UserError: if more are lost than a damaged file here and there explains.
        """
        pixels, lost = error.pixels, self._rows[error.pixels]
        lost.update(error.rows)
        if len(lost) > max(_NUMBER_ALLOWED, _SHARE_ALLOWED * len(pixels)):
            raise UserError(
                f"{len(lost)} of {len(pixels)} images broke while the run was reading them, too "
                f"many to leave out: is the disk still there? {error}"
            ) from error
        pixels.leave_out(error.rows)
        logging.warning("Left out from now on, %d in all: %s", len(lost), error)

    def restore(self, names: list[str]) -> None:
        """Leaves out what a checkpoint says was lost."""
        wanted = set(names)
        for pixels, lost in self._rows.items() if names else ():
            found = {row for row in range(len(pixels)) if pixels.name(row) in wanted}
            lost.update(found)
            pixels.leave_out(found)


def not_lost(split: Split) -> np.ndarray:
    """Returns where the split's set does not leave an image out: bool `[n]`.

    Example:
        >>> import keras_alexnet as ka
        >>> not_lost(ka.load_dataset("shapes").test).sum()
        np.int64(2000)
    """
    if not isinstance(split.pixels, EncodedImages):
        return np.ones(len(split), bool)
    return ~np.isin(split.rows, split.pixels.left_out)
