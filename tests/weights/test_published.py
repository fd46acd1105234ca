"""weights="imagenet": downloaded once, checked, kept; from mirrors, through proxies, by hand."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

import keras_alexnet as ka
from keras_alexnet import UsageError, UserError, run_folder
from keras_alexnet.weights import published
from support import published_weights
from support.networks import registered

PIXELS = np.random.default_rng(0).integers(0, 256, [2, 224, 224, 3], np.uint8)
NAME = "alexnet_owt-imagenet"


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    """(network, file): a small network with weights as torchvision publishes them."""
    return published_weights.write(tmp_path_factory.mktemp("published"))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The folder of published weights, which does not exist yet, without proxies or mirrors."""
    for name in [each for each in os.environ if each.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv(published.URL_VARIABLE, raising=False)
    monkeypatch.setenv("KERAS_ALEXNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache" / "weights"


@pytest.fixture
def server(stand_in, cache):
    """A server of the file that the network of the weights names."""
    spec, file = stand_in
    with published_weights.serve(file.read_bytes()) as server:
        with registered(published_weights.of_file(spec, file, server.url)):
            yield server


@pytest.fixture
def down(stand_in, cache):
    """The file; the server that the network names is down."""
    with registered(stand_in[0]):
        yield stand_in[1]


def test_it_is_downloaded_once_and_is_the_published_network(server, stand_in, cache, caplog):
    caplog.set_level("INFO", logger="absl")
    probabilities = ka.AlexNet()(PIXELS).numpy()
    assert f"Downloading {server.url}/models/" in caplog.text
    server.mode = "404"
    direct = ka.build("alexnet_owt", weights=stand_in[1])
    np.testing.assert_allclose(probabilities, keras.ops.softmax(direct(PIXELS)), atol=1e-6)
    assert np.ptp(probabilities) > 0.1, "the weights should matter"
    network = ka.load("imagenet")
    np.testing.assert_allclose(network.logits(PIXELS), direct(PIXELS), atol=1e-4)
    assert (network.variant, network.labels[1]) == ("alexnet_owt", "n01443537")
    assert network.labels_are_names and network.plan == ka.variants.get("alexnet_owt").image_plan
    features = ka.AlexNet(include_top=False, input_shape=(70, 90, 3), pooling="max")
    expected = keras.Model(direct.input, direct.get_layer("conv1").output)(PIXELS)
    ours = keras.Model(features.input, features.get_layer("conv1").output)
    np.testing.assert_allclose(
        ours(PIXELS[:, :70, :90])[:, :15, :20], expected[:, :15, :20], atol=1e-4
    )
    other = ka.build("alexnet_owt", num_classes=3, weights="imagenet")
    np.testing.assert_array_equal(other.get_layer("fc7").kernel, direct.get_layer("fc7").kernel)
    assert len(server.requests) == 1
    assert {path.name for path in cache.iterdir()} == {
        stand_in[1].name,
        f"{NAME}.safetensors",
        f"{NAME}.json",
    }


def test_the_idiom_of_keras_applications_runs_as_it_is(server, tmp_path):
    from keras_alexnet import AlexNet, decode_predictions, preprocess_input

    keras.utils.save_img(tmp_path / "cat.jpg", PIXELS[0])
    model = AlexNet(weights="imagenet")
    img = keras.utils.load_img("cat.jpg", target_size=(224, 224))
    x = keras.utils.img_to_array(img)
    x = np.expand_dims(x, axis=0)
    x = preprocess_input(x)
    preds = model.predict(x, verbose=0)
    [named] = decode_predictions(preds, top=3)
    assert len(named) == 3 and named[0][2] == preds.max()
    assert ka.AlexNet(input_shape=(96, 80, 3), classifier_activation=None).output_shape[1] == 1000


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"variant": "alexnet"}, "No weights imagenet of alexnet are known, only of alexnet_owt"),
        ({"classes": 10}, "classes must be 1000. Received: 10. .*include_top=False"),
        ({"classifier_activation": "sigmoid"}, "must be 'softmax', with which"),
        ({"input_shape": (62, 224, 3)}, "at least 63x63"),
    ],
)
def test_what_the_weights_do_not_fit_is_said_before_the_download(arguments, message, down, cache):
    with pytest.raises(UsageError, match=message):
        ka.AlexNet(**arguments)
    assert not cache.exists()


@pytest.mark.parametrize(
    "mode, message",
    [
        ("404", "the answer is 404 Not Found"),
        ("cut", r"broke off after [\d,]+ of"),
        ("stated short", "is a different file, of 17 bytes, not"),
        ("longer", "is a different file, of more than"),
        ("other", "is a different file: its SHA-256 is"),
        ("down", "could not be read: .*refused"),
    ],
)
def test_a_failed_download_says_where_to_put_the_file(mode, message, server, stand_in, cache):
    server.mode = mode
    if mode == "down":
        server.shutdown()
        server.server_close()
    with pytest.raises(UserError, match=message) as caught:
        ka.load("imagenet")
    said = str(caught.value)
    url = f"{server.url}/models/{stand_in[1].name}"
    assert f"Put the file {url} (" in said and f"at {cache / stand_in[1].name}. " in said
    assert "KERAS_ALEXNET_WEIGHTS_URL" in said and "https_proxy" in said
    assert not list(cache.iterdir()), "nothing half-written remains"


@pytest.mark.parametrize("where", ["cache", "torch"])
def test_a_file_that_is_there_is_used_after_its_hash_is_checked(where, down, cache, tmp_path):
    folder = cache if where == "cache" else tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    shutil.copy(down, folder)
    assert ka.load("imagenet").labels_are_names
    (cache / f"{NAME}.json").unlink()
    with open(folder / down.name, "r+b") as file:
        file.write(b"no")
    with pytest.raises(UserError, match=f"at {cache / down.name}. ") as caught:
        ka.load("imagenet")
    assert ("its SHA-256 is" in str(caught.value)) == (where == "cache")
    assert (folder / down.name).exists(), "a file of the user is not removed"


def test_a_damaged_converted_file_is_made_again(down, cache, caplog):
    cache.mkdir(parents=True)
    shutil.copy(down, cache)
    before = ka.load("imagenet").sha256
    converted = cache / f"{NAME}.safetensors"
    contents = bytearray(converted.read_bytes())
    contents[-1] ^= 1
    converted.write_bytes(contents)
    assert ka.load("imagenet").sha256 == before
    assert f"{converted} is not what this version wrote" in caplog.text
    (cache / down.name).unlink()
    assert ka.load(converted).card["published"]["sha256"], "it needs no published file"


@pytest.mark.parametrize(
    "mirror, path",
    [
        ("{url}/mirror", "/mirror/{name}"),
        ("{url}/mirror/", "/mirror/{name}"),
        ("{url}/my.pth?token=1", "/my.pth?token=1"),
    ],
)
def test_a_mirror(mirror, path, server, stand_in, monkeypatch):
    if mirror.endswith("1") and stand_in[1].suffix != ".pth":
        pytest.skip("needs torch")
    address = server.url.replace("//", "//me:se%20cret@")
    monkeypatch.setenv(published.URL_VARIABLE, mirror.format(url=address))
    assert ka.load("imagenet").labels_are_names
    [(asked, user, _)] = server.requests
    assert asked == path.format(name=stand_in[1].name)
    assert user == published_weights.basic("me", "se cret")


@pytest.mark.parametrize("mirror", ["ftp://host/x.pth", "/mnt/x", "http://host:port", "http:///x"])
def test_a_mirror_must_be_an_address(mirror, down, monkeypatch):
    monkeypatch.setenv(published.URL_VARIABLE, mirror)
    with pytest.raises(UsageError, match="KERAS_ALEXNET_WEIGHTS_URL must be"):
        ka.load("imagenet")


def test_a_proxy_and_a_redirect(server, stand_in, monkeypatch):
    proxy = server.url.replace("//", "//me:secret@")
    monkeypatch.setenv(published.URL_VARIABLE, "http://me:own@mirror.test/models")
    monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.setenv("no_proxy", "localhost")
    server.mode = "moved"
    assert ka.load("imagenet").labels_are_names
    (first, user, of_proxy), (second, *others) = server.requests
    assert first == f"http://mirror.test/models/{stand_in[1].name}"
    assert of_proxy == published_weights.basic("me", "secret")
    assert user == published_weights.basic("me", "own")
    assert (second, others) == ("/elsewhere", [None, None]), "the password stays at the mirror"


@pytest.mark.parametrize("scheme, answer", [("http", "404 Not Found"), ("https", "502")])
def test_a_failure_names_the_proxy_and_no_password(scheme, answer, server, monkeypatch):
    monkeypatch.setenv(published.URL_VARIABLE, f"{scheme}://me:secret@mirror.test/")
    monkeypatch.setenv(f"{scheme}_proxy", server.url.replace("//", "//me:secret@"))
    server.mode = "404"
    through = f"through the proxy http://127.0.0.1:.* of {scheme}_proxy: .*{answer}"
    with pytest.raises(UserError, match=through) as caught:
        ka.load("imagenet")
    assert "secret" not in str(caught.value) and "***@mirror.test" in str(caught.value)
    [(_, _, of_proxy)] = server.requests
    assert of_proxy == published_weights.basic("me", "secret")


def test_a_cache_that_cannot_be_written_to_and_a_full_disk(server, cache, monkeypatch):
    usage = shutil.disk_usage
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(path)._replace(free=10))
    with pytest.raises(UserError, match="No space left on device.*set KERAS_ALEXNET_CACHE to one"):
        ka.load("imagenet")
    assert not list(cache.iterdir()) and not server.requests
    pathlib.Path("taken").write_text("")
    monkeypatch.setenv("KERAS_ALEXNET_CACHE", "taken/cache")
    with pytest.raises(UserError, match="cannot be kept in taken/cache/weights: Not a directory"):
        ka.load("imagenet")


def test_a_folder_of_data_has_the_name_but_is_not_taken(server, tmp_path, caplog):
    caplog.set_level("INFO", logger="absl")
    (tmp_path / "imagenet" / "train").mkdir(parents=True)
    assert ka.build("alexnet_owt", weights="imagenet") and len(server.requests) == 1
    other = ka.build("alexnet_owt", seed=3)
    run_folder.save("imagenet", other, [str(n) for n in range(1000)])
    taken = ka.load("imagenet")
    assert taken.path.name == run_folder.MODEL
    assert "imagenet in the current folder is taken" in caplog.text


def test_a_run_without_a_variant_takes_that_of_the_weights():
    assert ka.TrainConfig(weights="imagenet").variant == "alexnet_owt"
    assert ka.TrainConfig(weights="imagenet", variant="alexnet").variant == "alexnet"
    assert ka.TrainConfig(weights="mine.keras").variant == ka.TrainConfig().variant == "cifar_v1"


_LOAD = """
import pathlib, sys
from support import published_weights
from support.networks import registered
from absl import logging
import keras_alexnet as ka
logging.set_verbosity("info")
spec = published_weights.small_network()
with registered(published_weights.of_file(spec, pathlib.Path(sys.argv[1]), sys.argv[2])):
    print(ka.load("imagenet").sha256)
"""


@contextlib.contextmanager
def _loading(server, stand_in):
    root = pathlib.Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", _LOAD, str(stand_in[1]), server.url],
        env={**os.environ, "PYTHONPATH": f"{root}:{root / 'tests'}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _asked(server):
    end = time.monotonic() + 60
    while not server.requests:
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.processes
def test_two_processes_download_once_and_a_killed_one_leaves_nothing(server, stand_in, cache):
    server.mode = "held"
    with _loading(server, stand_in) as killed:
        _asked(server)
        killed.kill()
        killed.wait()
    assert [path.name for path in cache.iterdir()] == [f".{killed.pid}-{stand_in[1].name}"]
    server.requests.clear()
    with _loading(server, stand_in) as a:
        _asked(server)
        with _loading(server, stand_in) as b:
            for line in b.stderr:
                if "Waiting for another process" in line or "Downloading" in line:
                    break
            server.released.set()
            said = [process.communicate(timeout=100) for process in (a, b)]
    assert len(server.requests) == 1, said
    assert said[0][0] == said[1][0] != ""
    assert len(list(cache.iterdir())) == 3
