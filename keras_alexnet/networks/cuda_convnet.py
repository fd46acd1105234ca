"""Networks of cuda-convnet for CIFAR-10: cuda_convnet_11pct, _13pct, _18pct, _80sec.

Layers, constants and initial weights are those of its files `example-layers/layers-*.cfg` and
`layer-params-*.cfg`.
"""

from keras_alexnet.networks.cifar import CIFAR_PLAN, MINUS_CIFAR10_MEAN
from keras_alexnet.networks.image_plan import ImagePlan
from keras_alexnet.networks.spec import (
    ActivationSpec,
    CeilAveragePoolSpec,
    ClassifierSpec,
    ConvolutionSpec,
    DenseSpec,
    FlattenSpec,
    LayerSpec,
    LocallyConnectedSpec,
    LocalResponseNormSpec,
    MaxPoolSpec,
    NetworkSpec,
    NormalWeights,
    SameMapNormSpec,
)

_SMALL = NormalWeights(std=0.01)
_FIRST = NormalWeights(std=1e-4)
_LOCAL = NormalWeights(std=0.04)
_DENSE_80SEC = NormalWeights(std=0.1)


def _first_convolution(filters: int, linear: bool = False) -> ConvolutionSpec:
    return ConvolutionSpec("conv1", filters, 5, padding=(2, 2), initial=_FIRST, linear=linear)


def _convolution(name: str, filters: int) -> ConvolutionSpec:
    return ConvolutionSpec(name, filters, kernel=5, padding=(2, 2), initial=_SMALL)


def _local(name: str, filters: int) -> LocallyConnectedSpec:
    return LocallyConnectedSpec(name, filters, kernel=3, padding=(1, 1), initial=_LOCAL)


def _max_pool(name: str) -> MaxPoolSpec:
    return MaxPoolSpec(name, size=3, stride=2, ceil=True)


def _average_pool(name: str) -> CeilAveragePoolSpec:
    return CeilAveragePoolSpec(name, size=3, stride=2)


def _lrn(name: str) -> LocalResponseNormSpec:
    """cuda-convnet divides its scale, 0.001, by size, 9."""
    return LocalResponseNormSpec(name, depth_radius=4, bias=1.0, alpha=0.001 / 9, beta=0.75)


def _same_map_norm(name: str) -> SameMapNormSpec:
    """cuda-convnet divides its scale, 0.00005, by size squared."""
    return SameMapNormSpec(name, size=3, bias=1.0, alpha=0.00005 / 9, beta=0.75)


def _cuda_convnet(
    kind: str,
    title: str,
    features: tuple[LayerSpec, ...],
    *,
    file: str,
    parameters: int,
    macs: int,
    hidden: tuple[LayerSpec, ...] = (),
    initial: NormalWeights = _SMALL,
) -> NetworkSpec:
    """Returns one of the networks; `initial` is for its last layer."""
    return NetworkSpec(
        name=f"cuda_convnet_{kind}",
        title=title,
        source=f"cuda-convnet, {file}",
        num_classes=10,
        features=features,
        head=(FlattenSpec("flatten"), *hidden, ClassifierSpec("logits", initial=initial)),
        standardization=MINUS_CIFAR10_MEAN,
        image_plan=CIFAR_PLAN,
        # The program trained on 24 x 24 crops and tested on ten of them.
        other_image_plans=(ImagePlan(square_size=32, crop_size=24, crop_padding=0, input_size=24),),
        parameters=parameters,
        macs=macs,
        pytorch_names=(),
    )


NETWORKS = (
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
        file="layers-conv-local-11pct.cfg",
        parameters=3_672_906,
        macs=34_689_024,
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
        file="layers-conv-local-13pct.cfg",
        parameters=1_901_386,
        macs=32_919_552,
    ),
    _cuda_convnet(
        "18pct",
        "cuda-convnet's three convolutions with same-map normalization",
        (
            _first_convolution(32, linear=True),
            _max_pool("pool1"),
            ActivationSpec("activation1"),
            _same_map_norm("norm1"),
            _convolution("conv2", 32),
            _average_pool("pool2"),
            _same_map_norm("norm2"),
            _convolution("conv3", 64),
            _average_pool("pool3"),
        ),
        file="layers-18pct.cfg",
        parameters=89_578,
        macs=12_298_240,
    ),
    _cuda_convnet(
        "80sec",
        "cuda-convnet's three convolutions and a small dense layer, for a quick start",
        (
            _first_convolution(32, linear=True),
            _max_pool("pool1"),
            ActivationSpec("activation1"),
            _convolution("conv2", 32),
            _average_pool("pool2"),
            _convolution("conv3", 64),
            _average_pool("pool3"),
        ),
        file="layers-80sec.cfg",
        parameters=145_578,
        macs=12_354_176,
        hidden=(DenseSpec("fc64", 64, initial=_DENSE_80SEC),),
        initial=_DENSE_80SEC,
    ),
)
