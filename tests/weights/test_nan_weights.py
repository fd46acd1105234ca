"""NaN and infinite weights are found wherever a network is opened: outputs may not show them."""

import dataclasses
import importlib.util
import json
import re
import zipfile

import numpy as np
import pytest

import keras_alexnet as ka
from keras_alexnet import UserError, convert, run_folder, weights
from keras_alexnet.exporting.formats import onnx, saved_model, tflite
from keras_alexnet.runtimes.litert import LiteModel
from keras_alexnet.trained import TrainedNetwork
from keras_alexnet.training.checkpoints import Checkpoints
from keras_alexnet.utils import files
from support import predict_places

needs_onnx = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("onnx", "onnxruntime", "tf2onnx"))),
    reason="ONNX files need onnx, onnxruntime and tf2onnx",
)


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory):
    """A network whose first convolution is NaN, in a run's folder: its outputs are finite."""
    network = predict_places.network(tmp_path_factory.mktemp("whole") / "run", seed=1)
    for weight in network.model.get_layer("conv1").weights:
        weight.assign(np.full(weight.shape, np.nan))
    folder = tmp_path_factory.mktemp("spoiled")
    run_folder.save(folder, network.model, network.labels)
    return dataclasses.replace(network, path=folder)


def written(network, kind, folder):
    """The network in a file of a kind."""
    if kind == "run":
        return network.path
    if kind == "saved_model":
        saved_model.write(network, folder / "1")
        return folder
    if kind == "onnx":
        onnx.write(network, folder / "net.onnx")
        return folder / "net.onnx"
    path = folder / "net.tflite"
    path.write_bytes(tflite.convert(network, kind))
    return path


@pytest.mark.parametrize(
    "kind", ["run", "saved_model", "float32", "float16", pytest.param("onnx", marks=needs_onnx)]
)
def test_every_kind_of_file(spoiled, kind, tmp_path):
    path = written(spoiled, kind, tmp_path)
    message = r"holds weights that are NaN or infinite: .*\((4800|64) of (4800|64)\)"
    for open_it in (ka.load, lambda path: ka.predict(path, np.zeros([32, 32, 3], np.uint8))):
        with pytest.raises(UserError, match=message) as error:
            open_it(path)
        assert str(path) in str(error.value) and "train again" in str(error.value)


def uses(path, folder):
    """What users do with a model."""
    return {
        "evaluate": lambda: ka.evaluate(ka.EvaluateConfig(model=path, dataset="shapes")),
        "export": lambda: ka.export(ka.ExportConfig(model=path, out=folder / "out")),
        "filters": lambda: ka.figures.filters(path, folder / "out.png"),
        "neighbors": lambda: ka.figures.neighbors(path, folder / "out.png"),
        "to_torch": lambda: convert.to_torch(path, folder / "out.safetensors"),
        "build": lambda: ka.build("cifar_v2", weights=path),
        "train": lambda: ka.train(
            ka.TrainConfig(dataset="shapes", workdir=str(folder / "out"), weights=str(path))
        ),
    }


@pytest.mark.parametrize("use", list(uses(None, None)))
def test_every_use_of_a_model(spoiled, use, tmp_path):
    with pytest.raises(UserError, match=r"model.keras holds weights .*conv1/kernel \(4800 of 4800"):
        uses(spoiled.path, tmp_path)[use]()
    assert not any(tmp_path.iterdir())


def test_models_in_memory(spoiled, tmp_path):
    with pytest.raises(UserError, match=r"cifar_v2 holds weights .*conv1/bias \(64 of 64\)"):
        TrainedNetwork.of_model(spoiled.model)
    with pytest.raises(UserError, match=r"conv1.0.weight \(4800 of 4800\)"):
        weights.save(spoiled.model, tmp_path / "out.safetensors")
    assert not any(tmp_path.iterdir())


def test_one_infinite_number_is_enough(tmp_path):
    model = ka.build("cifar_v2", num_classes=2, seed=0)
    bias = model.get_layer("fc3").bias
    bias.assign(np.where(np.arange(384) == 7, -np.inf, 0))
    run_folder.save(tmp_path, model, ["cat", "dog"])
    with pytest.raises(UserError, match=r": fc3/bias \(1 of 384\)\. "):
        ka.load(tmp_path)


@pytest.mark.parametrize(
    "change", ['"std": [0.0, ', '"std": [-5, ', '"std": [NaN, ', '"mean": [Infinity, ']
)
def test_constants_of_the_pixels(change, tmp_path):
    ka.build("cifar_v2", num_classes=2).save(tmp_path / "net.keras")
    key = change.partition("[")[0]
    with (
        zipfile.ZipFile(tmp_path / "net.keras") as whole,
        zipfile.ZipFile(tmp_path / "changed.keras", "w") as changed,
    ):
        for name in whole.namelist():
            contents = whole.read(name)
            if name == "config.json":
                contents = re.sub(
                    re.escape(key) + r"\[[\d.]+, ", change, contents.decode(), count=1
                )
                assert change in contents
            changed.writestr(name, contents)
    with pytest.raises(UserError, match="changed.keras .* finite means and deviations above 0"):
        ka.load(tmp_path / "changed.keras")


def test_weights_beyond_float16_are_not_clipped(tmp_path):
    network = predict_places.network(tmp_path, seed=1)
    bias = network.model.get_layer("conv2").bias
    bias.assign(np.full(bias.shape, 1e5))
    with pytest.raises(UserError, match=r"up to 65504, .*: conv2/bias \(100000\). Remove float16"):
        tflite.convert(network, "float16")
    assert LiteModel(tflite.convert(network, "float32")).num_classes == 7


def test_scales_of_quantized_tensors(tmp_path):
    contents = tflite.convert(predict_places.network(tmp_path, seed=1), "dynamic")
    schema = ka.utils.tensorflow_private.tflite_schema()
    scales = [
        tensor.Quantization().ScaleAsNumpy()
        for graph in [schema.Model.GetRootAs(contents).Subgraphs(0)]
        for tensor in map(graph.Tensors, range(graph.TensorsLength()))
        if tensor.Quantization() is not None and tensor.Quantization().ScaleLength() > 100
    ]
    place = contents.index(scales[0].tobytes())
    changed = contents[:place] + np.float32(np.nan).tobytes() + contents[place + 4 :]
    with pytest.raises(UserError, match=r"\(scales\) \(1 of \d+\)"):
        LiteModel(changed)


def test_a_checkpoint_with_such_weights_counts_as_damaged(tmp_path, caplog):
    checkpoints = Checkpoints(tmp_path)
    for step, value in ((1, 0.5), (2, np.nan)):
        checkpoints.save(step, {"w": np.full(3, value), "n": np.arange(2)}, {"epoch": step})
    variables, state = checkpoints.restore()
    assert state["step"] == 1 and variables["w"].tolist() == [0.5] * 3
    assert "NaN or infinite: w (3 of 3)" in caplog.text


@pytest.mark.parametrize("kind", ["compressed", "claims"])
def test_sizes_that_a_checkpoint_claims(kind, tmp_path, caplog):
    checkpoints = Checkpoints(tmp_path)
    for step in (1, 2):
        checkpoints.save(step, {"w": np.zeros(10**5)}, {"epoch": step})
    arrays = checkpoints.folder / "step-000000002.npz"
    if kind == "compressed":
        np.savez_compressed(arrays, w=np.zeros(10**5))
    else:
        true, claimed = b"(100000,), }", b"(100000000000000,), }"
        contents = arrays.read_bytes()
        assert true.ljust(len(claimed)) in contents
        arrays.write_bytes(contents.replace(true.ljust(len(claimed)), claimed))
    manifest = arrays.with_suffix(".json")
    found = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**found, "sha256": files.sha256_of(arrays)}))
    assert checkpoints.restore()[1]["step"] == 1
    assert ("is compressed" if kind == "compressed" else "claims more memory") in caplog.text
