"""Runs SavedModels by the package's use of TensorFlow's C API, which TF Serving uses.

It runs as a separate program, `python c_api.py REQUESTS ANSWERS`, which imports neither
TensorFlow's Python nor Keras nor this package. REQUESTS is a pickled list of (folder of a
SavedModel, inputs, outputs): inputs is a dict of arrays by tensor name, with bytes as object
arrays, and outputs is a list of tensor names. ANSWERS becomes a pickled list, which has for each
request a list of arrays in the order of outputs, or the text of the error.
"""

import importlib.util
import pathlib
import pickle
import sys

_MODULE = pathlib.Path(__file__).parents[2] / "keras_alexnet" / "runtimes" / "c_api.py"


def main(requests: str, answers: str) -> None:
    spec = importlib.util.spec_from_file_location("c_api", _MODULE)
    c_api = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(c_api)
    sessions, results = {}, []
    for folder, inputs, outputs in pickle.loads(pathlib.Path(requests).read_bytes()):
        if folder not in sessions:
            sessions[folder] = c_api.Session(folder)
        try:
            results.append(sessions[folder].run(inputs, outputs))
        except RuntimeError as error:
            results.append(str(error))
    assert not {"tensorflow", "keras", "keras_alexnet"} & set(sys.modules)
    pathlib.Path(answers).write_bytes(pickle.dumps(results))


if __name__ == "__main__":
    main(*sys.argv[1:])
