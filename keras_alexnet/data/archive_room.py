"""How much an archive may unpack to."""

import os
import shutil
import typing

from keras_alexnet.errors import UserError
from keras_alexnet.utils.text import printable

_RATIO = 200  # images are compressed already; drawings as BMP shrink to a hundredth

_SMALL_BYTES = 64 * 2**20

_BLOCK = 4096  # what a file takes of a disk at least


def most_unpacked(packed: int) -> int:
    """Returns the most bytes that an archive of so many bytes may unpack to.

    Example:
        >>> most_unpacked(10**9)
        200000000000
    """
    return max(_RATIO * packed, _SMALL_BYTES)


class Room:
    """The room that an archive may fill, counted before anything of it is written.

    What it says to hold must fit on the disk, and may not be hundreds of times its own size, as in
    an archive that was made to fill a disk.

    Example:
        >>> Room("flowers.zip", ".", archive_bytes=10**6).take("a.jpg", 10**5)
        >>> Room("flowers.zip", ".", archive_bytes=1000).take("a.jpg", 10**9)
        Traceback (most recent call last):
            ...
        keras_alexnet.errors.UserError: flowers.zip was not unpacked: ...
    """

    def __init__(
        self,
        archive: str | os.PathLike,
        folder: str | os.PathLike,
        advice: str = "name another disk",
        *,
        archive_bytes: int | None = None,
    ):
        self._archive, self._folder, self._advice = archive, folder, advice
        packed = os.stat(archive).st_size if archive_bytes is None else archive_bytes
        self._most = most_unpacked(packed)
        self._free = shutil.disk_usage(folder).free
        self._bytes = self._on_disk = 0

    def take(self, name: str, size: int) -> None:
        """Counts a member.

        Raises:
            UserError: if there is no room for it.
        """
        self._bytes += max(size, 0)
        self._on_disk += -(-max(size, 1) // _BLOCK) * _BLOCK
        if self._bytes > self._most:
            self._refuse(
                f"it says that it holds more than {self._most:,} bytes (with {name!r}), over "
                f"{_RATIO} times its own size. If that is right, unpack it yourself and pass the "
                "folder"
            )
        if self._on_disk > self._free:
            self._refuse(
                f"it needs more than the {self._free:,} bytes that are free in "
                f"{os.path.dirname(self._folder)}. Make room, or {self._advice}"
            )

    def _refuse(self, why: str) -> typing.NoReturn:
        raise UserError(f"{printable(self._archive)} was not unpacked: {printable(why)}.")
