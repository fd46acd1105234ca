"""The rows of programs: the paper's own (2012), its forerunner cuda-convnet, and Caffe's.

Layers, constants and initial weights are those of their layer files.
"""

from keras_alexnet.rows import (
    Activation,
    CeilAveragePool,
    Classifier,
    Convolution,
    Dense,
    Dropout,
    Flatten,
    ImagePlan,
    Layer,
    LocallyConnected,
    LocalResponseNorm,
    MaxPool,
    NormalWeights,
    SameMapNorm,
    UnscaledDropout,
    Variant,
)
from keras_alexnet.standardisations import (
    MINUS_CAFFE_MEAN,
    MINUS_CIFAR10_MEAN,
    MINUS_IMAGENET_MEAN,
)

_SMALL = NormalWeights(std=0.01)
_SMALL_BIAS_1 = NormalWeights(std=0.01, bias=1.0)


# Caffe's bvlc_alexnet: train_val.prototxt --------------------------------------------------------
def _caffe_lrn(name: str) -> LocalResponseNorm:
    # alpha 0.0001 is divided by local_size, 5; k is 1.
    return LocalResponseNorm(name, depth_radius=2, bias=1.0, alpha=1e-4 / 5, beta=0.75)


_CAFFE_CONVOLUTION = NormalWeights(std=0.01, bias=0.1)
_CAFFE_DENSE = NormalWeights(std=0.005, bias=0.1)

ALEXNET_CAFFE = Variant(
    name="alexnet_caffe",
    title="Caffe's bvlc_alexnet: the paper's two towers as two groups, on B, G, R",
    source="Caffe, models/bvlc_alexnet",
    num_classes=1000,
    features=(
        Convolution("conv1", 96, kernel=11, stride=4, initial=_SMALL),
        _caffe_lrn("lrn1"),
        MaxPool("pool1", size=3, stride=2),
        Convolution("conv2", 256, 5, padding=(2, 2), groups=2, initial=_CAFFE_CONVOLUTION),
        _caffe_lrn("lrn2"),
        MaxPool("pool2", size=3, stride=2),
        Convolution("conv3", 384, 3, padding=(1, 1), initial=_SMALL),
        Convolution("conv4", 384, 3, padding=(1, 1), groups=2, initial=_CAFFE_CONVOLUTION),
        Convolution("conv5", 256, 3, padding=(1, 1), groups=2, initial=_CAFFE_CONVOLUTION),
        MaxPool("pool5", size=3, stride=2),
    ),
    head=(
        Flatten("flatten"),
        Dense("fc6", 4096, initial=_CAFFE_DENSE),
        Dropout("dropout6", 0.5),
        Dense("fc7", 4096, initial=_CAFFE_DENSE),
        Dropout("dropout7", 0.5),
        Classifier("logits", initial=_SMALL),
    ),
    standardisation=MINUS_CAFFE_MEAN,
    # Caffe's script squeezes every image into 256 x 256, whatever its shape.
    image_plan=ImagePlan(square_size=256, crop_size=227, crop_padding=0, input_size=227, warp=True),
    parameters=60_965_224,
    macs=724_406_816,
)


# The 2012 program: layers-145.cfg and layer-params-145.cfg ---------------------------------------
def _tower_lrn(name: str) -> LocalResponseNorm:
    # scale 0.0001 is divided by size, 5; minDiv is 2; each tower's maps are normalised alone.
    return LocalResponseNorm(name, depth_radius=2, bias=2.0, alpha=1e-4 / 5, beta=0.75, groups=2)


_WIDER = NormalWeights(std=0.03)
_WIDER_BIAS_1 = NormalWeights(std=0.03, bias=1.0)

ALEXNET_2012 = Variant(
    name="alexnet_2012",
    title="The program behind the paper, its two towers as two groups",
    source="the 2012 program, layers-145.cfg",
    num_classes=1000,
    features=(
        # conv1 and conv5 have no neuron of their own: the pooling layers behind them have.
        # The program counts windows up: three more rows and columns of zeros at the end.
        Convolution("conv1", 96, 11, stride=4, padding=(0, 3), initial=_SMALL, linear=True),
        _tower_lrn("lrn1"),
        MaxPool("pool1", size=3, stride=2),
        Activation("activation1"),
        Convolution("conv2", 256, 5, padding=(2, 2), groups=2, initial=_SMALL_BIAS_1),
        _tower_lrn("lrn2"),
        # scale 0.001 is divided by size squared.
        SameMapNorm("norm2", size=5, bias=1.0, alpha=0.001 / 25, beta=0.75),
        MaxPool("pool2", size=3, stride=2),
        Convolution("conv3", 384, 3, padding=(1, 1), initial=_WIDER),
        Convolution("conv4", 384, 3, padding=(1, 1), groups=2, initial=_WIDER_BIAS_1),
        Convolution("conv5", 256, 3, padding=(1, 1), groups=2, initial=_WIDER_BIAS_1, linear=True),
        MaxPool("pool5", size=3, stride=2),
        Activation("activation5"),
    ),
    head=(
        Flatten("flatten"),
        Dense("fc6", 4096, initial=_SMALL_BIAS_1),
        UnscaledDropout("dropout6", 0.5),
        Dense("fc7", 4096, initial=_SMALL_BIAS_1),
        UnscaledDropout("dropout7", 0.5),
        Classifier("logits", initial=_SMALL),
    ),
    standardisation=MINUS_IMAGENET_MEAN,
    image_plan=ImagePlan(square_size=256, crop_size=224, crop_padding=0, input_size=224),
    parameters=60_965_224,
    macs=724_406_816,
    pytorch_names=(),
)


# cuda-convnet: example-layers/layers-*.cfg and layer-params-*.cfg --------------------------------
_FIRST = NormalWeights(std=1e-4)
_LOCAL = NormalWeights(std=0.04)
_DENSE_80SEC = NormalWeights(std=0.1)


def _first_convolution(filters: int, linear: bool = False) -> Convolution:
    return Convolution("conv1", filters, 5, padding=(2, 2), initial=_FIRST, linear=linear)


def _convolution(name: str, filters: int) -> Convolution:
    return Convolution(name, filters, kernel=5, padding=(2, 2), initial=_SMALL)


def _local(name: str, filters: int) -> LocallyConnected:
    return LocallyConnected(name, filters, kernel=3, padding=(1, 1), initial=_LOCAL)


def _max_pool(name: str) -> MaxPool:
    return MaxPool(name, size=3, stride=2, ceil=True)


def _average_pool(name: str) -> CeilAveragePool:
    return CeilAveragePool(name, size=3, stride=2)


def _lrn(name: str) -> LocalResponseNorm:
    # scale 0.001 is divided by size, 9.
    return LocalResponseNorm(name, depth_radius=4, bias=1.0, alpha=0.001 / 9, beta=0.75)


def _same_map_norm(name: str) -> SameMapNorm:
    # scale 0.00005 is divided by size squared.
    return SameMapNorm(name, size=3, bias=1.0, alpha=0.00005 / 9, beta=0.75)


def _cuda_convnet(
    kind: str, title: str, features: tuple[Layer, ...], parameters: int, macs: int, **dense
) -> Variant:
    """A row of cuda-convnet; `dense` may hold the hidden dense layer and the logits' weights."""
    return Variant(
        name=f"cuda_convnet_{kind}",
        title=title,
        source=f"cuda-convnet, {dense.pop('file', f'layers-{kind}.cfg')}",
        num_classes=10,
        features=features,
        head=(
            Flatten("flatten"),
            *dense.get("hidden", ()),
            Classifier("logits", initial=dense.get("initial", _SMALL)),
        ),
        standardisation=MINUS_CIFAR10_MEAN,
        image_plan=ImagePlan(square_size=32, crop_size=32, crop_padding=4, input_size=32),
        # What the program trained on, and tested on in ten views: 24 x 24 crops.
        other_image_plans=(ImagePlan(square_size=32, crop_size=24, crop_padding=0, input_size=24),),
        parameters=parameters,
        macs=macs,
        pytorch_names=(),
    )


CUDA_CONVNET = (
    _cuda_convnet(
        "11pct",
        "cuda-convnet's best for CIFAR-10, the paper's section 3.3: LRN, locally connected layers",
        (
            _first_convolution(64),
            _max_pool("pool1"),
            _lrn("lrn1"),
            _convolution("conv2", 64),
            _lrn("lrn2"),
            _max_pool("pool2"),
            _local("local3", 64),
            _local("local4", 32),
        ),
        parameters=3_672_906,
        macs=34_689_024,
        file="layers-conv-local-11pct.cfg",
    ),
    _cuda_convnet(
        "13pct",
        "The same without LRN, its first locally connected layer half as wide",
        (
            _first_convolution(64),
            _max_pool("pool1"),
            _convolution("conv2", 64),
            _max_pool("pool2"),
            _local("local3", 32),
            _local("local4", 32),
        ),
        parameters=1_901_386,
        macs=32_919_552,
        file="layers-conv-local-13pct.cfg",
    ),
    _cuda_convnet(
        "18pct",
        "cuda-convnet's three convolutions with same-map normalisation",
        (
            _first_convolution(32, linear=True),
            _max_pool("pool1"),
            Activation("activation1"),
            _same_map_norm("norm1"),
            _convolution("conv2", 32),
            _average_pool("pool2"),
            _same_map_norm("norm2"),
            _convolution("conv3", 64),
            _average_pool("pool3"),
        ),
        parameters=89_578,
        macs=12_298_240,
    ),
    _cuda_convnet(
        "80sec",
        "cuda-convnet's three convolutions and a small dense layer, for a quick start",
        (
            _first_convolution(32, linear=True),
            _max_pool("pool1"),
            Activation("activation1"),
            _convolution("conv2", 32),
            _average_pool("pool2"),
            _convolution("conv3", 64),
            _average_pool("pool3"),
        ),
        parameters=145_578,
        macs=12_354_176,
        hidden=(Dense("fc64", 64, initial=_DENSE_80SEC),),
        initial=_DENSE_80SEC,
    ),
)
