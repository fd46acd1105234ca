import dataclasses

import pytest

from keras_alexnet import rows, variants
from keras_alexnet.errors import UsageError

NAMES = [
    *("alexnet", "alexnet_two_tower", "alexnet_owt", "alexnet_half"),
    *("cifar_v1", "cifar_v2", "cifar_v3", "cifar_resized"),
]


def test_every_network_of_the_documents_is_listed():
    assert variants.list_variants() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_row_is_complete_and_cannot_be_changed(name):
    row = variants.get(name)
    assert row.name == name
    assert row.title and row.source
    layer_names = [layer.name for layer in row.layers]
    assert len(set(layer_names)) == len(layer_names)
    assert layer_names[-1] == "logits"
    assert isinstance(row.features[-1], rows.MaxPool)
    with pytest.raises(dataclasses.FrozenInstanceError):
        row.parameters = 0
    hash(row)


def test_an_unknown_network_names_the_nearest_and_all():
    with pytest.raises(UsageError, match="Did you mean 'cifar_v2'.*alexnet_two_tower") as error:
        variants.get("cifar_v22")
    assert "'cifar_v22'" in str(error.value)
    with pytest.raises(UsageError):
        variants.get(["alexnet"])


@pytest.mark.parametrize(
    "name, plan",
    [
        *((name, (256, 224, 0, 224)) for name in NAMES[:4]),
        *((name, (32, 32, 4, 32)) for name in NAMES[4:7]),
        ("cifar_resized", (32, 32, 4, 227)),
    ],
)
def test_image_plans(name, plan):
    row = variants.get(name)
    assert dataclasses.astuple(row.image_plan_for()) == plan
    assert dataclasses.astuple(row.image_plan_for(plan[-1])) == plan
    assert row.input_size == plan[-1]


@pytest.mark.parametrize(
    "name, size, plan",
    [
        ("alexnet", 112, (128, 112, 0, 112)),
        ("alexnet_owt", 63, (72, 63, 0, 63)),
        ("cifar_v1", 64, (64, 64, 8, 64)),
        ("cifar_v3", 24, (24, 24, 3, 24)),
        ("cifar_resized", 113, (32, 32, 4, 113)),  # the data stays as large as it is
    ],
)
def test_an_image_plan_follows_another_input_size(name, size, plan):
    assert dataclasses.astuple(variants.get(name).image_plan_for(size)) == plan


@pytest.mark.parametrize(
    "names, mean, std, of_training_set",
    [
        (NAMES[:2], (123.68, 116.779, 103.939), (1, 1, 1), True),
        (NAMES[7:], (125.3, 123.0, 113.9), (1, 1, 1), True),
        (
            NAMES[2:4],
            tuple(255 * mean for mean in (0.485, 0.456, 0.406)),
            tuple(255 * std for std in (0.229, 0.224, 0.225)),
            False,
        ),
        (NAMES[4:7], (127.5,) * 3, (127.5,) * 3, False),
    ],
)
def test_pixel_standardisation(names, mean, std, of_training_set):
    for name in names:
        row = variants.get(name).standardisation
        assert row.mean == pytest.approx(mean, abs=0.06)
        assert row.std == pytest.approx(std, rel=1e-6)
        assert row.mean_of_training_set is of_training_set


@pytest.mark.parametrize(
    "layer, sizes",
    [
        (rows.Convolution("c", 1, kernel=11, stride=4, padding=(0, 3)), {224: 55, 227: 55, 7: 0}),
        (rows.MaxPool("p", size=3, stride=2), {55: 27, 13: 6, 2: 0}),
        (rows.AdaptiveAveragePool("a", size=6), {1: 6, 13: 6}),
        (rows.LocalResponseNorm("n", 2, 2.0, 1e-4, 0.75), {13: 13}),
    ],
)
def test_map_sizes(layer, sizes):
    assert {size: layer.output_size(size) for size in sizes} == sizes
