"""PyTorch's weights in, with the same answers, and out again."""

import os
import pickle
import sys
import tarfile

import keras
import numpy as np
import pytest

import keras_alexnet
from keras_alexnet import UserError, weights
from keras_alexnet.networks import layers
from keras_alexnet.weights import pytorch
from support.fixed_weights import relative_error
from support.photographs import photographs, top5

torch = pytest.importorskip("torch", reason="compares with PyTorch, which users never need")

import safetensors.torch as SAFE  # noqa: E402

from support import document_modules  # noqa: E402
from support.document_modules import NETWORKS  # noqa: E402


class Pair:
    """A source's network, and the same built from its state dict."""

    def __init__(self, source, folder):
        self.variant, make, self.size, self.statistics = NETWORKS[source]
        self.network = document_modules.randomized(make())
        self.file = folder / f"{source}.safetensors"
        SAFE.save_file(self.network.state_dict(), self.file)
        self.model = keras_alexnet.build(self.variant, weights=self.file)

    def layer_outputs(self, pixels):
        """Returns PyTorch's and Keras's outputs of the layers in order; the logits come last."""
        kinds = (layers.Convolution, keras.layers.MaxPooling2D, keras.layers.Dense)
        chosen = [layer.output for layer in self.model.layers if isinstance(layer, kinds)]
        got = keras.Model(self.model.input, chosen)(pixels)
        inputs = document_modules.standardized(pixels, self.statistics)
        wanted = document_modules.layer_outputs(self.network, inputs)
        return wanted, [output.numpy() for output in got]


@pytest.fixture(scope="module", params=[name for name in NETWORKS if name != "document 004"])
def pair(request, tmp_path_factory):
    return Pair(request.param, tmp_path_factory.mktemp("state"))


def test_each_layer_and_the_five_likeliest_are_pytorchs(pair):
    for seed in range(2):
        wanted, got = pair.layer_outputs(photographs(2, pair.size, seed))
        for by_torch, by_keras in zip(wanted, got, strict=True):
            assert relative_error(by_torch, by_keras) < 1e-4
        assert top5(wanted[-1]) == top5(got[-1])


def test_what_is_written_for_pytorch_is_what_came_from_it(pair, tmp_path):
    weights.save(pair.model, tmp_path / "back.safetensors")
    back = SAFE.load_file(tmp_path / "back.safetensors")
    _, make, *_ = NETWORKS[f"{pair.file.stem}"]
    with torch.device("meta"):
        network = make()
    network.load_state_dict(back, strict=True, assign=True)
    for name, tensor in pair.network.state_dict().items():
        assert torch.equal(back[name], tensor), name


class V2:
    """`cifar_v2`, small enough to be written often."""

    def __init__(self, folder):
        self.folder = folder
        self.network = document_modules.randomized(document_modules.Document001())
        self.state = self.network.state_dict()
        self.pixels = photographs(3, 32)
        inputs = document_modules.standardized(self.pixels, NETWORKS["document 001"][-1])
        self.logits = self.network(inputs).detach().numpy()

    def written(self, name, state):
        path = self.folder / name
        torch.save(state, path)
        return path

    def assert_loads(self, path, **options):
        model = keras_alexnet.build("cifar_v2")
        loaded = weights.load(model, path, **options)
        assert relative_error(self.logits, model(self.pixels).numpy()) < 1e-4
        return loaded

    def assert_refused(self, path, message, **options):
        model = keras_alexnet.build("cifar_v2", seed=3)
        before = model.get_weights()
        with pytest.raises(UserError, match=message):
            weights.load(model, path, **options)
        for old, new in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)


@pytest.fixture
def v2(tmp_path):
    return V2(tmp_path)


class TestForms:
    def test_pickles_of_every_form(self, v2):
        v2.assert_loads(v2.written("new.pth", v2.state))
        old = v2.folder / "old.pt"
        torch.save(v2.state, old, _use_new_zipfile_serialization=False)
        v2.assert_loads(old)
        v2.assert_loads(v2.written("check.pth", {"epoch": 3, "state_dict": v2.state}))
        parallel = {f"module.{name}": value for name, value in v2.state.items()}
        v2.assert_loads(v2.written("parallel.pth", parallel))

    def test_half_precision_is_read(self, v2):
        state = {name: value.to(torch.bfloat16) for name, value in v2.state.items()}
        SAFE.save_file(state, v2.folder / "half.safetensors")
        for path in (v2.written("half.pth", state), v2.folder / "half.safetensors"):
            model = keras_alexnet.build("cifar_v2", weights=path)
            wanted = state["fc3.weight"].float().numpy().T
            np.testing.assert_array_equal(model.get_layer("logits").kernel, wanted)

    def test_names_of_ones_own_are_taken_in_their_order(self, v2):
        modules = ("net.0", "net.3", "net.7", "net.9", "net.11")
        names = dict(zip(("conv1.0", "conv2.0", "fc1.0", "fc2.0", "fc3"), modules, strict=True))
        state = {}
        for name, value in reversed(v2.state.items()):
            prefix, _, part = name.rpartition(".")
            state[f"{names[prefix]}.{part}"] = value
        v2.assert_loads(v2.written("own.pth", state))

    def test_document_004_counts_its_flattening(self):
        owt = keras_alexnet.variants.get("alexnet_owt")
        with torch.device("meta"):
            known = document_modules.document_004().state_dict()
        names = pytorch.tensor_names(owt, known)
        assert {name for pair in names.values() for name in pair} == set(known)
        assert names["fc6"][0] == "classifier.2.weight"

    def test_torch_is_not_needed(self, v2, monkeypatch):
        path = v2.written("new.pth", v2.state)
        for name in [name for name in sys.modules if name.partition(".")[0] == "torch"]:
            monkeypatch.setitem(sys.modules, name, None)
        v2.assert_loads(path)


class Runs:
    """Runs a command when unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


class TestBadInput:
    def test_code_is_refused_and_not_run(self, v2):
        marker = v2.folder / "ran"
        files = {"zip.pth": {}, "old.pth": {"_use_new_zipfile_serialization": False}}
        for name, form in files.items():
            torch.save({"fc3.weight": Runs(marker)}, v2.folder / name, **form)
        (v2.folder / "plain.pth").write_bytes(pickle.dumps({"fc3.weight": Runs(marker)}))
        for name in (*files, "plain.pth"):
            v2.assert_refused(v2.folder / name, "calls posix.mkdir: it would run code")
        assert not marker.exists()

    def test_a_whole_module_is_refused(self, v2):
        path = v2.written("module.pth", v2.network)
        v2.assert_refused(path, r"it would run code.*torch.save\(network.state_dict\(\)")

    def test_the_oldest_format_is_refused_with_the_reason(self, v2):
        path = v2.folder / "tar.pth"
        (v2.folder / "storages").write_bytes(pickle.dumps(0))
        with tarfile.open(path, "w") as archive:
            for name in ("sys_info", "pickle", "storages", "tensors"):
                archive.add(v2.folder / "storages", name)
        v2.assert_refused(path, "oldest format, a tar archive")

    @pytest.mark.parametrize("name", ["cut.pth", "cut.safetensors"])
    @pytest.mark.parametrize("kept", [0, 0.5, 0.999])
    def test_a_file_cut_off_is_refused(self, v2, name, kept):
        path = v2.written(name, v2.state)
        if name.endswith(".safetensors"):
            SAFE.save_file(v2.state, path)
        contents = path.read_bytes()
        path.write_bytes(contents[: int(kept * len(contents))])
        v2.assert_refused(path, "cut.*cannot be read")

    def test_every_tensor_that_does_not_fit_is_named(self, v2):
        state = dict(v2.state)
        del state["conv2.0.bias"]
        state["fc1.0.weight"] = torch.zeros(384, 1000)
        state["norm.weight"] = torch.zeros(3)
        message = (
            r"nothing was loaded. missing: conv2.0.bias; unknown: norm.weight \(3\); "
            r"misshapen: fc1.0.weight \(384x1000\) for 384x1024\."
        )
        v2.assert_refused(v2.written("bad.pth", state), message)

    @pytest.mark.parametrize("value", [torch.nan, 1e300])  # the latter is too large for float32
    def test_numbers_that_are_not_finite_are_refused(self, v2, value):
        state = dict(v2.state)
        state["fc1.0.bias"] = torch.zeros(384, dtype=torch.float64)
        state["fc1.0.bias"][3] = value
        message = r"NaN or infinite: fc1.0.bias \(1 of 384\)\..* download it again"
        v2.assert_refused(v2.written("bad.pth", state), message)

    def test_another_network_is_refused(self, v2):
        state = document_modules.document_000().state_dict()
        v2.assert_refused(v2.written("v1.pth", state), "missing: conv1.0.weight.*unknown: feat")

    def test_tensors_that_claim_more_than_the_file_has_are_refused(self, v2):
        one = torch.zeros(1, dtype=torch.float16)
        shared = torch.zeros(1000)
        for state in (
            {"x": one.expand(10**6, 10**6)},  # would be made float32
            {f"x{number}": shared for number in range(100)},
        ):
            v2.assert_refused(v2.written("small.pth", state), "claims .* far more than the file")

    @pytest.mark.parametrize(
        "contents, message",
        [
            ([1, 2], "must hold a state dict. Received: list instead"),
            ({"epoch": 3, "fc3.weight": torch.zeros(3)}, "These entries are not: epoch"),
            ({3: torch.zeros(3)}, "These entries are not: 3"),
            ({}, "Received: dict without tensors"),
            ({"x": torch.eye(3).to_sparse()}, "These entries are not: x"),
            ({"x": torch.zeros(3, dtype=torch.int32)}, "x is int32"),
        ],
    )
    def test_what_is_no_state_dict_is_refused(self, v2, contents, message):
        v2.assert_refused(v2.written("odd.pth", contents), message)


class TestHashes:
    def test_a_given_hash_is_compared(self, v2):
        path = v2.written("mine.pth", v2.state)
        digest = v2.assert_loads(path).sha256
        v2.assert_loads(path, sha256=digest.upper())
        v2.assert_loads(path, sha256=digest[:8])
        wrong = digest[:-1] + ("0" if digest[-1] != "0" else "1")
        v2.assert_refused(path, f"should begin with {wrong}, as requested", sha256=wrong)
        v2.assert_refused(path, "64 hexadecimal digits", sha256=digest[:7])

    def test_a_hash_in_the_name_is_compared(self, v2):
        digest = v2.assert_loads(v2.written("mine.pth", v2.state)).sha256
        path = v2.written("alexnet-owt-7be5be79.pth", v2.state)
        v2.assert_refused(path, "should begin with 7be5be79, as its name says")
        right = (v2.folder / "mine.pth").rename(v2.folder / f"mine-{digest[:8]}.pth")
        v2.assert_loads(right)
        v2.assert_loads(v2.written("mine-20240131.pth", v2.state))  # a date
