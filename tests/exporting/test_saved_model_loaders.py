"""A SavedModel needs none of this package: loaded without it, it computes what Keras computes."""

import functools
import pathlib

import matplotlib
import numpy as np
import pytest
import tensorflow as tf

from keras_alexnet.data import decode, views
from keras_alexnet.exporting.formats import saved_model
from keras_alexnet.networks import variants
from support.exports import noise, trained
from support.saved_models import by_c_api, run

SUPPORT = pathlib.Path(__file__).parents[1] / "support"
PHOTOGRAPH = pathlib.Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
# Two groups, LRN, adaptive pooling, dropout and none of these.
SMALL = ("alexnet_two_tower", "alexnet_owt", "cifar_v2")

# With nothing to be imported that Python code of a network could come from.
PLAIN = """
import importlib.machinery, importlib.util, pathlib, pickle, sys

class Finder(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        known = name.split(".")[0] not in ("keras", "tf_keras", "keras_alexnet")
        return super().find_spec(name, path, target) if known else None

builtin, frozen = importlib.machinery.BuiltinImporter, importlib.machinery.FrozenImporter
sys.meta_path[:] = [builtin, frozen, Finder]
assert not importlib.util.find_spec("keras") and not importlib.util.find_spec("keras_alexnet")
import tensorflow as tf

answers, loaded = [], {}
for folder, name, inputs in pickle.loads(pathlib.Path(sys.argv[1]).read_bytes()):
    if folder not in loaded:
        loaded[folder] = tf.saved_model.load(folder)
    signature = loaded[folder].signatures[name]
    outputs = signature(**{key: tf.constant(value) for key, value in inputs.items()})
    answers.append({key: value.numpy() for key, value in outputs.items()})
assert not [name for name in sys.modules if name.split(".")[0] in ("keras", "keras_alexnet")]
pathlib.Path(sys.argv[2]).write_bytes(pickle.dumps(answers))
"""


def by_python(requests, folder):
    return run(["-c", PLAIN], requests, folder)


def photographs() -> list[bytes]:
    """Parts of a photograph, of several sizes and shapes, as files."""
    whole = tf.io.decode_jpeg(PHOTOGRAPH.read_bytes())
    boxes = [(0, 0, 600, 512), (20, 120, 280, 290), (250, 30, 320, 470), (100, 200, 90, 70)]
    parts = [tf.image.crop_to_bounding_box(whole, *box) for box in boxes]
    return [tf.io.encode_jpeg(part).numpy() for part in parts]


def requests_of(network, folder):
    """The three signatures on the photographs, and what Keras answers: logits and features."""
    files = photographs()
    plan = network.plan
    squares = [decode.decode_square(tf.constant(f), *plan.square) for f in files]
    pixels = views.center_view(tf.stack(squares), plan)
    images = np.concatenate([pixels.numpy(), noise(2, network)])
    requests = [
        (str(folder), "serving_default", {"image": images}),
        (str(folder), "image_bytes", {"image_bytes": np.array(files, object)}),
        (str(folder), "features", {"image": images}),
    ]
    logits, features = (
        model(images.astype("float32"), training=False).numpy()
        for model in (network.model, network.features)
    )
    return requests, [("logits", logits), ("logits", logits[: len(files)]), ("features", features)]


def check(answers, wanted, network):
    """Asserts agreement to 1e-5 of the largest number, and that the labels are the network's."""
    for answer, (name, numbers) in zip(answers, wanted, strict=True):
        assert not isinstance(answer, str), answer
        np.testing.assert_allclose(answer[name], numbers, rtol=0, atol=1e-5 * np.abs(numbers).max())
        if name == "logits":
            best = [label.decode() for label in answer["classes"][:, 0]]
            assert best == [network.labels[number] for number in answer["logits"].argmax(1)]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Name of a network → (the small network, folder of its SavedModel)."""

    @functools.cache
    def exported(name):
        folder = tmp_path_factory.mktemp(name)
        network = trained(folder / "run", name)
        saved_model.write(network, folder / "1")
        return network, folder / "1"

    return exported


@pytest.mark.slow
@pytest.mark.parametrize("loader", [by_python, by_c_api])
def test_same_numbers_as_keras(loader, small, tmp_path):
    asked = [requests_of(*small(name)) for name in SMALL]
    answers = iter(loader([each for requests, _ in asked for each in requests], tmp_path))
    for name, (_, wanted) in zip(SMALL, asked, strict=True):
        check([next(answers) for _ in wanted], wanted, small(name)[0])


def test_c_api_says_what_is_wrong_and_goes_on(small, tmp_path):
    network, folder = small("cifar_v2")
    image, good = noise(2, network), photographs()
    files = [
        *([b"GIF89a" + bytes(40)], [good[0], good[1][:2000]], [good[0], b""]),
        [tf.io.encode_png(image[0]).numpy()[:99]],
    ]
    requests = [
        *((str(folder), "image_bytes", {"image_bytes": np.array(f, object)}) for f in files),
        (str(folder), "serving_default", {"image": image[:, :31]}),
        (str(folder), "features", {"image": image[..., :1]}),
        (str(folder), "serving_default", {"image": image.astype("float32")}),
        (str(folder), "serving_default", {"image": image}),
    ]
    *errors, last = by_c_api(requests, tmp_path)
    for text, part in zip(
        errors,
        [
            "An image is neither JPEG nor PNG. Its first bytes:] [GIF89a",
            "Invalid JPEG data",
            "An image is neither JPEG nor PNG. Its first bytes:] []",
            "Invalid PNG",
            "[2,31,32,3] is not compatible with expected shape [?,32,32,3]",
            "[2,32,32,1] is not compatible with expected shape [?,32,32,3]",
            "uint8",
        ],
        strict=True,
    ):
        assert part in text
    wanted = network.model(image.astype("float32"), training=False).numpy()
    check([last], [("logits", wanted)], network)


@pytest.mark.slow
@pytest.mark.parametrize("name", variants.list_variants())
def test_whole_networks(name, tmp_path):
    network = trained(tmp_path / "run", name, full_size=True)
    saved_model.write(network, tmp_path / "1")
    [data] = (tmp_path / "1" / "variables").glob("variables.data-*")
    parameters = network.model.count_params()
    assert 4 * parameters <= data.stat().st_size <= 1.02 * 4 * parameters
    requests, wanted = requests_of(network, tmp_path / "1")
    for loader in (by_python, by_c_api):
        check(loader(requests, tmp_path), wanted, network)
