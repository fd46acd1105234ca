"""Networks for ImageNet: the paper's, its program's, Caffe's, torchvision's, a half-width one."""

import dataclasses

from keras_alexnet.networks.image_plan import ANTIALIASED_BILINEAR, ImagePlan, Standardization
from keras_alexnet.networks.spec import (
    ActivationSpec,
    AdaptiveAveragePoolSpec,
    ClassifierSpec,
    ConvolutionSpec,
    DenseSpec,
    DropoutSpec,
    FlattenSpec,
    HeFanOut,
    LayerSpec,
    LocalResponseNormSpec,
    MaxPoolSpec,
    NetworkSpec,
    NormalWeights,
    OptionalInitialWeights,
    PublishedWeights,
    PyTorchNames,
    SameMapNormSpec,
    UnscaledDropoutSpec,
)

IMAGENET_PLAN = ImagePlan(square_size=256, crop_size=224, crop_padding=0, input_size=224)

# The paper's initial weights and LRN constants fit pixels 0-255 minus the mean, not divided.
# The mean is that of the ILSVRC-2012 training set, as published with VGG.
MINUS_IMAGENET_MEAN = Standardization((123.68, 116.779, 103.939), mean_of_training_set=True)

# torchvision: x / 255, mean .485 .456 .406, deviation .229 .224 .225
TORCHVISION = Standardization(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))

_SMALL = NormalWeights(std=0.01)
_SMALL_BIAS_1 = NormalWeights(std=0.01, bias=1.0)


# The 2012 paper -----------------------------------------------------------------------------------
def _paper_lrn(name: str) -> LocalResponseNormSpec:
    """Section 3.3: k = 2, n = 5, alpha = 1e-4, beta = 0.75, and alpha is not divided by n."""
    return LocalResponseNormSpec(name, depth_radius=2, bias=2.0, alpha=1e-4, beta=0.75)


def _paper_features(groups: int) -> tuple[LayerSpec, ...]:
    """The convolutions; `groups` = 2 for the paper's two GPUs."""
    return (
        # The paper's 224 pixels give its 55 x 55 map with three more rows and columns at the end.
        ConvolutionSpec("conv1", 96, kernel=11, stride=4, padding=(0, 3), initial=_SMALL),
        _paper_lrn("lrn1"),
        MaxPoolSpec("pool1", size=3, stride=2),
        ConvolutionSpec("conv2", 256, 5, padding=(2, 2), groups=groups, initial=_SMALL_BIAS_1),
        _paper_lrn("lrn2"),
        MaxPoolSpec("pool2", size=3, stride=2),
        ConvolutionSpec("conv3", 384, 3, padding=(1, 1), initial=_SMALL),
        ConvolutionSpec("conv4", 384, 3, padding=(1, 1), groups=groups, initial=_SMALL_BIAS_1),
        ConvolutionSpec("conv5", 256, 3, padding=(1, 1), groups=groups, initial=_SMALL_BIAS_1),
        MaxPoolSpec("pool5", size=3, stride=2),
    )


_PAPER_HEAD = (
    FlattenSpec("flatten"),
    DenseSpec("fc6", 4096, initial=_SMALL_BIAS_1),
    DropoutSpec("dropout6", 0.5),
    DenseSpec("fc7", 4096, initial=_SMALL_BIAS_1),
    DropoutSpec("dropout7", 0.5),
    ClassifierSpec("logits", initial=_SMALL),
)

ALEXNET = NetworkSpec(
    name="alexnet",
    title="The 2012 paper's network as one tower",
    source="Krizhevsky, Sutskever, Hinton 2012; document 003 (text and table), document 002 (text)",
    num_classes=1000,
    features=_paper_features(groups=1),
    head=_PAPER_HEAD,
    standardization=MINUS_IMAGENET_MEAN,
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


def _ceil_pool(name: str) -> MaxPoolSpec:
    """Caffe (pooling_layer.cpp) and the 2012 program round the number of windows up.

    At their own input sizes all windows are whole, so that this makes no difference there.
    """
    return MaxPoolSpec(name, size=3, stride=2, ceil=True)


# Caffe's bvlc_alexnet: train_val.prototxt ---------------------------------------------------------
def _caffe_lrn(name: str) -> LocalResponseNormSpec:
    """Caffe divides its alpha, 0.0001, by local_size, 5; its k is 1."""
    return LocalResponseNormSpec(name, depth_radius=2, bias=1.0, alpha=1e-4 / 5, beta=0.75)


_CAFFE_CONVOLUTION = NormalWeights(std=0.01, bias=0.1)
_CAFFE_DENSE = NormalWeights(std=0.005, bias=0.1)

ALEXNET_CAFFE = NetworkSpec(
    name="alexnet_caffe",
    title="Caffe's bvlc_alexnet: the paper's two towers as two groups, on B, G, R",
    source="Caffe, models/bvlc_alexnet",
    num_classes=1000,
    features=(
        ConvolutionSpec("conv1", 96, kernel=11, stride=4, initial=_SMALL),
        _caffe_lrn("lrn1"),
        _ceil_pool("pool1"),
        ConvolutionSpec("conv2", 256, 5, padding=(2, 2), groups=2, initial=_CAFFE_CONVOLUTION),
        _caffe_lrn("lrn2"),
        _ceil_pool("pool2"),
        ConvolutionSpec("conv3", 384, 3, padding=(1, 1), initial=_SMALL),
        ConvolutionSpec("conv4", 384, 3, padding=(1, 1), groups=2, initial=_CAFFE_CONVOLUTION),
        ConvolutionSpec("conv5", 256, 3, padding=(1, 1), groups=2, initial=_CAFFE_CONVOLUTION),
        _ceil_pool("pool5"),
    ),
    head=(
        FlattenSpec("flatten"),
        DenseSpec("fc6", 4096, initial=_CAFFE_DENSE),
        DropoutSpec("dropout6", 0.5),
        DenseSpec("fc7", 4096, initial=_CAFFE_DENSE),
        DropoutSpec("dropout7", 0.5),
        ClassifierSpec("logits", initial=_SMALL),
    ),
    # The mean over Caffe's mean image of warped images.
    standardization=Standardization(
        mean=(122.679, 116.669, 104.007), mean_of_training_set=True, bgr=True
    ),
    # Caffe's script squeezes every image into 256 x 256 pixels.
    image_plan=ImagePlan(square_size=256, crop_size=227, crop_padding=0, input_size=227, warp=True),
    parameters=60_965_224,
    macs=724_406_816,
)


# The 2012 program: layers-145.cfg and layer-params-145.cfg ----------------------------------------
def _tower_lrn(name: str) -> LocalResponseNormSpec:
    """The program divides scale, 0.0001, by size, 5; minDiv is 2; each tower has its own norm."""
    return LocalResponseNormSpec(
        name, depth_radius=2, bias=2.0, alpha=1e-4 / 5, beta=0.75, groups=2
    )


_WIDER = NormalWeights(std=0.03)
_WIDER_BIAS_1 = NormalWeights(std=0.03, bias=1.0)

ALEXNET_2012 = NetworkSpec(
    name="alexnet_2012",
    title="The program behind the paper, its two towers as two groups",
    source="the 2012 program, layers-145.cfg",
    num_classes=1000,
    features=(
        # conv1 and conv5 have no neuron: the pooling layers after them do.
        # The program rounds the number of windows up: three more rows and columns of zeros.
        ConvolutionSpec("conv1", 96, 11, stride=4, padding=(0, 3), initial=_SMALL, linear=True),
        _tower_lrn("lrn1"),
        _ceil_pool("pool1"),
        ActivationSpec("activation1"),
        ConvolutionSpec("conv2", 256, 5, padding=(2, 2), groups=2, initial=_SMALL_BIAS_1),
        _tower_lrn("lrn2"),
        # The program divides scale, 0.001, by size squared.
        SameMapNormSpec("norm2", size=5, bias=1.0, alpha=0.001 / 25, beta=0.75),
        _ceil_pool("pool2"),
        ConvolutionSpec("conv3", 384, 3, padding=(1, 1), initial=_WIDER),
        ConvolutionSpec("conv4", 384, 3, padding=(1, 1), groups=2, initial=_WIDER_BIAS_1),
        ConvolutionSpec(
            "conv5", 256, 3, padding=(1, 1), groups=2, initial=_WIDER_BIAS_1, linear=True
        ),
        _ceil_pool("pool5"),
        ActivationSpec("activation5"),
    ),
    head=(
        FlattenSpec("flatten"),
        DenseSpec("fc6", 4096, initial=_SMALL_BIAS_1),
        UnscaledDropoutSpec("dropout6", 0.5),
        DenseSpec("fc7", 4096, initial=_SMALL_BIAS_1),
        UnscaledDropoutSpec("dropout7", 0.5),
        ClassifierSpec("logits", initial=_SMALL),
    ),
    standardization=MINUS_IMAGENET_MEAN,
    image_plan=ImagePlan(square_size=256, crop_size=224, crop_padding=0, input_size=224),
    parameters=60_965_224,
    macs=724_406_816,
    pytorch_names=(),
)


# PyTorch: torchvision's network, and a half-width one ---------------------------------------------
def pytorch_head(units: int, rate: float) -> tuple[LayerSpec, ...]:
    """The classifier of PyTorch's AlexNets: dropout before each hidden dense layer."""
    return (
        FlattenSpec("flatten"),
        DropoutSpec("dropout6", rate),
        DenseSpec("fc6", units),
        DropoutSpec("dropout7", rate),
        DenseSpec("fc7", units),
        ClassifierSpec("logits"),
    )


# torchvision's AlexNet_Weights.IMAGENET1K_V1, whose accuracies these are.
TORCHVISION_WEIGHTS = PublishedWeights(
    name="imagenet",
    url="https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
    bytes=244_408_911,
    sha256="7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
    publisher="torchvision",
    license="BSD-3-Clause",
    dataset="imagenet2012",
    test_images=50_000,
    top1=0.56522,
    top5=0.79066,
)

ALEXNET_OWT = NetworkSpec(
    name="alexnet_owt",
    title="torchvision's AlexNet, for any input from 63 pixels up",
    source="Krizhevsky 2014, One weird trick; torchvision; document 004 (code)",
    num_classes=1000,
    features=(
        ConvolutionSpec("conv1", 64, kernel=11, stride=4, padding=(2, 2)),
        MaxPoolSpec("pool1", size=3, stride=2),
        ConvolutionSpec("conv2", 192, kernel=5, padding=(2, 2)),
        MaxPoolSpec("pool2", size=3, stride=2),
        ConvolutionSpec("conv3", 384, kernel=3, padding=(1, 1)),
        ConvolutionSpec("conv4", 256, kernel=3, padding=(1, 1)),
        ConvolutionSpec("conv5", 256, kernel=3, padding=(1, 1)),
        MaxPoolSpec("pool5", size=3, stride=2),
    ),
    head=(AdaptiveAveragePoolSpec("avgpool", size=6), *pytorch_head(units=4096, rate=0.5)),
    standardization=TORCHVISION,
    # torchvision's transforms: Resize(256), CenterCrop(224).
    image_plan=dataclasses.replace(IMAGENET_PLAN, resize=ANTIALIASED_BILINEAR),
    parameters=61_100_840,
    macs=714_188_480,
    pytorch_names=(
        PyTorchNames("torchvision"),
        PyTorchNames("document", flatten_counts=True),
    ),
    published=TORCHVISION_WEIGHTS,
)

ALEXNET_HALF = NetworkSpec(
    name="alexnet_half",
    title="One tower with half the filters and half the dense units",
    source="document 003 (code)",
    num_classes=1000,
    features=(
        ConvolutionSpec("conv1", 48, kernel=11, stride=4, padding=(2, 2)),
        MaxPoolSpec("pool1", size=3, stride=2),
        ConvolutionSpec("conv2", 128, kernel=5, padding=(2, 2)),
        MaxPoolSpec("pool2", size=3, stride=2),
        ConvolutionSpec("conv3", 192, kernel=3, padding=(1, 1)),
        ConvolutionSpec("conv4", 192, kernel=3, padding=(1, 1)),
        ConvolutionSpec("conv5", 128, kernel=3, padding=(1, 1)),
        MaxPoolSpec("pool5", size=3, stride=2),
    ),
    head=pytorch_head(units=2048, rate=0.5),
    standardization=TORCHVISION,
    image_plan=IMAGENET_PLAN,
    parameters=16_630_440,
    macs=311_191_824,
    optional_initial_weights=(
        OptionalInitialWeights("he_fan_out", convolutions=HeFanOut(), dense=_SMALL),
    ),
)

NETWORKS = (
    ALEXNET,
    ALEXNET_TWO_TOWER,
    ALEXNET_CAFFE,
    ALEXNET_2012,
    ALEXNET_OWT,
    ALEXNET_HALF,
)
