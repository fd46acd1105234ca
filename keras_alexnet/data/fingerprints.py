"""SHA-256 fingerprints of data sets."""

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from keras_alexnet.errors import UserError
from keras_alexnet.utils.files import open_regular
from keras_alexnet.utils.text import printable

CONTENTS_LIMIT_BYTES = 4 * 2**30  # above this only names and sizes are hashed

_CHUNK = 2**20


def of_files(
    folder: str | os.PathLike,
    names: Sequence[str],
    hashed_names: Sequence[str] | None = None,
    *,
    largest: int | None = None,
) -> tuple[str, str]:
    """Hashes files below a folder by relative name and contents, in sorted order.

    A folder and an unpacked archive of it have the same fingerprint. A file that cannot be read
    counts as empty; the error of decoding it will name it.

    Args:
        folder: holds the files.
        names: their relative names.
        hashed_names: the names to hash in place of `names`.
        largest: the most bytes that a file may have.

    Raises:
        UserError: if a file is larger than `largest`.

    Returns:
        (hexadecimal digest, "contents"), or for more than 4 GiB (digest, "names and sizes").
    """

    def path(row: int) -> str:
        return os.path.join(folder, names[row])

    def size(row: int) -> int:
        found = os.stat(path(row)) if os.access(path(row), os.R_OK) else None
        size = found.st_size if found is not None and stat.S_ISREG(found.st_mode) else 0
        return checked_size(size, path(row), largest)

    def contents(row: int) -> Iterator[bytes]:
        with open_regular(path(row)) as file:
            while chunk := file.read(_CHUNK):
                yield chunk

    hashed = names if hashed_names is None else hashed_names
    return of_named(hashed, [size(row) for row in range(len(names))], contents)


def checked_size(size: int, name: str, largest: int | None) -> int:
    """Returns the size of a file in bytes; raises a `UserError` if it is more than `largest`."""
    if largest is not None and size > largest:
        raise UserError(
            f"{printable(name)} has {size:,} bytes, more than an image that can be read. "
            "Move it away."
        )
    return size


def of_named(
    names: Sequence[str], sizes: Sequence[int], contents: Callable[[int], Iterable[bytes]]
) -> tuple[str, str]:
    """Hashes images that are not in separate files, in the same way as `of_files`.

    Args:
        names: relative names.
        sizes: in bytes, one per name.
        contents: returns the bytes that belong to the name at an index, in pieces.

    Example:
        >>> of_named(["a/1.png"], [3], lambda row: [b"png"])[1]
        'contents'
    """
    # Bytes in "/" form, so that the order and the hash are the same on every system.
    encoded = [os.fsencode(name.replace(os.sep, "/")) for name in names]
    of_contents = sum(sizes) <= CONTENTS_LIMIT_BYTES
    digest = hashlib.sha256()
    for row in sorted(range(len(encoded)), key=encoded.__getitem__):
        digest.update(b"%s\0%d\0" % (encoded[row], sizes[row]))
        if of_contents and sizes[row]:
            for piece in contents(row):
                digest.update(piece)
    return digest.hexdigest(), "contents" if of_contents else "names and sizes"


def of_arrays(*parts: tuple[np.ndarray, np.ndarray]) -> str:
    """Hashes (images, labels) of each part, regardless of the order of the images within it.

    Copies of a data set differ in their order, but have the same fingerprint.
    """
    digest = hashlib.sha256()
    for images, labels in parts:
        labels = np.asarray(labels, "<i4")
        each = (
            hashlib.sha256(label.tobytes() + image.tobytes()).digest()
            for image, label in zip(images, labels, strict=True)
        )
        digest.update(b"".join(sorted(each)))
    return digest.hexdigest()
