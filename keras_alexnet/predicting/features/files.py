"""FeatureFiles: activations written batch by batch, from which a stopped command is resumed."""

import contextlib
import io
import json
import os
import pathlib
import re
import shutil
import types
import zlib
from collections.abc import Iterator, Mapping
from typing import IO, Any, NamedTuple

import numpy as np
from absl import logging

from keras_alexnet import __version__
from keras_alexnet.data.folders.files import UNFINISHED
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.predicting import journal
from keras_alexnet.predicting.features import folder, formats
from keras_alexnet.predicting.features.config import FeaturesConfig
from keras_alexnet.trained import TrainedNetwork
from keras_alexnet.utils import files, json_files, signals
from keras_alexnet.utils.provenance import provenance

INDEX = "index.csv"

_JOURNAL = "journal.jsonl"
_VERSION = 1
_HEADER = {"version": int, "made_from": dict}
_BATCH = {"rows": [list], "crc32": dict}
_ADVICE = "Remove the folder, and start again without --resume (resume=)."


class Row(NamedTuple):
    """An image: its name, the SHA-256 of its bytes, and why it has no row in the arrays."""

    image: str
    sha256: str = ""
    error: str | None = None


class FeatureFiles:
    """A folder of activations, which appears when all are done.

    Until then they are in `<out>.unfinished`: an array of each layer, and a journal with a line
    for each batch, which is written after the batch's arrays and has their checksums.

    Args:
        config: where and how to write, and whether to resume.
        network: the network that computes them.
        shapes: name of a layer → shape of its output for one image.

    Raises:
        UserError: another process writes there, or there is nothing to resume.
    """

    def __init__(
        self, config: FeaturesConfig, network: TrainedNetwork, shapes: Mapping[str, tuple[int, ...]]
    ):
        self._config, self._network, self._shapes = config, network, dict(shapes)
        self._out = folder.place_of(config)
        self._stage = self._out.with_name(f"{self._out.name}{UNFINISHED}")
        self._made_from = folder.made_from(config, network)
        self._batches = 0  # that the journal holds
        self._rows = 0  # that the arrays hold
        self._open = contextlib.ExitStack()
        self._journal: IO[bytes]
        self._arrays: dict[str, IO[bytes]] = {}
        try:
            self._begin()
        except BaseException:
            self._open.close()
            raise

    def __enter__(self) -> "FeatureFiles":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        self._open.close()
        if error is None:
            return
        if self._batches:
            error.add_note(
                f"What was done is in {self._stage}. The same command with --resume goes on from "
                "there."
            )
        else:
            shutil.rmtree(self._stage, ignore_errors=True)

    def done(self) -> Iterator[Row]:
        """Yields the images that are done."""
        with open(self._stage / _JOURNAL, "rb") as file:
            file.readline()
            for _ in range(self._batches):
                yield from map(Row._make, json.loads(file.readline())["rows"])

    def add(self, rows: list[Row], values: Mapping[str, np.ndarray]) -> None:
        """Adds a batch.

        Args:
            rows: its images.
            values: name of a layer → float32 `[N, *shape]`, of those that could be read.
        """
        checksums = {}
        for name, array in values.items():
            data = np.ascontiguousarray(array, "<f4").tobytes()
            self._arrays[name].write(data)
            self._arrays[name].flush()
            checksums[name] = zlib.crc32(data)
        self._journal.write(_line({"rows": rows, "crc32": checksums}))
        self._journal.flush()
        self._batches += 1
        self._rows += sum(row.error is None for row in rows)

    def finish(self) -> list[Row]:
        """Writes the files of the format and the index, and renames the folder.

        Returns:
            The images, in order.
        """
        for name, file in self._arrays.items():
            file.seek(0)
            file.write(_header(self._rows, self._shapes[name]))
            file.flush()
        rows = list(self.done())
        written = {name: self._file(name) for name in self._shapes}
        if self._config.format != "npy":
            named = [(row.image, row.sha256) for row in rows if row.error is None]
            made = formats.write(self._config.format, self._stage, self._mapped(self._stage), named)
            written = dict.fromkeys(written, made)
        _write_index(self._stage / INDEX, rows)
        files.write_json(self._stage / folder.DESCRIPTION, self._description(rows, written))
        for path in self._stage.iterdir():
            files.sync(path)
        with signals.held():
            os.replace(self._stage, self._out)
            files.sync(self._out.parent)
            self._open.close()
            (self._out / _JOURNAL).unlink()
            for name in {*map(self._file, self._shapes)} - {*written.values()}:
                (self._out / name).unlink()
        return rows

    def mapped(self) -> dict[str, np.ndarray]:
        """Returns the arrays of the finished folder, memory-mapped."""
        return self._mapped(self._out)

    def _mapped(self, place: pathlib.Path) -> dict[str, np.ndarray]:
        mode: Any = "r" if self._rows else None  # no bytes cannot be mapped
        return {name: np.load(place / self._file(name), mmap_mode=mode) for name in self._shapes}

    def _file(self, layer: str) -> str:
        return re.sub(r"[^\w.-]", "-", layer) + ".npy"

    def _begin(self) -> None:
        if len({self._file(name) for name in self._shapes}) < len(self._shapes):
            raise UsageError(f"These layers have the same file name: {', '.join(self._shapes)}.")
        found = self._stage / _JOURNAL
        resumable = found.exists()
        self._stage.mkdir(parents=True, exist_ok=True)
        refusal = f"Another process is writing to {self._stage}."
        self._open.enter_context(files.locked(self._stage, refusal))
        resume = self._config.resume and resumable
        if resumable and not resume:
            text = "Starting again. With --resume, what is in %s would have been kept."
            logging.warning(text, self._stage)
        if not resume:
            for path in self._stage.iterdir():
                path.unlink()
        self._journal = self._opened(_JOURNAL)
        self._arrays = {name: self._opened(self._file(name)) for name in self._shapes}
        if resume and found.stat().st_size:
            self._resume()
        else:
            self._journal.write(_line({"version": _VERSION, "made_from": self._made_from}))
            self._journal.flush()
            for name, file in self._arrays.items():
                file.write(_header(0, self._shapes[name]))
                file.flush()

    def _opened(self, name: str) -> IO[bytes]:
        path = self._stage / name
        path.touch()
        # Not in the mode "a", in which every write is at the end: what is damaged is overwritten.
        return self._open.enter_context(open(path, "r+b"))

    def _resume(self) -> None:
        """Reads what was done, up to the first batch that is not whole, and drops the rest."""
        found = json_files.parsed(self._journal.readline(), _HEADER, self._journal.name, _ADVICE)
        journal.refuse_other(
            found, {"version": _VERSION, "made_from": self._made_from}, self._stage
        )
        for name, file in self._arrays.items():
            file.seek(len(_header(0, self._shapes[name])))
        images, ends = 0, self._ends()
        while (line := self._journal.readline()).endswith(b"\n") and self._is_whole(line):
            rows = json.loads(line)["rows"]
            self._batches += 1
            self._rows += sum(row[2] is None for row in rows)
            images, ends = images + len(rows), self._ends()
        for file, end in ends.items():  # a kill may leave half a batch, a crash any bytes
            file.seek(end)
            file.truncate()
        logging.info("Resuming after %d images.", images)

    def _ends(self) -> dict[IO[bytes], int]:
        return {file: file.tell() for file in (self._journal, *self._arrays.values())}

    def _is_whole(self, line: bytes) -> bool:
        """Returns whether a line and the arrays of its batch are as they were written."""
        try:
            found = json_files.parsed(line, _BATCH, self._journal.name, _ADVICE)
            rows = [Row._make(row) for row in found["rows"]]
        except (UserError, TypeError):
            return False
        readable = sum(row.error is None for row in rows)
        for name, file in self._arrays.items():
            size = readable * 4 * int(np.prod(self._shapes[name]))
            data = file.read(size)
            if len(data) < size or (size and zlib.crc32(data) != found["crc32"].get(name)):
                return False
        return True

    def _description(self, rows: list[Row], written: Mapping[str, str]) -> dict[str, Any]:
        layers = {
            name: {"file": written[name], "shape": [self._rows, *shape], "dtype": "float32"}
            for name, shape in self._shapes.items()
        }
        made_from = {"model_sha256": self._made_from["model"], **self._made_from}
        made_from.pop("model")
        return {
            **made_from,
            "precision_why": self._network.precision.why,
            "network": self._network.variant,
            "image_plan": self._network.description()["image_plan"],
            "layers": layers,
            "images": self._rows,
            "left_out": len(rows) - self._rows,
            "keras_alexnet": __version__,
            **provenance(),
        }


def _header(rows: int, shape: tuple[int, ...]) -> bytes:
    """Returns the beginning of an .npy file; its length does not depend on the number of rows."""
    file = io.BytesIO()
    described = {"descr": "<f4", "fortran_order": False, "shape": (rows, *shape)}
    np.lib.format.write_array_header_1_0(file, described)
    return file.getvalue()


def _line(value: dict) -> bytes:
    return json.dumps(value).encode() + b"\n"


def _write_index(path: pathlib.Path, rows: list[Row]) -> None:
    """Writes a row for each image: its row in the arrays, name, SHA-256 and error."""
    table, number = [], 0
    for row in rows:
        table.append({"row": "" if row.error is not None else number, **row._asdict()})
        number += row.error is None
    files.write_csv(path, table)
