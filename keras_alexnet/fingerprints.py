"""SHA-256 fingerprints by which results say what data they saw."""

import hashlib
import os
import pathlib
from collections.abc import Iterable

import numpy as np

CONTENTS_LIMIT_BYTES = 4 * 2**30  # above this only names and sizes are hashed


def of_files(folder: str | os.PathLike, names: Iterable[str]) -> tuple[str, str]:
    """Hashes files below a folder by relative name and contents, in sorted order.

    A folder and an archive of it, unpacked, have the same fingerprint. A file that cannot be
    read counts as empty: whoever decodes it will name it.

    Returns:
        (hexadecimal digest, "contents"), or for more than 4 GiB (digest, "names and sizes").
    """
    folder = pathlib.Path(folder)
    # Bytes in "/" form, so that the order and the hash are the same on every system.
    paths = sorted((os.fsencode(name.replace(os.sep, "/")), folder / name) for name in names)
    sizes = [path.stat().st_size if os.access(path, os.R_OK) else 0 for _, path in paths]
    of_contents = sum(sizes) <= CONTENTS_LIMIT_BYTES
    digest = hashlib.sha256()
    for (name, path), size in zip(paths, sizes, strict=True):
        digest.update(b"%s\0%d\0" % (name, size))
        if of_contents and size:
            digest.update(path.read_bytes())
    return digest.hexdigest(), "contents" if of_contents else "names and sizes"


def of_arrays(*parts: tuple[np.ndarray, np.ndarray]) -> str:
    """Hashes (images, labels) of each part, whatever the order of the images within it.

    Copies of a data set differ in their order; their fingerprint is the same.
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
