"""The folder of the page: what is written, what it says, and where the runtime comes from."""

import base64
import hashlib
import json
import re
import stat

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from keras_alexnet import ExportConfig, UsageError, UserError, export
from keras_alexnet.exporting import formats, versions
from keras_alexnet.exporting.web import folder, runtime
from keras_alexnet.runtimes.litert import LiteModel
from support.exports import keras_logits, noise, trained

LABELS = ["<b>cat</b>", "猫", '"dog"', "owl"]


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("run"), "cifar_v2", LABELS, num_classes=4)


@pytest.fixture
def packages(tmp_path):
    """A folder in which npm has put packages of the runtime's shape."""
    for package, names in runtime.FILES.items():
        for name in names:
            path = tmp_path / "npm" / "node_modules" / package / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"version": "2.5.3"}))
    return tmp_path / "npm"


def settings(packages, tmp_path, **others):
    return ExportConfig(
        **{
            "model": "cifar_v2",
            "out": tmp_path / "out",
            "formats": ["web"],
            "layers": ["conv2", "conv1"],
            "web_runtime": packages,
            **others,
        }
    )


def test_writes_page_network_labels_filters_and_runtime(network, packages, tmp_path):
    web, config = formats.get("web"), settings(packages, tmp_path, quantization=["float16"])
    web.check(config, network)
    stage = tmp_path / "out" / "stage"
    stage.mkdir(parents=True)
    [output] = web.outputs(config)
    written = web.write(output, formats.ExportJob(network, config, stage, 1))
    # A page is replaced by the next one, whose folders are there already.
    (tmp_path / "again" / "web" / "runtime").mkdir(parents=True)
    versions.publish(stage, tmp_path / "again")
    page = tmp_path / "again" / "web"
    about = json.loads((page / "network.json").read_text(encoding="utf-8"))
    assert about["labels"] == LABELS and about["runtime"] == "LiteRT.js 2.5.3"
    assert about["models"] == [
        {
            "name": "float16",
            "file": written.place.name,
            "bytes": (page / written.place.name).stat().st_size,
        }
    ]
    maps = {each["name"]: tuple(each["shape"]) for each in about["layers"]}
    assert list(maps) == ["conv2", "conv1"]
    filters = about["filters"]
    assert filters["layer"] == "conv1" and filters["count"] == maps["conv1"][2]
    with Image.open(page / filters["file"]) as picture:
        assert picture.height == filters["count"] * picture.width
    assert (page / "labels.txt").read_text(encoding="utf-8").splitlines() == LABELS
    assert (page / "runtime" / "core" / "wasm" / "litert_wasm_internal.wasm").is_file()
    images = noise(2, network)
    file = LiteModel(page / written.place.name)
    wanted = keras_logits(network, images)
    np.testing.assert_allclose(file.run(images)["logits"], wanted, atol=4e-3 * np.abs(wanted).max())
    interpreter = Interpreter(str(page / written.place.name))
    outputs = interpreter.get_signature_runner("serving_default")(image=images)
    for name, shape in maps.items():
        found = outputs[name]
        assert found.shape == (2, *shape) and found.min() >= 0 and found.max() > 0


def test_layers_must_put_out_maps(network):
    folder.check_layers(network, ["conv1", "pool2"])
    with pytest.raises(UsageError, match="fc3 puts out a vector. Layers with maps: .*conv1"):
        folder.check_layers(network, ["conv1", "fc3"])
    with pytest.raises(UsageError, match="Did you mean 'conv1'"):
        folder.check_layers(network, ["conf1"])


@pytest.mark.parametrize("setting", [{"layers": ["conv1"]}, {"web_runtime": "node_modules"}])
def test_settings_of_the_page_need_the_page(setting):
    with pytest.raises(UsageError, match="is for the page in the browser. Add web"):
        export(ExportConfig(model="cifar_v2", out="out", **setting))


def test_runtime_in_a_folder(packages, tmp_path):
    assert runtime.locate(packages) == runtime.locate(packages / "node_modules")
    for wrong in (tmp_path / "missing", tmp_path):
        with pytest.raises(UsageError, match="has no @litertjs/core. On a machine with npm, run"):
            runtime.check(wrong)
    (packages / "node_modules/@litertjs/core/wasm/litert_wasm_internal.wasm").unlink()
    with pytest.raises(UsageError, match="has no @litertjs/core/wasm/litert_wasm_internal.wasm"):
        runtime.check(packages)


def test_another_release_of_the_runtime_is_noticed(packages, tmp_path, caplog):
    path = packages / "node_modules/@litertjs/core/package.json"
    path.write_text(json.dumps({"version": "2.50.0"}))
    runtime.copy(packages, tmp_path / "copy")
    assert runtime.name_of(tmp_path / "copy") == "LiteRT.js 2.50.0"
    assert "tested with LiteRT.js 2.5, and this is 2.50.0" in caplog.text


def test_without_npm_the_message_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="no npm here. On a machine with npm, run: npm install"):
        runtime.check(None)
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho npm error network is down >&2\nexit 1\n")
    npm.chmod(npm.stat().st_mode | stat.S_IEXEC)
    with pytest.raises(UserError, match="cannot install LiteRT.js: network is down. On a machine"):
        runtime.copy(None, tmp_path / "copy")


def test_page_allows_its_import_map_and_no_other_host():
    page = (folder.PAGE / "index.html").read_text(encoding="utf-8")
    [imports] = re.findall(r'<script type="importmap">(.*?)</script>', page, re.S)
    sha256 = base64.b64encode(hashlib.sha256(imports.encode()).digest()).decode()
    assert f"'sha256-{sha256}'" in page
    for path in folder.PAGE.iterdir():
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)\w", path.read_text("utf-8")), path
