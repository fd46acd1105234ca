"""Checkpoints that are whole or not there, and are verified before they are believed.

A checkpoint is two files in `<workdir>/checkpoints`: `step-N.npz` with every variable, and
`step-N.json` with the training state and the SHA-256 of both. The JSON file is written
last, so a checkpoint without it never was.
"""

import hashlib
import json
import pathlib
import zipfile
from collections.abc import Iterable

import numpy as np
from absl import logging

from keras_alexnet.errors import UserError
from keras_alexnet.utils import files

FOLDER = "checkpoints"


KINDS = ("step", "best")


class Checkpoints:
    """The checkpoints of one run: the newest of kind "step", and the "best" weights so far.

    Args:
        workdir: the run's folder.
        keep: how many of kind "step" to keep, and for each of them the best weights up to it.

    Example:
        >>> checkpoints = Checkpoints("runs/mine", keep=2)
        >>> checkpoints.save(10, {"model/w": np.zeros(3)}, {"epoch": 1})
        >>> checkpoints.restore()[1]["epoch"]
        1
    """

    def __init__(self, workdir, keep: int = 2):
        self.folder = pathlib.Path(workdir) / FOLDER
        self._keep = keep

    def save(
        self, step: int, variables: dict[str, np.ndarray], state: dict, kind: str = "step"
    ) -> None:
        """Writes a checkpoint, then drops the oldest beyond those to keep.

        Args:
            step: optimizer steps done.
            variables: name → value.
            state: what JSON can hold.
            kind: "step" or "best".
        """
        arrays = self.folder / f"{kind}-{step:09d}.npz"
        written = arrays.with_suffix(".json")
        with files.atomic_write(arrays) as temporary:
            # Through a file of its own: numpy would leave the one that it opens open, should the
            # disk be full.
            with open(temporary, "wb") as file:
                np.savez(file, **variables)
            digest = files.sha256_of(temporary)
        state = {**state, "step": step}
        manifest = {"sha256": digest, "state_sha256": _digest(state), "state": state}
        files.write_json(written, manifest)
        if kind == "step":
            others = [path for path in self._newest_first(kind) if path != written]
            _remove(others[self._keep - 1 :])
            # A run that goes on from the oldest needs the best weights up to there: those that
            # came later it makes again, and they need not be better again.
            oldest = min(map(_step_of, self._newest_first(kind)))
            _remove([p for p in self._newest_first("best") if _step_of(p) <= oldest][1:])

    def restore(self, kind: str = "step") -> tuple[dict[str, np.ndarray], dict] | None:
        """Returns variables and state of the newest whole checkpoint, or None if there is none.

        A damaged one is named in the log, and the one before is tried.

        Raises:
            UserError: if there are checkpoints and none is whole.
        """
        self._sweep()
        found = self._newest_first(kind)
        for path in found:
            try:
                return _read(path)
            except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
                logging.warning("Checkpoint %s is damaged: %s.", path, error)
        if found:
            raise UserError(
                f"None of the {len(found)} {kind} checkpoints in {self.folder} is whole. "
                "Start again in another --workdir."
            )
        return None

    def newest_step(self) -> int | None:
        """Returns the step of the newest checkpoint by its name, or None if there is none."""
        found = self._newest_first("step")
        return _step_of(found[0]) if found else None

    def drop_all_but(self, step: int) -> None:
        """Removes all checkpoints but those of `step`."""
        for kind in KINDS:
            _remove(path for path in self._newest_first(kind) if _step_of(path) != step)

    def drop_after(self, step: int) -> None:
        """Removes what is newer than `step`, the step that the run goes on from.

        Damaged checkpoints are: counted among those to keep, they would push whole ones out. So are
        best weights that were saved just before a kill, and which the run has yet to find again.
        """
        for kind in KINDS:
            _remove(path for path in self._newest_first(kind) if _step_of(path) > step)

    def _sweep(self) -> None:
        """Removes what a kill in the middle of a write left: it is of no use and may be large."""
        for path in self.folder.glob("*.npz"):
            if not path.with_suffix(".json").exists():
                path.unlink()
        files.remove_half_written(self.folder)

    def _newest_first(self, kind: str) -> list[pathlib.Path]:
        return sorted(self.folder.glob(f"{kind}-*.json"), reverse=True)


def _remove(manifests: Iterable[pathlib.Path]) -> None:
    for path in manifests:
        path.unlink()
        path.with_suffix(".npz").unlink(missing_ok=True)


def _step_of(path: pathlib.Path) -> int:
    return int(path.stem.rpartition("-")[2])


def _digest(state: dict) -> str:
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


def _read(path: pathlib.Path) -> tuple[dict[str, np.ndarray], dict]:
    manifest = json.loads(path.read_text(encoding="utf-8"))
    arrays = path.with_suffix(".npz")
    received = files.sha256_of(arrays)
    if received != manifest["sha256"]:
        raise ValueError(f"{arrays.name} has SHA-256 {received}, not {manifest['sha256']}")
    if _digest(manifest["state"]) != manifest["state_sha256"]:
        raise ValueError(f"the state in {path.name} does not match its SHA-256")
    with np.load(arrays, allow_pickle=False) as data:
        return {name: data[name] for name in data.files}, manifest["state"]
