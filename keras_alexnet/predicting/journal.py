"""The predictions of a command that has not ended, from which it can be resumed."""

import array
import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import re
import tempfile
from collections.abc import Iterator, Mapping
from typing import IO

from absl import logging

from keras_alexnet import run_folder
from keras_alexnet.data.folders.files import UNFINISHED
from keras_alexnet.distributed import precision_choice
from keras_alexnet.errors import UserError
from keras_alexnet.predicting import addresses, predict
from keras_alexnet.predicting.predict import Prediction
from keras_alexnet.trained import OF_THE_FILE
from keras_alexnet.utils import files, json_files, outputs
from keras_alexnet.utils.json_schema import OneOf
from keras_alexnet.weights import named

_VERSION = 1
_LONGEST_NAME = 240  # bytes, of the 255 that file systems allow
_HEADER = {"version": int, "made_from": dict}
_LINE = {"image": str, "classes": [str], "scores": [float], "error": OneOf(None, str)}


class Journal:
    """Predictions in a file beside the one that they will be written to, a line of JSON each.

    A line is written as soon as the prediction is known, so that also a kill leaves what was done.
    A file that is not a regular one, such as /dev/stdout, has its journal elsewhere, and cannot be
    resumed.

    Args:
        beside: the file that the predictions will be written to.
        made_from: what the predictions depend on.
        resume: whether to go on from the journal of an earlier command.

    Attributes:
        path: the journal, or None if it cannot be resumed from.
        done: the predictions of the earlier command.

    Raises:
        UserError: another process writes the same file, or there is nothing to resume.
        OSError: the file is a folder, or its links lead nowhere.
    """

    def __init__(
        self, beside: str | os.PathLike, made_from: Mapping[str, object], *, resume: bool = False
    ):
        target, is_plain = outputs.destination(beside)
        self.path = target.with_name(_name_for(target.name)) if is_plain else None
        self.done: tuple[Prediction, ...] = ()
        # Where the lines begin: of all that were added, in order, and of the earlier ones.
        self._offsets, self._earlier = array.array("q"), dict[int, int]()
        self._file, self._lock = self._opened(beside)
        header = {"version": _VERSION, "made_from": dict(made_from)}
        try:
            if resume and self._exists_for(beside, target):
                self._read(header)
            else:
                self._begin(header)
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.close()
        self._file.close()

    @property
    def count(self) -> int:
        """The number of predictions that it holds."""
        return len(self._offsets) + len(self._earlier)

    def add(self, prediction: Prediction) -> None:
        """Adds the prediction of the next image: a new one, or one of `done`."""
        if (offset := self._earlier.pop(id(prediction), None)) is None:
            offset = self._file.seek(0, os.SEEK_END)
            self._file.write(_line(dataclasses.asdict(prediction)))
            self._file.flush()
        self._offsets.append(offset)

    def predictions(self) -> Iterator[Prediction]:
        """Yields the predictions that were added, and then those of `done` that were not."""
        for offset in (*self._offsets, *self._earlier.values()):
            self._file.seek(offset)
            yield _prediction(self._file.readline(), self._file.name)

    def remove(self) -> None:
        """Removes the file, when the predictions are where they belong."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def _opened(self, beside: str | os.PathLike) -> tuple[IO[bytes], contextlib.ExitStack]:
        lock = contextlib.ExitStack()
        if self.path is None:
            return tempfile.TemporaryFile(), lock
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = open(self.path, "a+b")
        try:
            lock.enter_context(
                files.locked(self.path, f"Another process is writing predictions to {beside}.")
            )
        except BaseException:
            file.close()
            raise
        # Not in the mode "a", in which every write is at the end: a half line is overwritten.
        file.close()
        return open(self.path, "r+b"), lock

    def _exists_for(self, beside: str | os.PathLike, target: pathlib.Path) -> bool:
        """Whether there are predictions to resume from; without any, the command begins."""
        if self.path is None:
            raise UserError(
                f"--resume needs a file that the predictions so far are beside. Received: {beside}."
            )
        if os.fstat(self._file.fileno()).st_size:
            return True
        if target.exists():
            self.remove()
            raise UserError(
                f"There is nothing to resume: {beside} is complete, or something else. Omit "
                "--resume to replace it."
            )
        return False

    def _begin(self, header: dict) -> None:
        if self.path is not None and os.fstat(self._file.fileno()).st_size:
            text = "Starting again. With --resume, the predictions in %s would have been kept."
            logging.warning(text, self.path)
        self._file.truncate(0)
        self._file.write(_line(header))
        self._file.flush()

    def _read(self, header: dict) -> None:
        advice = "Remove it, and start again without --resume."
        found = json_files.parsed(self._file.readline(), _HEADER, self.path, advice)
        refuse_other(found, header, self.path)
        done, offset = [], self._file.tell()
        while (line := self._file.readline()).endswith(b"\n"):
            done.append(_prediction(line, self.path))
            self._earlier[id(done[-1])] = offset
            offset = self._file.tell()
        self._file.truncate(offset)  # a kill may leave half a line
        self.done = tuple(done)
        logging.info("Resuming after %d predictions.", len(done))


def made_from(
    model: str | os.PathLike,
    *,
    variant: str | None = None,
    labels: str | os.PathLike | None = None,
    precision: str = precision_choice.AUTO,
) -> dict[str, str | None]:
    """Returns what predictions depend on besides the images: names and SHA-256 of files.

    A server is known by its address alone. Of the precision, it is the one that `auto` chooses.

    Raises:
        UserError: there is no such model.

    Example:
        >>> made_from("grpc://localhost:8500/mine")["model"]
        'grpc://localhost:8500/mine'
    """
    text = addresses.shown(os.fspath(model))  # without a password
    computed_in = OF_THE_FILE.name
    if not re.match(predict.URL, text):
        kind, path = named.locate(model, predict.PLACES, variant)
        if kind == run_folder.SAVED_MODEL:
            parts = sorted(each for each in path.rglob("*") if each.is_file())
            hashes = "".join(f"{part.relative_to(path)} {files.sha256_of(part)}" for part in parts)
            text = hashlib.sha256(os.fsencode(hashes)).hexdigest()
        else:
            text = files.sha256_of(path)
        if kind in (run_folder.KERAS, named.NAMED):
            computed_in = precision_choice.choose(precision).name
    names = None
    if labels is not None:
        listed = "\n".join(run_folder.read_labels(labels))
        names = hashlib.sha256(listed.encode()).hexdigest()
    return {"model": text, "variant": variant, "labels": names, "precision": computed_in}


def _name_for(name: str) -> str:
    if len(os.fsencode(name)) > _LONGEST_NAME:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    return f"{name}{UNFINISHED}"


def refuse_other(found: dict, header: dict, path: object) -> None:
    """Refuses to resume what was made with other settings, or of another model.

    Args:
        found: the header of an earlier command: its version, and what it was `made_from`.
        header: that of this command.
        path: where the earlier one wrote.

    Raises:
        UserError: they differ.
    """
    was, now = ({"version": each["version"], **each["made_from"]} for each in (found, header))
    differing = [name for name in {**was, **now} if was.get(name) != now.get(name)]
    if differing:
        shown = "; ".join(f"{name} was {was.get(name)}, is {now.get(name)}" for name in differing)
        raise UserError(
            f"What {path} holds was made differently: {shown}. Pass what it was made with, or omit "
            "--resume to start again."
        )


def _line(value: dict) -> bytes:
    return json.dumps(value).encode() + b"\n"


def _prediction(line: bytes, name: object) -> Prediction:
    found = json_files.parsed(line, _LINE, name, "Start again without --resume.")
    return Prediction(
        found["image"], tuple(found["classes"]), tuple(found["scores"]), found["error"]
    )
