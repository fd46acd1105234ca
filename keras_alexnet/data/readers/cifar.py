"""Reads the official CIFAR archives: python or binary version, packed or unpacked.

It needs neither a network connection nor tensorflow-datasets.
"""

from __future__ import annotations

import functools
import os
import pathlib
import pickle
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from keras_alexnet.data.readers import Published, Reader, register, tfds
from keras_alexnet.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from keras_alexnet.data.dataset import Arrays

IMAGES = (50_000, 10_000)  # training, test


_PIXELS = 3 * 32 * 32


LARGEST_BYTES = 200_000_000  # of a file; the largest, CIFAR-100's training images, has 155 MB


class Version(NamedTuple):
    """Which files make up one published version of a CIFAR data set."""

    folder: str
    archive: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    class_names: str  # the file that has them
    names_key: bytes | None = None  # python version: keys in the pickled dictionaries
    labels_key: bytes | None = None
    label_bytes: int = 0  # binary version: labels before an image's pixels; the last one is used

    @property
    def files(self) -> tuple[str, ...]:
        return (*self.train, *self.test, self.class_names)


_BATCHES = tuple(f"data_batch_{i}" for i in range(1, 6))


VERSIONS = {
    "cifar10": (
        Version(
            folder="cifar-10-batches-py",
            archive="cifar-10-python.tar.gz",
            train=_BATCHES,
            test=("test_batch",),
            class_names="batches.meta",
            names_key=b"label_names",
            labels_key=b"labels",
        ),
        Version(
            folder="cifar-10-batches-bin",
            archive="cifar-10-binary.tar.gz",
            train=tuple(f"{name}.bin" for name in _BATCHES),
            test=("test_batch.bin",),
            class_names="batches.meta.txt",
            label_bytes=1,
        ),
    ),
    "cifar100": (
        Version(
            folder="cifar-100-python",
            archive="cifar-100-python.tar.gz",
            train=("train",),
            test=("test",),
            class_names="meta",
            names_key=b"fine_label_names",
            labels_key=b"fine_labels",
        ),
        Version(
            folder="cifar-100-binary",
            archive="cifar-100-binary.tar.gz",
            train=("train.bin",),
            test=("test.bin",),
            class_names="fine_label_names.txt",
            label_bytes=2,
        ),
    ),
}


def read(name: str, place: pathlib.Path | None) -> Arrays | None:
    """Reads a data set from its official files, or a copy that tensorflow-datasets prepared."""
    assert place is not None
    found = find(name, place)
    return tfds.read_arrays(name, place) if found is None else found


def find(name: str, data_dir: str | os.PathLike) -> Arrays | None:
    """Reads CIFAR-10 or CIFAR-100 from an official archive or its unpacked folder.

    Args:
        name: "cifar10" or "cifar100".
        data_dir: the archive (of any name), the unpacked folder, or a folder with either in it.

    Returns:
        The data set, or None if there is nothing of it in `data_dir`.

    Raises:
        UserError: if every copy that is there is incomplete or damaged.
    """
    problem = None
    for version in VERSIONS[name]:
        for place in _places(pathlib.Path(data_dir), version):
            try:
                return _read_cifar(place, version, _members(place, version.files))
            except _NotHere:
                continue
            except UserError as error:  # another copy may be whole
                problem = problem or error
    if problem:
        raise problem
    return None


_DAMAGE = (
    *(pickle.UnpicklingError, EOFError, LookupError, TypeError, ValueError, AttributeError),
    *(OverflowError, MemoryError, RecursionError),
)


class _NotHere(Exception):
    """Nothing of the data set is at this place."""


def _places(data_dir: pathlib.Path, version: Version) -> Iterator[pathlib.Path]:
    yield data_dir
    yield data_dir / version.folder
    yield data_dir / version.archive
    # Where keras.datasets puts its copy.
    yield data_dir / f"{version.folder}-target" / version.folder
    yield data_dir / f"{version.folder}.tar.gz"


def _members(place: pathlib.Path, wanted: tuple[str, ...]) -> dict[str, bytes]:
    """Returns the contents of the wanted files, wherever in the archive or folder they are."""
    from keras_alexnet.data import archives

    members = {}
    with archives.reading(place):
        if place.is_dir():
            paths = [place / name for name in wanted if (place / name).is_file()]
            for path in paths:
                if (size := path.stat().st_size) > LARGEST_BYTES:
                    raise ValueError(f"{path.name} cannot have {size} bytes")
                members[path.name] = path.read_bytes()
        elif place.is_file():
            with archives.opened_tar(place) as archive:
                for member in archives.members(archive):
                    name = pathlib.PurePosixPath(member.name).name
                    if member.isfile() and not member.issparse() and name in wanted:
                        contents = archive.extractfile(member)
                        if contents is None or member.size > LARGEST_BYTES:
                            raise ValueError(f"{member.name} cannot have {member.size} bytes")
                        members[name] = archives.read_up_to(contents, member.size)
    if not members:
        raise _NotHere
    return members


def _read_cifar(place: pathlib.Path, version: Version, members: dict[str, bytes]) -> Arrays:
    import numpy as np

    from keras_alexnet.data.dataset import Arrays

    missing = [name for name in version.files if name not in members]
    if missing:
        raise UserError(
            f"{place} is incomplete: {', '.join(missing)} missing. Unpack {version.archive} again."
        )
    read_part = _read_python if version.names_key else _read_binary
    arrays = []
    try:
        for files, count in zip((version.train, version.test), IMAGES, strict=True):
            parts = [read_part(version, members[name]) for name in files]
            pixels, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
            if len(pixels) != count or len(labels) != count:
                raise ValueError(f"{count} images expected in {files}, {len(pixels)} found")
            # Stored as planes: all red pixels, all green, all blue.
            arrays += [pixels.reshape(count, 3, 32, 32).transpose(0, 2, 3, 1).copy(), labels]
        class_names = _class_names(version, members[version.class_names])
    except _DAMAGE as error:
        raise UserError(f"{place} is damaged: {error}. Unpack {version.archive} again.") from error
    return Arrays(class_names, *arrays)


def _read_python(version: Version, contents: bytes) -> tuple[np.ndarray, np.ndarray]:
    import numpy as np

    from keras_alexnet.data import cifar_pickles

    batch = cifar_pickles.load(contents)
    labels = batch[version.labels_key]
    if not all(type(label) is int for label in labels):
        raise ValueError("its labels are not whole numbers")
    return cifar_pickles.pixels(batch[b"data"]), np.array(labels, np.int64)


def _read_binary(version: Version, contents: bytes) -> tuple[np.ndarray, np.ndarray]:
    import numpy as np

    records = np.frombuffer(contents, np.uint8).reshape(-1, version.label_bytes + _PIXELS)
    pixels, labels = records[:, version.label_bytes :], records[:, version.label_bytes - 1]
    return pixels, labels.astype(np.int64)


def _class_names(version: Version, contents: bytes) -> tuple[str, ...]:
    if version.names_key:
        from keras_alexnet.data import cifar_pickles

        names = cifar_pickles.load(contents)[version.names_key]
    else:
        names = contents.split()
    if not all(isinstance(name, (bytes, str)) for name in names):
        raise ValueError("the names of its classes are not texts")
    return tuple(name.decode() if isinstance(name, bytes) else name for name in names)


for _name, _title in (("cifar10", "CIFAR-10"), ("cifar100", "CIFAR-100")):
    _archives = [version.archive for version in VERSIONS[_name]]
    register(
        Reader(
            dataset=_name,
            read=functools.partial(read, _name),
            data_dir=f"{_title}'s archive, or a folder that holds it",
            published=Published(
                title=_title,
                address=f"https://www.cs.toronto.edu/~kriz/{_archives[0]}",
                copies=f"{' or '.join(_archives)}, or either unpacked",
                tfds_name=_name,
            ),
        )
    )
