"""SavedModels run by loaders other than Keras."""

import pathlib
import pickle
import subprocess
import sys

import numpy as np
import pytest

from keras_alexnet.runtimes.c_api import library
from support import c_api
from support.exports import meta_graph


def run(program: list[str], requests: list, folder: pathlib.Path) -> list:
    """Runs a program that answers a file of pickled requests with a file of pickled answers."""
    asked, answered = folder / "requests", folder / "answers"
    asked.write_bytes(pickle.dumps(requests))
    command = [sys.executable, *program, str(asked), str(answered)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return pickle.loads(answered.read_bytes())


def by_c_api(requests, folder):
    """Like `by_python`, but an error's text takes the place of the outputs."""
    if library() is None:
        pytest.skip("this TensorFlow has no library with the C API")
    asked, names = [], []
    for saved, signature, inputs in requests:
        described = meta_graph(pathlib.Path(saved)).signature_def[signature]
        fed = {described.inputs[name].name: np.asarray(inputs[name]) for name in inputs}
        asked.append((saved, fed, [each.name for each in described.outputs.values()]))
        names.append(list(described.outputs))
    answers = run([str(pathlib.Path(c_api.__file__))], asked, folder)
    return [
        each if isinstance(each, str) else dict(zip(keys, each, strict=True))
        for keys, each in zip(names, answers, strict=True)
    ]
