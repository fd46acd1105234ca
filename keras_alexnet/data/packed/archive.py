"""Archives of files, opened so that each file's contents can be read at their place."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import mmap
import os
import pathlib
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from absl import logging

from keras_alexnet.data import archives, cache_limit, fingerprints
from keras_alexnet.data.archive_room import Room, most_unpacked
from keras_alexnet.data.packed.tar_members import Members, plain_members
from keras_alexnet.data.packed.tree import Entry, tree_of
from keras_alexnet.utils import files
from keras_alexnet.utils.text import printable

if TYPE_CHECKING:
    from keras_alexnet.data.records import RecordImages

_CHUNK = 2**20
_VERIFIED_BYTES = 4 * 2**30  # larger contents are compared by size and time only
_TABLE = "labels.csv"  # read as a file of its own, in an archive that is unpacked


class PackedFiles:
    """The files of an archive: their names, and where their contents are in one file.

    Attributes:
        root: the archive's path, below which the files have their paths.
        data: the file that holds all contents.
        names: names of the files in the archive.
    """

    def __init__(self, root: pathlib.Path, data: pathlib.Path, members: Members):
        self.root, self.data, self.names = root, data, members.names
        self._offsets, self._sizes = members.offsets, members.sizes
        self._places = {name: place for place, name in enumerate(self.names)}
        self._tree = tree_of(os.fspath(root), self.names)

    def entries(self, path: str) -> Sequence[Entry]:
        """Returns what is directly in the folder at a path."""
        return self._tree[path]

    def beginning(self, path: str, size: int) -> bytes:
        """Returns the first bytes of the file at a path."""
        [place] = self._places_of(os.path.dirname(path), [os.path.basename(path)])
        with open(self.data, "rb") as file:
            file.seek(self._offsets[place])
            return file.read(min(size, self._sizes[place]))

    def images(self, folder: str | os.PathLike, names: Sequence[str]) -> RecordImages:
        """Returns the images in the files of these names, relative to a folder in the archive."""
        from keras_alexnet.data.records import RecordImages, RecordIndex

        places = self._places_of(folder, names)
        index = RecordIndex(
            np.zeros(len(places), np.int64),
            np.array(self._offsets, np.int64)[places],
            np.array(self._sizes, np.int64)[places],
            np.zeros(len(places), np.int32),
        )
        return RecordImages([self.data], index, list(names))

    def fingerprint(
        self,
        folder: str | os.PathLike,
        names: Sequence[str],
        hashed_names: Sequence[str],
        *,
        largest: int,
    ) -> tuple[str, str]:
        """Hashes files as `fingerprints.of_files` hashes those of a folder.

        Raises:
            UserError: if a file is larger than `largest` bytes.
        """
        places = self._places_of(folder, names)
        sizes = [
            fingerprints.checked_size(self._sizes[place], self.names[place], largest)
            for place in places
        ]
        with (
            open(self.data, "rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):

            def contents(row: int) -> Iterator[bytes]:
                start = self._offsets[places[row]]
                yield data[start : start + sizes[row]]

            return fingerprints.of_named(hashed_names, sizes, contents)

    def _places_of(self, folder: str | os.PathLike, names: Sequence[str]) -> list[int]:
        inside = os.path.relpath(folder, self.root)
        start = "" if inside == os.curdir else inside + os.sep
        return [self._places[start + name] for name in names]


def opened(archive: str | os.PathLike) -> PackedFiles | None:
    """Opens an archive of nothing but plain files and folders, or returns None.

    A compressed archive is decompressed into one file in the cache folder, unless it is there
    already and unchanged; of a tar archive that is not compressed, only the list of its files is
    kept there.

    Raises:
        UserError: if the archive is damaged.
    """
    archive = pathlib.Path(archive)
    with archives.reading(archive):
        digest = files.sha256_of(archive)
        name = f"{archives.stem(archive)}-{digest[:16]}"
        listed = archives.cache_folder() / f"{name}{cache_limit.LIST}"
        if _is_plain_tar(archive):
            data = archive
        else:
            data = listed.with_name(f"{name}{cache_limit.CONTENTS}")
            cache_limit.hold(data)
        members = _listed(listed, archive, data)
        if members is not None:
            cache_limit.note_use(listed)
            return PackedFiles(archive, data, members)
        try:
            if data == archive:
                members = _read_tar(archive)
            else:
                data = _writable(data.parent) / data.name
                members = _decompressed(archive, data)
        except _NotPlainError:
            return None
        if data != archive:
            listed = data.with_name(listed.name)
        _write_list(listed, archive, data, members)
        return PackedFiles(archive, data, members)


class _NotPlainError(Exception):
    """The archive has to be unpacked by the libraries for archives."""


def _writable(folder: pathlib.Path) -> pathlib.Path:
    """Returns the folder or, if nothing can be written there, one for this process only."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
        reason = "it is read-only"
    except OSError as error:
        reason = error.strerror or str(error)
    temporary = tempfile.mkdtemp(prefix="keras_alexnet-")
    atexit.register(shutil.rmtree, temporary, ignore_errors=True)
    logging.warning(
        "The cache folder %s cannot be used (%s), so the archive is unpacked again each time. "
        "Set %s to a different folder.",
        *(printable(folder), reason, archives.CACHE_VARIABLE),
    )
    return pathlib.Path(temporary)


def _is_plain_tar(archive: pathlib.Path) -> bool:
    with files.open_regular(archive) as file:
        start = file.read(512)
    return start[257:262] == b"ustar"


def _read_tar(path: pathlib.Path) -> Members:
    found = _members_of_tar(path)
    if not _are_plain(found.names):
        raise _NotPlainError
    return found._replace(names=[os.path.normpath(name) for name in found.names])


def _members_of_tar(path: pathlib.Path) -> Members:
    with (
        open(path, "rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        found = plain_members(data)
    if found is not None:
        return found
    found, most = Members([], [], []), path.stat().st_size
    with open(path, "rb") as file, archives.tar_in(file) as source:
        for member in archives.members(source):
            if member.offset_data + member.size > most:
                raise _NotPlainError
            if member.isreg() and not member.issparse():
                found.names.append(member.name)
                found.offsets.append(member.offset_data)
                found.sizes.append(member.size)
            elif not member.isdir():
                raise _NotPlainError
    return found


def _decompressed(archive: pathlib.Path, data: pathlib.Path) -> Members:
    """Decompresses an archive into a file, and removes older ones if there are too many."""
    members = _written(archive, data)
    cache_limit.hold(data)
    if data.parent == archives.cache_folder():
        with contextlib.suppress(OSError):  # a single archive may be larger than the limit
            cache_limit.make_room(data.parent)
    return members


def _written(archive: pathlib.Path, data: pathlib.Path) -> Members:
    logging.info("Unpacking %s into %s.", printable(archive), printable(data))
    # Damage is found by the hash, so there is no need to wait for the disk.
    with files.atomic_write(data, synced=False) as temporary:
        temporary.touch()
        room = Room(archive, temporary, archives.ANOTHER_DISK)
        if archive.name.lower().endswith(".zip"):
            return _write_zip(archive, temporary, room)
        opener = archives.decompressor(archive)
        if opener is None:
            raise _NotPlainError
        most, written = most_unpacked(archive.stat().st_size), 0
        with opener(archive, "rb") as source, open(temporary, "wb") as target:
            while chunk := source.read(_CHUNK):
                written += len(chunk)
                if written > most:
                    raise _NotPlainError
                room.take("its contents", len(chunk))
                target.write(chunk)
        return _read_tar(temporary)


def _write_zip(archive: pathlib.Path, path: pathlib.Path, room: Room) -> Members:
    found = Members([], [], [])
    with zipfile.ZipFile(archive) as source, open(path, "wb") as target:
        for member in source.infolist():
            if member.is_dir():
                continue
            if archives.zip_problem(member):
                raise _NotPlainError
            room.take(member.filename, member.file_size)
            found.names.append(member.filename)
            found.offsets.append(target.tell())
            found.sizes.append(member.file_size)
            with source.open(member) as contents:
                shutil.copyfileobj(contents, target, _CHUNK)
    if not _are_plain(found.names):
        raise _NotPlainError
    return found._replace(names=[os.path.normpath(name) for name in found.names])


def _are_plain(names: Sequence[str]) -> bool:
    """Whether unpacking would write each name once, inside of the folder."""
    normal = {os.path.normpath(name) for name in names}
    folders = {os.path.dirname(name) for name in normal}
    folders |= {os.fspath(parent) for folder in folders for parent in pathlib.Path(folder).parents}
    return (
        bool(names)
        and len(normal) == len(names)
        and not normal & folders
        and not any(
            os.path.isabs(name) or ".." in name.split("/") or "\\" in name or "\0" in name
            for name in names
        )
        and not any(os.path.basename(name).casefold() == _TABLE for name in names)
    )


def _write_list(
    path: pathlib.Path, archive: pathlib.Path, data: pathlib.Path, members: Members
) -> None:
    value = {"members": list(members), "data": _state_of(data, archive)}
    text = json.dumps({**value, "check": _check_of(value)})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_text(path, text)
    except OSError as error:
        logging.info("The list of an archive's files was not kept: %s.", error)


def _listed(path: pathlib.Path, archive: pathlib.Path, data: pathlib.Path) -> Members | None:
    """Returns the kept list, if it and the contents that it describes are as they were."""
    if not path.exists():
        return None
    try:
        value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        check = value.pop("check")
        if check == _check_of(value) and value["data"] == _state_of(data, archive):
            return Members(*value["members"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        pass
    logging.warning("%s was lost or changed, so it is made again.", printable(data))
    return None


def _check_of(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def _state_of(data: pathlib.Path, archive: pathlib.Path) -> list[Any] | None:
    """Size and hash of the contents, or None of those in the archive, whose hash is known."""
    if data == archive:
        return None
    size = data.stat().st_size
    return [size, files.sha256_of(data) if size <= _VERIFIED_BYTES else data.stat().st_mtime_ns]
