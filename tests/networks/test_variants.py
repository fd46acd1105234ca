import dataclasses

import pytest

from keras_alexnet.errors import UsageError
from keras_alexnet.networks import spec as specs
from keras_alexnet.networks import variants

NAMES = [
    *("alexnet", "alexnet_two_tower", "alexnet_caffe", "alexnet_2012"),
    *("alexnet_owt", "alexnet_half"),
    *("cifar_v1", "cifar_v2", "cifar_v3", "cifar_resized"),
    *("cuda_convnet_11pct", "cuda_convnet_13pct", "cuda_convnet_18pct", "cuda_convnet_80sec"),
]
RESIZE = {"alexnet_owt": "antialiased_bilinear"}  # as torchvision's transforms do
PAPER = ["alexnet", "alexnet_two_tower", "alexnet_2012"]
TORCHVISION = ["alexnet_owt", "alexnet_half"]
CIFAR = ["cifar_v1", "cifar_v2", "cifar_v3"]
CUDA_CONVNET = NAMES[-4:]


def test_every_network_of_the_documents_is_listed():
    assert variants.list_variants() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_spec_is_complete_and_cannot_be_changed(name):
    spec = variants.get(name)
    assert spec.name == name
    assert spec.title and spec.source
    layer_names = [layer.name for layer in spec.layers]
    assert len(set(layer_names)) == len(layer_names)
    assert layer_names[-1] == "logits"
    # Features are maps, and the head begins where they become vectors.
    assert not any(
        isinstance(layer, (specs.FlattenSpec, specs.DenseSpec)) for layer in spec.features
    )
    assert any(isinstance(layer, specs.FlattenSpec) for layer in spec.head)
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.parameters = 0
    hash(spec)


def test_an_unknown_network_names_the_nearest_and_all():
    with pytest.raises(UsageError, match="Did you mean 'cifar_v2'.*alexnet_two_tower") as error:
        variants.get("cifar_v22")
    assert "'cifar_v22'" in str(error.value)
    with pytest.raises(UsageError):
        variants.get(["alexnet"])


@pytest.mark.parametrize(
    "name, plan",
    [
        *((name, (256, 224, 0, 224, False)) for name in PAPER + TORCHVISION),
        ("alexnet_caffe", (256, 227, 0, 227, True)),
        *((name, (32, 32, 4, 32, False)) for name in CIFAR + CUDA_CONVNET),
        ("cifar_resized", (32, 32, 4, 227, False)),
    ],
)
def test_image_plans(name, plan):
    spec = variants.get(name)
    plan = (*plan, RESIZE.get(name, "area"))
    assert dataclasses.astuple(spec.image_plan_for()) == plan
    assert dataclasses.astuple(spec.image_plan_for(plan[3])) == plan
    assert spec.input_size == plan[3]


@pytest.mark.parametrize(
    "name, size, plan",
    [
        ("alexnet", 112, (128, 112, 0, 112)),
        ("alexnet_owt", 63, (72, 63, 0, 63)),
        ("cifar_v1", 64, (64, 64, 8, 64)),
        ("cifar_v3", 24, (24, 24, 3, 24)),
        ("cifar_resized", 113, (32, 32, 4, 113)),  # the data stays as large as it is
        *((name, 24, (32, 24, 0, 24)) for name in CUDA_CONVNET),  # the program's own crops
        ("cuda_convnet_11pct", 48, (48, 48, 6, 48)),
    ],
)
def test_an_image_plan_follows_another_input_size(name, size, plan):
    assert dataclasses.astuple(variants.get(name).image_plan_for(size)) == (
        *plan,
        False,
        RESIZE.get(name, "area"),
    )


def test_caffes_images_are_warped_at_any_size():
    plan = variants.get("alexnet_caffe").image_plan_for(128)
    assert dataclasses.astuple(plan) == (144, 128, 0, 128, True, "area")


@pytest.mark.parametrize(
    "names, mean, std, of_training_set",
    [
        (PAPER, (123.68, 116.779, 103.939), (1, 1, 1), True),
        (["alexnet_caffe"], (122.679, 116.669, 104.007), (1, 1, 1), True),
        (["cifar_resized", *CUDA_CONVNET], (125.3, 123.0, 113.9), (1, 1, 1), True),
        (
            TORCHVISION,
            tuple(255 * mean for mean in (0.485, 0.456, 0.406)),
            tuple(255 * std for std in (0.229, 0.224, 0.225)),
            False,
        ),
        (CIFAR, (127.5,) * 3, (127.5,) * 3, False),
    ],
)
def test_pixel_standardization(names, mean, std, of_training_set):
    for name in names:
        spec = variants.get(name).standardization
        assert spec.mean == pytest.approx(mean, abs=0.06)
        assert spec.std == pytest.approx(std, rel=1e-6)
        assert spec.mean_of_training_set is of_training_set
        assert spec.bgr is (name == "alexnet_caffe")


@pytest.mark.parametrize(
    "layer, sizes",
    [
        (
            specs.ConvolutionSpec("c", 1, kernel=11, stride=4, padding=(0, 3)),
            {224: 55, 227: 55, 7: 0},
        ),
        (specs.MaxPoolSpec("p", size=3, stride=2), {55: 27, 13: 6, 2: 0}),
        (specs.MaxPoolSpec("p", size=3, stride=2, ceil=True), {32: 16, 15: 7, 8: 4, 2: 1}),
        (specs.CeilAveragePoolSpec("p", size=3, stride=2), {32: 16, 15: 7, 8: 4, 2: 1}),
        (specs.LocallyConnectedSpec("l", 1, kernel=3, padding=(1, 1)), {8: 8, 1: 1}),
        (specs.AdaptiveAveragePoolSpec("a", size=6), {1: 6, 13: 6}),
        (specs.LocalResponseNormSpec("n", 2, 2.0, 1e-4, 0.75), {13: 13}),
    ],
)
def test_map_sizes(layer, sizes):
    assert {size: layer.output_size(size) for size in sizes} == sizes
