"""Networks whose weights this machine could not hold, refused before memory is taken."""

import pytest

import keras_alexnet as ka
from keras_alexnet.networks import memory, variants


@pytest.mark.parametrize("variant", ka.list_variants())
def test_the_weights_of_every_network_are_counted(variant):
    spec = variants.get(variant)
    counted = memory._weights(spec.layers, spec.input_size, spec.input_size, spec.num_classes)
    assert 0.98 * spec.parameters < counted <= spec.parameters


@pytest.mark.parametrize(
    "options", [{"input_shape": (4096, 4096, 3)}, {"num_classes": 10**9}, {"num_classes": 10**18}]
)
def test_networks_that_are_too_large_are_refused(options, monkeypatch):
    monkeypatch.setattr(memory, "memory_of_machine", lambda: 64 * 10**9)
    with pytest.raises(ka.UsageError, match=r"need [\d,]+ GB, but this machine has 64 GB"):
        ka.build("alexnet", **options)


def test_sides_have_a_limit():
    with pytest.raises(ka.UsageError, match="input_shape's height must be .* at most 4096"):
        ka.build("cifar_v2", input_shape=(100_000, 32, 3))


def test_nothing_is_refused_where_the_system_says_nothing(monkeypatch):
    monkeypatch.setattr(memory, "memory_of_machine", lambda: None)
    assert ka.build("cifar_v2", num_classes=3).output_shape == (None, 3)
