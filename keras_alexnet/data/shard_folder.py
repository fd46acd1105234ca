"""The folder that `prepare` writes into, one process at a time."""

import contextlib
import dataclasses
import os
import pathlib
import shutil
from collections.abc import Iterator

from absl import logging

from keras_alexnet.data.manifest import MANIFEST, PROGRESS, SHARD, Manifest, Shard, parsed, write
from keras_alexnet.errors import UserError
from keras_alexnet.utils import files, json_files
from keras_alexnet.utils.json_schema import COUNT

_SETTINGS = "settings.json"
_BEGUN = {"class_names": [str], "images": {...: COUNT}, "settings": dict}


class ShardFolder:
    """Finished shards, with a note of each in `.progress` until the manifest is written.

    Attributes:
        path: the folder.
        manifest: the manifest of a preparation that has ended, or None.
    """

    def __init__(self, path: pathlib.Path, manifest: Manifest | None):
        self.path, self.manifest = path, manifest
        ended = manifest.parts.values() if manifest else ()
        self._ended = {shard.file: shard for part in ended for shard in part.shards}

    def noted(self, file: str) -> Shard | None:
        """Returns what is known about a finished shard, or None if it is not finished."""
        note = self._note(file)
        if not note.exists():
            return self._ended.get(file)
        try:
            return Shard.from_json(json_files.read(note, SHARD))
        except ValueError as error:
            logging.warning("%s The shard is made again.", error)
            return None

    def note(self, shard: Shard) -> None:
        """Notes that a shard is finished; called after its file has its final name."""
        files.write_json(self._note(shard.file), dataclasses.asdict(shard))

    def end(self, manifest: Manifest) -> None:
        """Writes the manifest: from now on the folder can be used for training."""
        write(self.path, manifest)
        shutil.rmtree(self.path / PROGRESS)

    def _note(self, file: str) -> pathlib.Path:
        return self.path / PROGRESS / f"{file}.json"


@contextlib.contextmanager
def opened_shard_folder(
    path: str | os.PathLike, identity: dict, source: dict
) -> Iterator[ShardFolder]:
    """Opens the folder for a preparation, a new one or one that is resumed.

    Args:
        path: a folder that does not exist, is empty, or was written by `prepare`.
        identity: what must be the same as when the folder was started: "class_names", "images"
            (part → number) and "settings".
        source: must also be the same as in the manifest, if there is one.

    Raises:
        UserError: if the folder holds something else, or another process is writing to it.
    """
    path = pathlib.Path(path)
    if path.exists() and not path.is_dir():
        raise UserError(f"{path} is a file. Name a folder to write into.")
    progress = path / PROGRESS
    begun = progress.is_dir()
    manifest = parsed(path) if (path / MANIFEST).exists() else None
    if manifest is None and not begun and path.exists() and any(path.iterdir()):
        raise UserError(
            f"{path} is not empty, and keras-alexnet prepare did not write it. Name another folder."
        )
    try:
        progress.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{path} cannot be written to: {error.strerror}. Name another folder."
        ) from error
    with files.locked(
        progress,
        f"Another process is preparing images in {path}. Wait for it, or name another folder.",
    ):
        files.remove_half_written(path, progress)
        if manifest is not None:
            found = {**identity_of(manifest), "source": manifest.source}
            _refuse_other(path, found, {**identity, "source": source})
        elif (progress / _SETTINGS).exists():
            _refuse_other(path, _begun_with(path), identity)
        files.write_json(progress / _SETTINGS, identity)
        yield ShardFolder(path, manifest)


def identity_of(manifest: Manifest) -> dict:
    """Returns the "identity" (see `opened_shard_folder`) of what a manifest describes."""
    images = {
        name: part.images + sum(len(shard.skipped) for shard in part.shards)
        for name, part in manifest.parts.items()
    }
    return {
        "class_names": list(manifest.class_names),
        "images": images,
        "settings": manifest.settings,
    }


def _begun_with(path: pathlib.Path) -> dict:
    settings = path / PROGRESS / _SETTINGS
    return json_files.read(settings, _BEGUN, "Remove it: every shard is checked anyway.")


def _refuse_other(path: pathlib.Path, found: dict, wanted: dict) -> None:
    found, wanted = ({**d, **d["settings"], "settings": None} for d in (found, wanted))
    differing = [name for name in wanted if found.get(name) != wanted[name]]
    if differing:
        shown = "; ".join(
            name
            if name == "class_names"
            else f"{name} was {found.get(name)} and is now {wanted[name]}"
            for name in differing
        )
        raise UserError(
            f"{path} was started with different images or settings ({shown}). Name another folder, "
            "or remove this one."
        )
