"""One frozen row per network: data only, with its source and its expected numbers.

To add a network, add a row to `_ROWS`; the rows of programs (cuda-convnet, Caffe) stand in
`keras_alexnet.program_variants`. A layer of a new kind needs a type in `keras_alexnet.rows` and a
builder in `keras_alexnet.layer_builders`.
"""

import dataclasses

from keras_alexnet.errors import UsageError, unknown_name
from keras_alexnet.program_variants import ALEXNET_2012, ALEXNET_CAFFE, CUDA_CONVNET
from keras_alexnet.rows import (
    AdaptiveAveragePool,
    Classifier,
    Convolution,
    Dense,
    Dropout,
    Flatten,
    HeFanOut,
    ImagePlan,
    Layer,
    LocalResponseNorm,
    MaxPool,
    NormalWeights,
    OptionalInitialWeights,
    PyTorchNames,
    Variant,
)
from keras_alexnet.standardisations import (
    MINUS_CIFAR10_MEAN,
    MINUS_IMAGENET_MEAN,
    MINUS_ONE_TO_ONE,
    TORCHVISION,
)

__all__ = ["ImagePlan", "Variant", "get", "list_variants"]

_SMALL = NormalWeights(std=0.01)
_SMALL_BIAS_1 = NormalWeights(std=0.01, bias=1.0)


def _paper_features(groups: int) -> tuple[Layer, ...]:
    """The 2012 paper's convolutions; `groups` = 2 for its two GPUs."""
    return (
        # The paper's 224 pixels give its 55 x 55 map with three more rows and columns at the end.
        Convolution("conv1", 96, kernel=11, stride=4, padding=(0, 3), initial=_SMALL),
        _paper_lrn("lrn1"),
        MaxPool("pool1", size=3, stride=2),
        Convolution("conv2", 256, 5, padding=(2, 2), groups=groups, initial=_SMALL_BIAS_1),
        _paper_lrn("lrn2"),
        MaxPool("pool2", size=3, stride=2),
        Convolution("conv3", 384, 3, padding=(1, 1), initial=_SMALL),
        Convolution("conv4", 384, 3, padding=(1, 1), groups=groups, initial=_SMALL_BIAS_1),
        Convolution("conv5", 256, 3, padding=(1, 1), groups=groups, initial=_SMALL_BIAS_1),
        MaxPool("pool5", size=3, stride=2),
    )


def _paper_lrn(name: str) -> LocalResponseNorm:
    return LocalResponseNorm(name, depth_radius=2, bias=2.0, alpha=1e-4, beta=0.75)


_PAPER_HEAD = (
    Flatten("flatten"),
    Dense("fc6", 4096, initial=_SMALL_BIAS_1),
    Dropout("dropout6", 0.5),
    Dense("fc7", 4096, initial=_SMALL_BIAS_1),
    Dropout("dropout7", 0.5),
    Classifier("logits", initial=_SMALL),
)


def _pytorch_head(units: int, rate: float) -> tuple[Layer, ...]:
    """The classifier of PyTorch's AlexNets: dropout before each hidden dense layer."""
    return (
        Flatten("flatten"),
        Dropout("dropout6", rate),
        Dense("fc6", units),
        Dropout("dropout7", rate),
        Dense("fc7", units),
        Classifier("logits"),
    )


_IMAGENET_PLAN = ImagePlan(square_size=256, crop_size=224, crop_padding=0, input_size=224)
_CIFAR_PLAN = ImagePlan(square_size=32, crop_size=32, crop_padding=4, input_size=32)

_ALEXNET = Variant(
    name="alexnet",
    title="The 2012 paper's network as one tower",
    source="Krizhevsky, Sutskever, Hinton 2012; document 003 (text and table), document 002 (text)",
    num_classes=1000,
    features=_paper_features(groups=1),
    head=_PAPER_HEAD,
    standardisation=MINUS_IMAGENET_MEAN,
    image_plan=_IMAGENET_PLAN,
    parameters=62_378_344,
    macs=1_135_256_096,
)

_ROWS = (
    _ALEXNET,
    dataclasses.replace(
        _ALEXNET,
        name="alexnet_two_tower",
        title="The 2012 paper's network, its two GPUs as two groups",
        source="Krizhevsky, Sutskever, Hinton 2012",
        features=_paper_features(groups=2),
        parameters=60_965_224,
        macs=724_406_816,
    ),
    ALEXNET_CAFFE,
    ALEXNET_2012,
    Variant(
        name="alexnet_owt",
        title="torchvision's AlexNet, for any input from 63 pixels up",
        source="Krizhevsky 2014, One weird trick; torchvision; document 004 (code)",
        num_classes=1000,
        features=(
            Convolution("conv1", 64, kernel=11, stride=4, padding=(2, 2)),
            MaxPool("pool1", size=3, stride=2),
            Convolution("conv2", 192, kernel=5, padding=(2, 2)),
            MaxPool("pool2", size=3, stride=2),
            Convolution("conv3", 384, kernel=3, padding=(1, 1)),
            Convolution("conv4", 256, kernel=3, padding=(1, 1)),
            Convolution("conv5", 256, kernel=3, padding=(1, 1)),
            MaxPool("pool5", size=3, stride=2),
        ),
        head=(AdaptiveAveragePool("avgpool", size=6), *_pytorch_head(units=4096, rate=0.5)),
        standardisation=TORCHVISION,
        image_plan=_IMAGENET_PLAN,
        parameters=61_100_840,
        macs=714_188_480,
        pytorch_names=(
            PyTorchNames("torchvision"),
            PyTorchNames("document", flatten_counts=True),
        ),
    ),
    Variant(
        name="alexnet_half",
        title="One tower with half the filters and half the dense units",
        source="document 003 (code)",
        num_classes=1000,
        features=(
            Convolution("conv1", 48, kernel=11, stride=4, padding=(2, 2)),
            MaxPool("pool1", size=3, stride=2),
            Convolution("conv2", 128, kernel=5, padding=(2, 2)),
            MaxPool("pool2", size=3, stride=2),
            Convolution("conv3", 192, kernel=3, padding=(1, 1)),
            Convolution("conv4", 192, kernel=3, padding=(1, 1)),
            Convolution("conv5", 128, kernel=3, padding=(1, 1)),
            MaxPool("pool5", size=3, stride=2),
        ),
        head=_pytorch_head(units=2048, rate=0.5),
        standardisation=TORCHVISION,
        image_plan=_IMAGENET_PLAN,
        parameters=16_630_440,
        macs=311_191_824,
        optional_initial_weights=(
            OptionalInitialWeights("he_fan_out", convolutions=HeFanOut(), dense=_SMALL),
        ),
    ),
    Variant(
        name="cifar_v1",
        title="AlexNet's layers at CIFAR size",
        source="document 000, way 1 (code)",
        num_classes=10,
        features=(
            Convolution("conv1", 64, kernel=3, stride=2, padding=(1, 1)),
            MaxPool("pool1", size=2, stride=2),
            Convolution("conv2", 192, kernel=3, padding=(1, 1)),
            MaxPool("pool2", size=2, stride=2),
            Convolution("conv3", 384, kernel=3, padding=(1, 1)),
            Convolution("conv4", 256, kernel=3, padding=(1, 1)),
            Convolution("conv5", 256, kernel=3, padding=(1, 1)),
            MaxPool("pool5", size=2, stride=2),
        ),
        head=_pytorch_head(units=4096, rate=0.5),
        standardisation=MINUS_ONE_TO_ONE,
        image_plan=_CIFAR_PLAN,
        parameters=23_272_266,
        macs=62_742_528,
    ),
    Variant(
        name="cifar_v2",
        title="Two convolutions and three dense layers for CIFAR",
        source="document 001 (code)",
        num_classes=10,
        features=(
            Convolution("conv1", 64, kernel=5),
            MaxPool("pool1", size=3, stride=2),
            Convolution("conv2", 64, kernel=5),
            MaxPool("pool2", size=3, stride=2),
        ),
        head=(Flatten("flatten"), Dense("fc3", 384), Dense("fc4", 192), Classifier("logits")),
        standardisation=MINUS_ONE_TO_ONE,
        image_plan=_CIFAR_PLAN,
        parameters=576_778,
        macs=12_526_464,
        pytorch_names=(
            PyTorchNames(features="conv{number}.0", head="fc{number}.0", last="fc{number}"),
        ),
    ),
    Variant(
        name="cifar_v3",
        title="Wide convolutions at full CIFAR resolution",
        source="document 002 (code)",
        num_classes=10,
        features=(
            Convolution("conv1", 64, kernel=3, padding=(2, 2)),
            MaxPool("pool1", size=2, stride=2),
            Convolution("conv2", 192, kernel=3, padding=(2, 2)),
            MaxPool("pool2", size=2, stride=2),
            Convolution("conv3", 384, kernel=3, padding=(1, 1)),
            Convolution("conv4", 256, kernel=3, padding=(1, 1)),
            Convolution("conv5", 256, kernel=3, padding=(1, 1)),
            MaxPool("pool5", size=3, stride=2),
        ),
        head=_pytorch_head(units=2048, rate=0.6),
        standardisation=MINUS_ONE_TO_ONE,
        image_plan=_CIFAR_PLAN,
        parameters=14_859_082,
        macs=227_711_744,
        pytorch_names=(PyTorchNames(head="fc_layers.{index}"),),
    ),
    dataclasses.replace(
        _ALEXNET,
        name="cifar_resized",
        title="The one-tower network on CIFAR images enlarged to 227 x 227",
        source="document 000, way 2",
        num_classes=10,
        standardisation=MINUS_CIFAR10_MEAN,
        image_plan=dataclasses.replace(_CIFAR_PLAN, input_size=227),
        parameters=58_322_314,
        macs=1_131_201_056,
    ),
    *CUDA_CONVNET,
)
_TABLE = {row.name: row for row in _ROWS}

# What the sources are that have no name of their own, by their number.
DOCUMENTS = {
    "000": "notes of a CIFAR-10 reproduction, 2020",
    "001": "a PyTorch lesson on CIFAR-10 with its training log",
    "002": "a textbook chapter with CIFAR-10 code",
    "003": "a blog post with a layer table and half-width code, 2021",
    "004": "a walk through torchvision's code",
}


def list_variants() -> list[str]:
    """Returns the names of all networks.

    Example:
        >>> list_variants()[:2]
        ['alexnet', 'alexnet_two_tower']
    """
    return list(_TABLE)


def get(name: str) -> Variant:
    """Returns a network's row.

    Raises:
        UsageError: no network has that name.
    """
    if name not in list_variants():
        raise unknown_name("variant", name, _TABLE)
    return _TABLE[name]


def image_plan(name: str, input_size: int) -> ImagePlan:
    """Returns how images become the inputs, `input_size` pixels a side, of a trained network.

    Raises:
        UsageError: no network has that name, which then is that of a model and not of a row.
    """
    if name not in list_variants():
        raise UsageError(
            "It is not known how images become this network's inputs. Name its variant with "
            f"--variant, one of {', '.join(list_variants())}. Received: {name!r}."
        )
    return get(name).image_plan_for(input_size)
