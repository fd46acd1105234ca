"""The rows of the 2012 paper: its network as one tower and as two, and that on CIFAR images."""

import dataclasses

from keras_alexnet.rows import (
    Classifier,
    Convolution,
    Dense,
    Dropout,
    Flatten,
    ImagePlan,
    Layer,
    LocalResponseNorm,
    MaxPool,
    NormalWeights,
    Variant,
)
from keras_alexnet.standardisations import MINUS_CIFAR10_MEAN, MINUS_IMAGENET_MEAN

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

IMAGENET_PLAN = ImagePlan(square_size=256, crop_size=224, crop_padding=0, input_size=224)
CIFAR_PLAN = ImagePlan(square_size=32, crop_size=32, crop_padding=4, input_size=32)

ALEXNET = Variant(
    name="alexnet",
    title="The 2012 paper's network as one tower",
    source="Krizhevsky, Sutskever, Hinton 2012; document 003 (text and table), document 002 (text)",
    num_classes=1000,
    features=_paper_features(groups=1),
    head=_PAPER_HEAD,
    standardisation=MINUS_IMAGENET_MEAN,
    image_plan=IMAGENET_PLAN,
    parameters=62_378_344,
    macs=1_135_256_096,
)

ALEXNET_TWO_TOWER = dataclasses.replace(
    ALEXNET,
    name="alexnet_two_tower",
    title="The 2012 paper's network, its two GPUs as two groups",
    source="Krizhevsky, Sutskever, Hinton 2012",
    features=_paper_features(groups=2),
    parameters=60_965_224,
    macs=724_406_816,
)

CIFAR_RESIZED = dataclasses.replace(
    ALEXNET,
    name="cifar_resized",
    title="The one-tower network on CIFAR images enlarged to 227 x 227",
    source="document 000, way 2",
    num_classes=10,
    standardisation=MINUS_CIFAR10_MEAN,
    image_plan=dataclasses.replace(CIFAR_PLAN, input_size=227),
    parameters=58_322_314,
    macs=1_131_201_056,
)
