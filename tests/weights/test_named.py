"""Names of weights that come with the package: what they find, what comes first, what fails."""

import json
import re

import numpy as np
import pytest

import keras_alexnet as ka
from keras_alexnet import UsageError, UserError, run_folder
from keras_alexnet.weights import named, shipped_file
from support.shipped_weights import write_shipped

LABELS = ["cat", "dog", "owl"]
IMAGES = np.random.default_rng(0).integers(0, 256, [2, 32, 32, 3], np.uint8)


@pytest.fixture
def shipped(tmp_path, monkeypatch, small_variant):
    """(model, file) of the small network with weights "toy", where the package looks for them."""
    model = ka.build(small_variant, num_classes=3, seed=1, pixel_mean=(100, 110, 120))
    file = write_shipped(tmp_path / "package", model, LABELS)
    monkeypatch.setattr(shipped_file, "FOLDER", file.parent)
    monkeypatch.chdir(tmp_path)
    return model, file


@pytest.mark.parametrize("form", ["int8", "float16"])
def test_a_network_is_loaded_by_its_name(form, shipped, small_variant):
    model, file = shipped
    write_shipped(file.parent, model, LABELS, form=form)
    network = ka.load(small_variant)
    assert (network.variant, network.labels, network.path) == (small_variant, tuple(LABELS), file)
    assert network.labels_are_names and network.sha256 == network.card["sha256"]
    expected = model(IMAGES).numpy()
    far = np.abs(network.logits(IMAGES) - expected).max() / np.abs(expected).max()
    assert 0 < far < {"int8": 0.03, "float16": 0.001}[form]
    for weights in ("toy", small_variant):
        built = ka.build(small_variant, num_classes=3, weights=weights)
        np.testing.assert_allclose(built(IMAGES), network.logits(IMAGES), atol=1e-5)
        assert built.get_layer("standardize").mean == [100, 110, 120]
    other = ka.build(small_variant, num_classes=7, weights="toy")
    np.testing.assert_array_equal(
        other.get_layer("fc7").kernel, network.model.get_layer("fc7").kernel
    )


def test_what_is_in_the_current_folder_comes_first(shipped, small_variant, tmp_path, caplog):
    caplog.set_level("INFO", logger="absl")
    other = ka.build(small_variant, num_classes=3, seed=2)
    run_folder.save(small_variant, other, LABELS)
    run_folder.save("toy", other, LABELS)
    for _ in range(2):
        assert ka.load(small_variant).path.name == run_folder.MODEL
        built = ka.build(small_variant, num_classes=3, weights="toy")
        np.testing.assert_allclose(built(IMAGES), other(IMAGES), atol=1e-6)
    said = [line for line in caplog.messages if "current folder is taken" in line]
    assert len(said) == 2 and small_variant in said[0] and "toy" in said[1]


def test_with_a_folder_before_it_a_name_is_a_path(shipped, small_variant):
    with pytest.raises(UserError, match="There is no model at"):
        ka.load(f"./{small_variant}")
    with pytest.raises(UsageError, match="weights must be the folder"):
        ka.build(small_variant, weights="./toy")


@pytest.mark.parametrize(
    "call, error, message",
    [
        (
            lambda: ka.load("alexnet"),
            UserError,
            r"No weights of alexnet are .*\(for cifar_small",
        ),
        (lambda: ka.load("alexnetty"), UserError, r"name of weights: toy \(for cifar_small\)"),
        (
            lambda: ka.build("cifar_v2", weights="toy"),
            UsageError,
            "toy of cifar_v2 are known, only of cifar_small",
        ),
        (lambda: ka.build("cifar_v2", weights="toys"), UsageError, r"toy \(for cifar_small\)"),
        (lambda: ka.load("Cifar_smal"), UserError, r"did you mean cifar_small\?"),
        (lambda: ka.load("./toy"), UserError, r"no model at \./toy\."),
        (
            lambda: ka.build("cifar_v3", weights="cifar_small"),
            UsageError,
            "weights cifar_small are for that network, and cifar_v3 has other layers",
        ),
    ],
)
def test_a_name_without_weights_says_which_there_are(call, error, message, shipped):
    with pytest.raises(error, match=message):
        call()


def test_the_network_chooses_among_weights_of_one_name():
    with pytest.raises(UsageError, match="known for several networks.*: cifar_v2, cifar_v3"):
        named.locate("cifar10-jpeg")
    kind, file = named.locate("cifar10-jpeg", variant="cifar_v3")
    assert (kind, file.stem) == (named.NAMED, "cifar_v3-cifar10-jpeg")
    assert ka.load("cifar10-jpeg", variant="cifar_v2").variant == "cifar_v2"


def test_training_from_the_weights_of_a_network_trains_that_network():
    assert ka.TrainConfig(weights="cifar_v2").variant == "cifar_v2"
    assert ka.TrainConfig(weights="cifar_v2", variant="cifar_v3").variant == "cifar_v3"


def _flip_a_bit(file):
    contents = bytearray(file.read_bytes())
    contents[-1] ^= 1
    file.write_bytes(contents)


def _another_hash(file):
    card = file.with_suffix(shipped_file.CARD)
    card.write_text(re.sub('"sha256": "....', '"sha256": "0000', card.read_text()))


def _no_card_entry(file):
    card = file.with_suffix(shipped_file.CARD)
    fields = json.loads(card.read_text())
    del fields["labels"]
    card.write_text(json.dumps(fields))


@pytest.mark.parametrize(
    "damage, message",
    [
        (_flip_a_bit, "its SHA-256 should be"),
        (_another_hash, "its SHA-256 should be 0000"),
        (_no_card_entry, "it has no labels"),
        (lambda file: file.with_suffix(shipped_file.CARD).unlink(), "cannot be read"),
    ],
)
def test_a_damaged_file_is_refused_at_every_door(damage, message, shipped, small_variant):
    _, file = shipped
    damage(file)
    for call in (
        lambda: ka.load(small_variant),
        lambda: ka.build(small_variant, num_classes=3, weights="toy"),
        lambda: ka.evaluate(ka.EvaluateConfig(model=small_variant, dataset="shapes")),
        lambda: ka.figures.filters(small_variant, "filters.png"),
    ):
        with pytest.raises(UserError, match=message) as caught:
            call()
        assert str(caught.value).endswith("Install keras_alexnet again.")


def test_the_network_must_be_built_as_it_was_trained(shipped, small_variant):
    with pytest.raises(UserError, match="conv1 has activation tanh here and relu there"):
        ka.build(small_variant, num_classes=3, activation="tanh", weights="toy")


def test_without_data_the_usual_set_is_taken_or_one_is_to_be_named(
    shipped, small_variant, isolated
):
    model, file = shipped
    card = {**shipped_file.read_card(file), "dataset": "my-photos"}
    file.with_suffix(shipped_file.CARD).write_text(json.dumps(card))
    with pytest.raises(UsageError, match="trained on my-photos, .*--dataset and --data_dir"):
        ka.evaluate(ka.EvaluateConfig(model=small_variant))
    card["dataset"] = "cifar10-jpeg"
    file.with_suffix(shipped_file.CARD).write_text(json.dumps(card))
    with pytest.raises(UserError, match="CIFAR-10 is not in"):
        ka.evaluate(ka.EvaluateConfig(model=small_variant))
