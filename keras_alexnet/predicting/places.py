"""From the name of a place to the network that runs there."""

import os
import pathlib
import re
from collections.abc import Sequence

from keras_alexnet import run_folder
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.predicting import local
from keras_alexnet.predicting.encoded import SavedModelPredictor
from keras_alexnet.predicting.predictor import Predictor

PLACES = (
    "a run's folder, a .keras file, a SavedModel folder, a .tflite file, "
    "http://host:8501/v1/models/NAME[/versions/N] or grpc://host:8500/NAME[/versions/N]"
)


def predictor_for(
    where: str | os.PathLike,
    *,
    top: int,
    timeout: float,
    variant: str | None = None,
    labels: Sequence[str] | None = None,
) -> Predictor:
    """Loads the network at `where`, or connects to its server.

    Args:
        where: one of `PLACES`.
        top: how many classes to name.
        timeout: seconds that a server may take for a request.
        variant: the network, for a `.keras` or `.tflite` file that does not tell it.
        labels: names of the classes in place of those that the network has.

    Raises:
        UsageError: for an empty name, an address of another form, or a variant where none can be
            used.
        UserError: if there is no such network, or it cannot be loaded or reached.
    """
    if not isinstance(where, (str, os.PathLike)):
        raise UsageError(f"A network is {PLACES}. Received: {type(where).__name__}.")
    text = os.fspath(where)
    if not text:  # pathlib would take it for the current folder
        raise UsageError(f"A network is {PLACES}. Received: an empty name.")
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", text)
    if scheme:
        _refuse_variant(variant, where)
        return _server(scheme[1].lower(), text, top, labels, timeout)
    path = pathlib.Path(where)
    if path.suffix == ".tflite" and not path.is_dir():
        return local.of_tflite(path, top, variant, labels)
    if path.is_dir() and not (path / run_folder.MODEL).exists():
        _refuse_variant(variant, where)
        return SavedModelPredictor(_saved_model(path), top, labels)
    if path.exists() and (path.is_dir() or path.suffix == ".keras"):
        return local.of_keras(path, top, variant, labels)
    problem = "is none of these" if path.exists() else "does not exist"
    raise UserError(f"A network is {PLACES}. {where} {problem}.")


def _server(scheme: str, url: str, top: int, labels, timeout: float) -> Predictor:
    if scheme in ("http", "https"):
        from keras_alexnet.predicting.rest import RestPredictor

        return RestPredictor(url, top, labels, timeout)
    if scheme == "grpc":
        # It needs an optional package.
        from keras_alexnet.predicting.grpc_client import GrpcPredictor

        return GrpcPredictor(url, top, labels, timeout)
    raise UsageError(f"A network is {PLACES}. Received: {url}.")


def _saved_model(folder: pathlib.Path) -> pathlib.Path:
    found = run_folder.newest(folder)
    if found is None:
        lite = sorted([*folder.glob("*.tflite"), *folder.glob("tflite/*.tflite")])
        if lite:
            raise UserError(
                f"{folder} holds no SavedModel. Name one of its TFLite files: "
                f"{', '.join(map(str, lite))}."
            )
        raise UserError(
            f"{folder} holds neither {run_folder.MODEL}, as a run's folder does, nor "
            f"{run_folder.GRAPH}, "
            "as a SavedModel does, nor a version of one, nor a TFLite file. A network is "
            + PLACES
            + "."
        )
    return found


def _refuse_variant(variant: str | None, where) -> None:
    if variant is not None:
        raise UsageError(
            f"--variant (variant=) tells how images become the inputs of a .keras or .tflite file; "
            f"the network at {where} does that itself. Leave it out. Received: {variant!r}."
        )
