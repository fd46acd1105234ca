"""register, unregister, and the tests' own `registered`."""

import dataclasses

import pytest

import keras_alexnet
from keras_alexnet.errors import UsageError
from keras_alexnet.networks import variants
from support.networks import registered, shrunk


@pytest.fixture
def wide():
    return dataclasses.replace(variants.get("cifar_v2"), name="cifar_wide")


def test_a_registered_network_is_known_everywhere_until_it_is_removed(wide):
    names = variants.list_variants()
    keras_alexnet.networks.register(wide)
    try:
        assert keras_alexnet.list_variants() == [*names, "cifar_wide"]
        assert variants.get("cifar_wide") is wide
        assert keras_alexnet.build("cifar_wide").name == "cifar_wide"
        variants.register(wide)  # the same network again changes nothing
        assert keras_alexnet.list_variants() == [*names, "cifar_wide"]
        assert variants.image_plan("cifar_wide", 32) == wide.image_plan
    finally:
        keras_alexnet.networks.unregister("cifar_wide")
    assert keras_alexnet.list_variants() == names
    with pytest.raises(UsageError, match="Unknown variant 'cifar_wide'"):
        keras_alexnet.build("cifar_wide")
    with pytest.raises(UsageError, match="Unknown variant 'cifar_wide'"):
        variants.unregister("cifar_wide")


def test_a_name_cannot_be_taken_twice(wide):
    other = dataclasses.replace(wide, name="cifar_v2", num_classes=3)
    with pytest.raises(UsageError, match="named 'cifar_v2' already exists. .*different name"):
        variants.register(other)
    assert variants.get("cifar_v2").num_classes == 10


def test_registered_restores_networks_and_order(wide):
    before = [variants.get(name) for name in variants.list_variants()]
    small = shrunk(variants.get("cifar_v1"), filters=8, units=16)
    with pytest.raises(KeyError), registered(small, wide):
        assert variants.list_variants() == [*(spec.name for spec in before), "cifar_wide"]
        assert variants.get("cifar_v1") is small
        raise KeyError
    assert [variants.get(name) for name in variants.list_variants()] == before
