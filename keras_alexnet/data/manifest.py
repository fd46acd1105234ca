"""The manifest of a folder of prepared images: what is in it, and how each file must look.

The folder holds `manifest.json`; for each part of the data set `<part>-00000-of-00010.tfrecord` …
and `<part>.npz`, the index by which every image is found in the shards.
"""

import dataclasses
import os
import pathlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from keras_alexnet.errors import UserError
from keras_alexnet.utils import files, json_files, json_schema
from keras_alexnet.utils.json_schema import COUNT, OneOf
from keras_alexnet.utils.values import path_text

FORMAT = "keras_alexnet.data.records"


VERSION = 1


PARTS = ("train", "val", "test", "all")


MANIFEST = "manifest.json"


PROGRESS = ".progress"  # a folder that exists until a preparation has ended


_THREADS = 4  # hashing leaves Python's lock


_FILE = {"file": str, "bytes": COUNT, "sha256": str, ...: None}

SHARD = {**_FILE, "images": COUNT, "skipped": [str], "made_from": str}

_MANIFEST: json_schema.Schema = {
    **dict.fromkeys(("name", "sha256", "sha256_of"), str),
    "class_names": [str],
    **dict.fromkeys(("source", "made_with"), {...: str}),
    "settings": dict,
    "parts": {...: {"images": COUNT, "index": _FILE, "shards": [SHARD]}},
    "left_out?": {...: COUNT},
    "note?": OneOf(str, None),
    **dict.fromkeys(("format", "format_version"), object),
    ...: None,
}


def _check(value: object, kind: type, in_range: bool = True) -> None:
    if type(value) is not kind or not in_range:
        raise ValueError(f"it has {str(value)[:100]!r} in place of a valid {kind.__name__}")


@dataclasses.dataclass(frozen=True)
class File:
    """One file of the folder."""

    file: str
    bytes: int
    sha256: str

    def __post_init__(self) -> None:
        # A manifest may come from anywhere, and must not name files outside its folder.
        _check(self.file, str, os.path.basename(str(self.file)) == self.file)
        _check(self.bytes, int, self.bytes >= 0)
        _check(self.sha256, str)


@dataclasses.dataclass(frozen=True)
class Shard(File):
    """A TFRecord file; `skipped` are the damaged images that have no record in it.

    `made_from` is a hash of the names, labels and sizes of the images that it was made from.
    """

    images: int
    skipped: tuple[str, ...]
    made_from: str

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(self.images, int, self.images >= 0)
        _check(self.made_from, str)
        for name in self.skipped:
            _check(name, str)

    @classmethod
    def from_json(cls, value: dict) -> "Shard":
        """Returns the shard that a manifest or a note describes.

        Raises:
            ValueError, KeyError, TypeError: if it is damaged.
        """
        return cls(**{**value, "skipped": tuple(value["skipped"])})


@dataclasses.dataclass(frozen=True)
class Part:
    """One part of the data set, such as "train"."""

    images: int
    index: File
    shards: tuple[Shard, ...]

    def __post_init__(self) -> None:
        if self.images != sum(shard.images for shard in self.shards):
            raise ValueError(f"its {self.images!r} images are not the sum of its shards")

    @classmethod
    def from_json(cls, value: dict) -> "Part":
        """Returns the part that a manifest describes.

        Raises:
            ValueError, KeyError, TypeError: if it is damaged.
        """
        shards = tuple(Shard.from_json(shard) for shard in value["shards"])
        return cls(value["images"], File(**value["index"]), shards)


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a folder of prepared images holds.

    Attributes:
        name: the name of the data set in results.
        class_names: the name of class i at index i.
        sha256: fingerprint of the data, which is the source's if no image was shrunk.
        sha256_of: what was hashed, see `keras_alexnet.data.dataset.Dataset`.
        source: name and fingerprint of what the shards were made from.
        settings: everything except the source that determines the bytes of the shards.
        made_with: versions of the software.
        parts: "train", "val" and "test", or some of them, or only "all".
        left_out: why other files of the source were not read → how many.
        note: what a reader of results should know about the data, or None.
    """

    name: str
    class_names: tuple[str, ...]
    sha256: str
    sha256_of: str
    source: dict[str, str]
    settings: dict
    made_with: dict[str, str]
    parts: dict[str, Part]
    left_out: dict[str, int] = dataclasses.field(default_factory=dict)
    note: str | None = None

    def __post_init__(self) -> None:
        for value in (self.name, self.sha256, self.sha256_of, *self.class_names):
            _check(value, str)
        for table in (self.source, self.settings, self.made_with, self.left_out):
            _check(table, dict)
        for count in self.left_out.values():
            _check(count, int)
        _check(self.note or "", str)
        if not self.parts or not set(self.parts) <= set(PARTS):
            names = ", ".join(self.parts) or "(none)"
            raise ValueError(f"a data set cannot have the parts {names}")

    def files(self) -> Iterator[File]:
        """Yields all files that the folder must hold."""
        for part in self.parts.values():
            yield from (part.index, *part.shards)

    @property
    def skipped(self) -> tuple[str, ...]:
        """The damaged images that were left out, sorted."""
        shards = (shard for part in self.parts.values() for shard in part.shards)
        return tuple(sorted(name for shard in shards for name in shard.skipped))


def write(folder: str | os.PathLike, manifest: Manifest) -> None:
    """Writes `manifest.json`, whole or not at all."""
    described = {"format": FORMAT, "format_version": VERSION, **dataclasses.asdict(manifest)}
    files.write_json(pathlib.Path(folder) / MANIFEST, described)


def read(folder: str | os.PathLike) -> Manifest:
    """Reads `manifest.json`, and checks that every file exists and has the right size.

    Raises:
        UserError: if the manifest is missing, damaged or from a different version, or if a file is
            missing or has a different size.

    Example:
        >>> read("records/flowers").class_names  # doctest: +SKIP
        ('daisy', 'rose')
    """
    folder = path_text("folder", folder)
    manifest = parsed(pathlib.Path(folder))
    _raise_for(folder, manifest, _missing_or_resized(folder, manifest))
    return manifest


def verify_prepared(folder: str | os.PathLike) -> Manifest:
    """Reads `manifest.json`, and checks the SHA-256 of every file.

    Raises:
        UserError: as in `read`, and with the names of the files that have changed.

    Example:
        >>> len(verify_prepared("records/flowers").parts["train"].shards)  # doctest: +SKIP
        4
    """
    folder = path_text("folder", folder)
    manifest = parsed(pathlib.Path(folder))
    wrong = _missing_or_resized(folder, manifest)
    present = [file for file in manifest.files() if file.file not in wrong]
    with ThreadPoolExecutor(_THREADS) as pool:
        whole = list(pool.map(lambda file: is_whole(folder, file), present))
    for file, same in zip(present, whole, strict=True):
        if not same:
            wrong[file.file] = "its contents have changed (SHA-256)"
    _raise_for(folder, manifest, wrong)
    return manifest


def parsed(folder: pathlib.Path) -> Manifest:
    """Reads only `manifest.json`, without checking the files that it names.

    Raises:
        UserError: if it is missing, damaged or from a different version.
    """
    path = folder / MANIFEST
    if not path.is_file():
        found = (
            "its preparation has not ended. Run keras-alexnet prepare again with the same flags to "
            "resume it."
            if (folder / PROGRESS).is_dir()
            else "it is not a folder that keras-alexnet prepare wrote. For images in folders pass "
            "--dataset image_folder."
        )
        raise UserError(f"{folder} holds no {MANIFEST}: {found}")
    advice = "Copy the folder or prepare the images again."
    value = json_files.read(path, {"format": str, "format_version": object}, advice)
    if value["format"] != FORMAT:
        raise UserError(f"{path} is damaged: it is a different kind of file. {advice}")
    if (version := value["format_version"]) != VERSION:
        raise UserError(
            f"{path} is of format version {version}, and this version of keras_alexnet reads "
            f"version {VERSION}. Prepare the images again with keras-alexnet prepare."
        )
    try:
        json_files.matched(value, _MANIFEST, path, advice)
        del value["format"]
        del value["format_version"]
        parts = {name: Part.from_json(part) for name, part in value["parts"].items()}
        return Manifest(**{**value, "class_names": tuple(value["class_names"]), "parts": parts})
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"{path} is damaged: {error}. {advice}") from error


def is_whole(folder: str | os.PathLike, file: File) -> bool:
    """Returns whether a file exists with the right size and SHA-256."""
    path = pathlib.Path(folder) / file.file
    return _size(path) == file.bytes and files.sha256_of(path) == file.sha256


def _size(path: pathlib.Path) -> int | None:
    try:
        return path.stat().st_size if path.is_file() else None
    except (OSError, ValueError):  # a name that no file can have
        return None


def _missing_or_resized(folder: str | os.PathLike, manifest: Manifest) -> dict[str, str]:
    wrong = {}
    for file in manifest.files():
        size = _size(pathlib.Path(folder) / file.file)
        if size is None:
            wrong[file.file] = "it is missing"
        elif size != file.bytes:
            wrong[file.file] = f"it has {size} bytes instead of {file.bytes}"
    return wrong


def _raise_for(folder: str | os.PathLike, manifest: Manifest, wrong: dict[str, str]) -> None:
    if wrong:
        named = [f"{file} ({problem})" for file, problem in sorted(wrong.items())]
        more = f" and {len(named) - 10} more" if len(named) > 10 else ""
        raise UserError(
            f"{len(named)} of {len(list(manifest.files()))} files in {folder} are not as "
            f"{MANIFEST} says: {', '.join(named[:10])}{more}. Run keras-alexnet prepare again with "
            "the same flags, which makes only these files again, or copy them again."
        )
