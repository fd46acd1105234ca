"""One frozen row per network: data only, with its source and its expected numbers.

To add a network, add a row to `_ROWS`; the paper's own rows stand in
`keras_alexnet.paper_variants`, those of programs (cuda-convnet, Caffe) in
`keras_alexnet.program_variants`. A layer of a new kind needs a type in `keras_alexnet.rows` and a
builder in `keras_alexnet.layer_builders`.
"""

from keras_alexnet.errors import UsageError, unknown_name
from keras_alexnet.paper_variants import (
    ALEXNET,
    ALEXNET_TWO_TOWER,
    CIFAR_PLAN,
    CIFAR_RESIZED,
    IMAGENET_PLAN,
)
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
    MaxPool,
    NormalWeights,
    OptionalInitialWeights,
    PyTorchNames,
    Variant,
)
from keras_alexnet.standardisations import MINUS_ONE_TO_ONE, TORCHVISION

__all__ = ["ImagePlan", "Variant", "get", "list_variants"]

_SMALL = NormalWeights(std=0.01)


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


_ROWS = (
    ALEXNET,
    ALEXNET_TWO_TOWER,
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
        image_plan=IMAGENET_PLAN,
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
        image_plan=IMAGENET_PLAN,
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
        image_plan=CIFAR_PLAN,
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
        image_plan=CIFAR_PLAN,
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
        image_plan=CIFAR_PLAN,
        parameters=14_859_082,
        macs=227_711_744,
        pytorch_names=(PyTorchNames(head="fc_layers.{index}"),),
    ),
    CIFAR_RESIZED,
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
