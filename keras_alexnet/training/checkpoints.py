"""Checkpoints: written atomically, verified when read, shared by all workers."""

import contextlib
import errno
import hashlib
import json
import os
import pathlib
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from absl import logging

from keras_alexnet.distributed.cluster import Cluster, SingleProcess
from keras_alexnet.errors import UserError
from keras_alexnet.utils import files, finite, json_files
from keras_alexnet.utils.json_schema import COUNT
from keras_alexnet.utils.text import printable

FOLDER = "checkpoints"

KINDS = ("step", "best")

# Exists until a new run has its first checkpoint. Without it, a run that has none has lost them.
_NONE_YET = ".no-checkpoint-yet"

_NAME = re.compile(r"(step|best)-(\d{9,15})\.(json|npz)")

_MANIFEST = {"sha256": str, "state_sha256": str, "state": {"step": COUNT}}

_DISK_ERRORS = {
    getattr(errno, name, None) for name in ("ENOSPC", "EDQUOT", "EFBIG", "EIO", "EROFS")
}


class Checkpoints:
    """The checkpoints of one run: the newest of kind "step", and those of kind "best".

    A checkpoint is two files in `<workdir>/checkpoints`: `step-N.npz` with every variable, and
    `step-N.json` with the training state and the SHA-256 of both. The JSON file is written last:
    without it there is no checkpoint. If the best weights are also the newest, `best-N.npz` and
    `step-N.npz` are one file with two names, where the file system can do that.

    Of several workers, only the chief writes and reads files, and sends what it read to all others.
    So all resume from the same checkpoint, and only the chief's file system must keep it. All
    workers must call the methods, in which they wait for the chief.

    Args:
        workdir: the run's folder.
        keep: how many of kind "step" to keep, and with each of them the best weights up to it.
        cluster: the workers that share the checkpoints.

    Example:
        >>> checkpoints = Checkpoints("runs/mine", keep=2)
        >>> checkpoints.save(10, {"model/w": np.zeros(3)}, {"epoch": 1})
        >>> checkpoints.restore()[1]["epoch"]
        1
    """

    def __init__(self, workdir: str | os.PathLike, keep: int = 2, cluster: Cluster | None = None):
        self.folder = pathlib.Path(workdir) / FOLDER
        self._keep, self._cluster = keep, cluster or SingleProcess()
        self._ignored: set[pathlib.Path] = set()

    def save(
        self,
        step: int,
        variables: dict[str, np.ndarray],
        state: dict,
        kind: str = "step",
        best: dict | None = None,
    ) -> None:
        """Writes a checkpoint, then removes the oldest ones if there are more than `keep`.

        Args:
            step: number of optimizer steps done.
            variables: name → value.
            state: the training state, which JSON must be able to hold.
            kind: "step" or "best".
            best: the state of a checkpoint of kind "best" with the same variables, which is written
                before that of kind "step".

        Raises:
            UserError: if the disk is full or broken.
        """

        def write() -> None:
            with disk_errors_explained(self.folder.parent):
                arrays = self.folder / f"{kind}-{step:09d}.npz"
                if best is None:
                    digest = _write_arrays(arrays, variables)
                else:
                    of_best = self.folder / f"best-{step:09d}.npz"
                    digest = _write_arrays(of_best, variables)
                    _write_manifest(of_best, digest, {**best, "step": step})
                    files.link_or_copy(of_best, arrays)
                written = _write_manifest(arrays, digest, {**state, "step": step})
                if kind == "step":
                    self._remove_old(written)
                    (self.folder.parent / _NONE_YET).unlink(missing_ok=True)

        self._cluster.from_chief(write)

    def restore(self, kind: str = "step") -> tuple[dict[str, np.ndarray], dict] | None:
        """Returns variables and state of the newest intact checkpoint, or None if there is none.

        A damaged checkpoint is named in the log, and the one before it is tried.

        Raises:
            UserError: if there are checkpoints and none is intact.
        """
        return self._cluster.arrays_from_chief(lambda: self._newest_intact(kind))

    def newest_step(self, kind: str = "step") -> int | None:
        """Returns the step in the name of the newest checkpoint, or None if there is none."""

        def newest() -> int | None:
            found = self._newest_first(kind)
            whole = [path for path in found if path.with_suffix(".npz").is_file()]
            return _step_of(whole[0]) if whole else None

        return self._cluster.from_chief(newest)

    def begin(self) -> None:
        """Notes that the run has no checkpoint yet; called before its config.json is written."""
        files.write_text(self.folder.parent / _NONE_YET, "")

    def may_be_empty(self) -> bool:
        """Returns whether the run has had no checkpoint since `begin`."""
        return (self.folder.parent / _NONE_YET).exists()

    def remove_all_but(self, step: int) -> None:
        """Removes all checkpoints except those of `step`."""
        self._remove_if(lambda found: found != step)

    def remove_after(self, step: int) -> None:
        """Removes checkpoints newer than `step`, the step that the run resumes from.

        These are damaged checkpoints, which would displace intact ones from those to keep, and best
        weights that were saved just before the run was killed, which it will find again.
        """
        self._remove_if(lambda found: found > step)

    def _remove_if(self, is_removed: Callable[[int], bool]) -> None:
        def remove() -> None:
            for kind in KINDS:
                _remove(path for path in self._newest_first(kind) if is_removed(_step_of(path)))

        self._cluster.from_chief(remove)

    def _remove_old(self, written: pathlib.Path) -> None:
        others = [path for path in self._newest_first("step") if path != written]
        _remove(others[self._keep - 1 :])
        # A run that resumes from the oldest needs the best weights up to there: it computes the
        # later ones again, and those need not be better again.
        oldest = min(map(_step_of, self._newest_first("step")))
        _remove([p for p in self._newest_first("best") if _step_of(p) <= oldest][1:])

    def _newest_intact(self, kind: str) -> tuple[dict[str, np.ndarray], dict] | None:
        self._sweep()
        found = self._newest_first(kind)
        for path in found:
            try:
                return _read(path)
            except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
                logging.warning("Checkpoint %s is damaged: %s", path, str(error).rstrip(".") + ".")
        if found:
            raise UserError(
                f"None of the {len(found)} {kind} checkpoints in {self.folder} is intact. "
                "Start again in another --workdir."
            )
        return None

    def _sweep(self) -> None:
        """Removes what a process that was killed while writing left: it may be large."""
        for path in self.folder.glob("*.npz"):
            if _is_ours(path) and not path.with_suffix(".json").exists():
                path.unlink()
        files.remove_half_written(self.folder)

    def _newest_first(self, kind: str) -> list[pathlib.Path]:
        found = list(self.folder.glob(f"{kind}-*.json"))
        ours = [path for path in found if _is_ours(path)]
        for path in set(found) - set(ours) - self._ignored:
            self._ignored.add(path)
            logging.warning("%s is not a checkpoint, and is ignored.", printable(path))
        return sorted(ours, key=_step_of, reverse=True)


@contextlib.contextmanager
def disk_errors_explained(workdir: pathlib.Path) -> Iterator[None]:
    """Turns a full or broken disk in its body into a `UserError` that says how to resume."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            raise
        newest = Checkpoints(workdir).newest_step()
        kept = "There is no checkpoint yet"
        if newest is not None:
            kept = f"The checkpoint of step {newest} is intact"
        raise UserError(
            f"{error.filename or workdir} could not be written: {error.strerror}. {kept}. Free "
            f"some space. Resume with: keras-alexnet train --resume --workdir={workdir}"
        ) from error


def _write_arrays(path: pathlib.Path, variables: dict[str, np.ndarray]) -> str:
    """Returns the SHA-256 of what was written."""
    arrays_by_name: dict[str, Any] = variables
    with files.atomic_write(path) as temporary:
        # If the disk is full, NumPy leaves a file open that it opened itself.
        with open(temporary, "wb") as file:
            np.savez(file, **arrays_by_name)
        return files.sha256_of(temporary)


def _write_manifest(arrays: pathlib.Path, digest: str, state: dict) -> pathlib.Path:
    manifest = {"sha256": digest, "state_sha256": _digest(state), "state": state}
    files.write_json(arrays.with_suffix(".json"), manifest)
    return arrays.with_suffix(".json")


def _remove(manifests: Iterable[pathlib.Path]) -> None:
    for path in manifests:
        path.unlink()
        path.with_suffix(".npz").unlink(missing_ok=True)


def _is_ours(path: pathlib.Path) -> bool:
    return _NAME.fullmatch(path.name) is not None and path.is_file()


def _step_of(path: pathlib.Path) -> int:
    return int(path.stem.rpartition("-")[2])


def _digest(state: dict) -> str:
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


def _read(path: pathlib.Path) -> tuple[dict[str, np.ndarray], dict]:
    manifest = json_files.read(path, _MANIFEST, nan=True)
    arrays = path.with_suffix(".npz")
    received = files.sha256_of(arrays)
    if received != manifest["sha256"]:
        raise ValueError(f"{arrays.name} has SHA-256 {received}, not {manifest['sha256']}")
    if _digest(manifest["state"]) != manifest["state_sha256"]:
        raise ValueError(f"the state in {path.name} does not match its SHA-256")
    with zipfile.ZipFile(arrays) as archive:
        if any(each.compress_type != zipfile.ZIP_STORED for each in archive.infolist()):
            raise ValueError(f"{arrays.name} is compressed, which checkpoints never are")
    try:
        with np.load(arrays, allow_pickle=False) as data:
            variables = {name: data[name] for name in data.files}
    except MemoryError as error:
        raise ValueError(f"{arrays.name} claims more memory than there is") from error
    finite.check_weights(arrays.name, variables.items())
    return variables, manifest["state"]
