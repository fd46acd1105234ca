"""Exports in tools of others: OpenVINO and MediaPipe, each in an environment of its own.

Their packages need other versions than TensorFlow, so the tests that run them ask for a Python that
has them: KERAS_ALEXNET_OPENVINO and KERAS_ALEXNET_MEDIAPIPE name its executable. What those tools
need is checked always.
"""

import json
import os
import subprocess

import numpy as np
import pytest

from keras_alexnet.exporting.formats import saved_model, tflite
from keras_alexnet.runtimes.litert import LiteModel
from keras_alexnet.utils import tensorflow_private
from support.exports import LABELS, SIGNATURES, meta_graph, nodes_of, noise, trained

OPENVINO = """
import json, sys
import numpy as np, openvino
folder, pixels = sys.argv[1:]
pixels, answers = np.load(pixels), []
for read in (openvino.convert_model, openvino.Core().read_model):
    outputs = openvino.compile_model(read(folder), "CPU")({"image": pixels}).to_dict()
    answers.append({min(key.get_names()): value.tolist() for key, value in outputs.items()})
print(json.dumps(answers))
"""

MEDIAPIPE = """
import json, sys
import mediapipe, numpy as np
from mediapipe.tasks import python as tasks
from mediapipe.tasks.python import vision
file = tasks.BaseOptions(model_asset_path=sys.argv[1])
options = vision.ImageClassifierOptions(base_options=file)
answers = []
with vision.ImageClassifier.create_from_options(options) as classifier:
    for pixels in np.load(sys.argv[2]):
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=pixels)
        first = classifier.classify(image).classifications[0]
        answers.append({each.category_name: each.score for each in first.categories})
print(json.dumps(answers))
"""


def _answers(variable, program, *arguments):
    """What a program prints in the environment that a variable names."""
    if variable not in os.environ:
        pytest.skip(f"{variable} names no Python")
    command = [os.environ[variable], "-c", program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("run"), "cifar_v2", LABELS)


@pytest.fixture(scope="module")
def pixels(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("pixels") / "pixels.npy"
    np.save(path, noise(5, network))
    return path


@pytest.fixture(scope="module")
def folder(network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "1"
    saved_model.write(network, folder)
    return folder


def test_a_saved_model_needs_no_initialization(folder):
    graph = meta_graph(folder)
    for signature in SIGNATURES:
        operations = {node.op for node in nodes_of(graph, signature)}
        assert not [each for each in operations if "Table" in each or "Lookup" in each]
    assert (folder / "assets" / "labels.txt").read_text("utf-8").splitlines() == LABELS


def test_openvino(network, folder, pixels):
    wanted = network.logits(np.load(pixels))
    for found in _answers("KERAS_ALEXNET_OPENVINO", OPENVINO, folder, pixels):
        np.testing.assert_allclose(found["logits"], wanted, atol=1e-5 * np.abs(wanted).max())
        assert [each[0] for each in found["classes"]] == [LABELS[i] for i in wanted.argmax(1)]


@pytest.mark.parametrize("quantization", ["float32", "int8"])
def test_probabilities_are_the_first_output_of_a_tflite_file(network, quantization):
    calibration = noise(2, network) if quantization == "int8" else None
    contents = tflite.convert(network, quantization, calibration=calibration)
    schema = tensorflow_private.tflite_schema()
    model = schema.ModelT.InitFromPackedBuf(contents)
    [signature], [graph] = model.signatureDefs, model.subgraphs
    assert [each.name for each in signature.outputs] == [b"probabilities", b"logits"]
    assert [each.tensorIndex for each in signature.outputs] == list(graph.outputs)
    probabilities = LiteModel(contents).run(noise(2, network))["probabilities"]
    assert probabilities.sum(1) == pytest.approx([1, 1], abs=1e-5)


def test_mediapipe(network, pixels, tmp_path):
    file = tmp_path / "network.tflite"
    file.write_bytes(tflite.convert(network, "float32"))
    wanted = network.probabilities(np.load(pixels))
    answers = _answers("KERAS_ALEXNET_MEDIAPIPE", MEDIAPIPE, file, pixels)
    for found, row in zip(answers, wanted, strict=True):
        best = {network.labels[i]: row[i] for i in range(len(row)) if network.labels[i] != "cat"}
        assert {name: found[name] for name in best} == pytest.approx(best, abs=1e-5)
