"""`benchmark inference`: what is compared with what, and what a side answers."""

import pathlib

import numpy as np
import pytest

import keras_alexnet as ka
from keras_alexnet.benchmarks import inference, inference_side, weighted_networks
from keras_alexnet.data.images import ImageArray
from keras_alexnet.data.splits import Split
from keras_alexnet.trained import TrainedNetwork
from support.exports import shrunk


def way(ours, seconds, compared=True):
    return {"ours": ours, "compared": compared, "batch_sizes": {"1": {"seconds": seconds}}}


def test_our_fastest_is_compared_with_the_fastest_of_others_round_by_round():
    ways = {
        "TFLite float32": way(True, [0.002, 0.004, 0.002]),
        "TFLite int8": way(True, [0.001] * 3, compared=False),  # it loses too much
        "ONNX": way(True, [0.003] * 3),
        "PyTorch": way(False, [0.009] * 3),
        "OpenVINO": way(False, [0.003, 0.004, 0.005]),
    }
    [row] = inference.rows_of("cifar_v2", {"ways": ways}, [1])
    assert (row["ours"], row["others"]) == ("TFLite float32", "OpenVINO")
    assert row["ratio"] == pytest.approx(1.5)
    assert (row["ours, ms"], row["others, ms"]) == (pytest.approx(2), pytest.approx(4))


def test_without_others_there_is_no_ratio():
    [row] = inference.rows_of("cifar_v2", {"ways": {"ONNX": way(True, [0.003])}}, [1])
    assert row["ours"] == "ONNX" and "ratio" not in row and "others" not in row


@pytest.mark.parametrize(("right", "compared"), [(126, True), (124, True), (123, False)])
def test_what_loses_at_most_half_a_point_of_top1_is_compared(right, compared):
    labels = np.zeros(200, np.int64)
    network = object.__new__(inference._Network)
    network._labels = labels
    wanted, classes = (np.int64(np.arange(200) >= count) for count in (125, right))
    assert network._judged(classes, wanted, 1.0) == {"top1": right / 200, "compared": compared}


class Turns:
    """Two turns, of which the answers are kept."""

    def __init__(self):
        self.left, self.answers = 2, []

    def wait(self):
        self.left -= 1
        return self.left >= 0

    def answer(self, found):
        self.answers.append(found)


def test_a_side_classifies_all_images_and_times_each_number_of_images(tmp_path, monkeypatch):
    sizes = []

    def opened(files, threads):
        def logits(pixels):
            sizes.append(len(pixels))
            return np.eye(3)[pixels[:, 0, 0, 0]]

        assert (files, threads) == ({"stub": "file"}, 2)
        return {"stub": (lambda pixels: pixels, logits)}

    monkeypatch.setitem(inference_side.RUNTIMES, "stub", opened)
    images = np.zeros([5, 2, 2, 3], np.uint8)
    images[:, 0, 0, 0] = [0, 2, 1, 1, 2]
    np.save(tmp_path / "images.npy", images)
    turns = Turns()
    given = {"files": {"stub": "file"}, "images": str(tmp_path / "images.npy"), "threads": 2}
    inference_side.serve(turns, runtime="stub", batch_sizes=[1, 8], **given)
    first, *others = turns.answers
    assert first["classes"] == {"stub": [0, 2, 1, 1, 2]}
    assert [set(each["stub"]) for each in others] == [{"1", "8"}] * 2
    assert all(each["stub"]["8"]["seconds"] > 0 for each in others)
    assert {1, 8} <= set(sizes)


@pytest.mark.parametrize("has", [True, False])
def test_a_saved_model_in_bfloat16_is_one_of_ours_where_the_processor_has_it(
    has, tmp_path, monkeypatch
):
    monkeypatch.setattr(inference.machine, "has_bfloat16", lambda: has)
    monkeypatch.setattr(inference, "_is_installed", lambda package: False)
    monkeypatch.setattr(inference.tflite, "convert", lambda *_, **__: b"")
    with shrunk("cuda_convnet_80sec"):
        network = TrainedNetwork.of_model(ka.build("cuda_convnet_80sec"), "cuda_convnet_80sec")
        opened = inference._ours(network, np.zeros(0), tmp_path)["tensorflow"]
    assert list(opened) == ["SavedModel", "SavedModel bfloat16"][: 1 + has]
    sizes = [
        sum(file.stat().st_size for file in pathlib.Path(each["folder"]).glob("variables/*data*"))
        for each in opened.values()
    ]
    if has:
        assert 0.4 < sizes[1] / sizes[0] < 0.6  # its weights are in bfloat16


def test_a_fitted_classifier_knows_what_it_was_fitted_to():
    random = np.random.default_rng(0)
    labels = np.arange(20, dtype=np.int32) % 4
    pixels = random.integers(0, 60, (20, 32, 32, 3)) + 60 * labels[:, None, None, None]
    split = Split(labels, ImageArray(pixels.astype(np.uint8)), np.arange(20))
    with shrunk("cuda_convnet_80sec"):
        network = weighted_networks.fitted("cuda_convnet_80sec", split)
    assert np.mean(network.logits(pixels.astype(np.uint8)).argmax(-1) == labels) > 0.9
