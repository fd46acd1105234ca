"""Specs of networks as data: layers, initial weights, standardization, image plan."""

import dataclasses
from dataclasses import dataclass

VIEWS = (1, 2, 10)


@dataclass(frozen=True)
class Standardization:
    """(pixel - mean) / std, per channel R, G, B on the 0-255 scale.

    With `mean_of_training_set` the source subtracts its training set's mean, and `mean` stands in
    for it where the training set is not known. With `bgr` the channels reach the first layer in the
    order B, G, R.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    mean_of_training_set: bool = False
    bgr: bool = False


@dataclass(frozen=True)
class ImagePlan:
    """How an image of any size becomes the network's input; all numbers are pixels.

    The short side is resized to `square_size` and the center square kept, or with `warp` the whole
    image is squeezed into the square; crops of `crop_size` are cut (random ones after
    `crop_padding` zeros on each side) and enlarged to `input_size`.
    """

    square_size: int
    crop_size: int
    crop_padding: int
    input_size: int
    warp: bool = False

    def scaled_to(self, input_size: int) -> "ImagePlan":
        """Returns the plan in proportion to another `input_size`.

        A plan that enlarges its crops keeps them: they are as large as the data is.

        Example:
            >>> plan = ImagePlan(square_size=256, crop_size=224, crop_padding=0, input_size=224)
            >>> plan.scaled_to(112).square_size
            128
        """
        if self.crop_size != self.input_size:
            return dataclasses.replace(self, input_size=input_size)
        scale = input_size / self.input_size
        return dataclasses.replace(
            self,
            square_size=round(self.square_size * scale),
            crop_size=input_size,
            crop_padding=round(self.crop_padding * scale),
            input_size=input_size,
        )


# Initial weights ---------------------------------------------------------------------------------
@dataclass(frozen=True)
class NormalWeights:
    """Kernel from N(0, std), all biases equal to `bias`."""

    std: float
    bias: float = 0.0


@dataclass(frozen=True)
class FanInUniform:
    """PyTorch's default: kernel and bias uniform in +-1/sqrt(fan_in)."""


@dataclass(frozen=True)
class HeFanOut:
    """Kernel from N(0, 2 / fan_out), biases 0 (`kaiming_normal_(mode="fan_out")`)."""


InitialWeights = NormalWeights | FanInUniform | HeFanOut


@dataclass(frozen=True)
class OptionalInitialWeights:
    """Initial weights that a source offers beside its default, asked for by name."""

    name: str
    convolutions: InitialWeights
    dense: InitialWeights


def ceil_pooled_size(side: int, size: int, stride: int) -> int:
    """Returns how many windows a side has, the last of which may reach over the edge.

    A window counts only if it starts inside the map, as in Caffe and PyTorch.

    Example:
        >>> ceil_pooled_size(32, size=3, stride=2), ceil_pooled_size(31, size=3, stride=2)
        (16, 15)
    """
    windows = -(-(side - size) // stride) + 1
    return windows - 1 if (windows - 1) * stride >= side else windows


# Layer rows --------------------------------------------------------------------------------------
@dataclass(frozen=True)
class LayerSpec:
    """What every layer row has: the name of the Keras layer built from it."""

    name: str

    def output_size(self, size: int) -> int:
        """Returns the map's height (or width) after this layer; below 1 when nothing is left."""
        return size


@dataclass(frozen=True)
class ConvolutionSpec(LayerSpec):
    """2-D convolution, then the hidden activation unless it is `linear`.

    `padding` is zeros (before, after) each axis.
    """

    filters: int
    kernel: int
    stride: int = 1
    padding: tuple[int, int] = (0, 0)
    groups: int = 1
    initial: InitialWeights = FanInUniform()
    linear: bool = False

    def output_size(self, size: int) -> int:
        return (size + sum(self.padding) - self.kernel) // self.stride + 1


@dataclass(frozen=True)
class LocallyConnectedSpec(LayerSpec):
    """A convolution with other weights at each position, then the hidden activation."""

    filters: int
    kernel: int
    padding: tuple[int, int] = (0, 0)
    initial: InitialWeights = FanInUniform()

    def output_size(self, size: int) -> int:
        return size + sum(self.padding) - self.kernel + 1


@dataclass(frozen=True)
class ActivationSpec(LayerSpec):
    """The hidden activation, where a source has it behind the pooling of a linear convolution."""


@dataclass(frozen=True)
class LocalResponseNormSpec(LayerSpec):
    """x / (bias + alpha * sum of x^2 over 2 * depth_radius + 1 channels) ^ beta.

    `alpha` multiplies the sum itself; sources that divide it by n are to be written divided. With
    `groups` the sum does not reach over the bounds of so many equal parts of the channels.
    """

    depth_radius: int
    bias: float
    alpha: float
    beta: float
    groups: int = 1


@dataclass(frozen=True)
class SameMapNormSpec(LayerSpec):
    """x / (bias + alpha * sum of x^2 over size x size cells of the same channel) ^ beta.

    `alpha` multiplies the sum itself; sources that divide it by size^2 are to be written divided.
    """

    size: int
    bias: float
    alpha: float
    beta: float


@dataclass(frozen=True)
class MaxPoolSpec(LayerSpec):
    """Max pooling over whole windows only, or with `ceil` also over those cut by the edge."""

    size: int
    stride: int
    ceil: bool = False

    def output_size(self, size: int) -> int:
        if self.ceil:
            return ceil_pooled_size(size, self.size, self.stride)
        return (size - self.size) // self.stride + 1


@dataclass(frozen=True)
class CeilAveragePoolSpec(LayerSpec):
    """Average pooling, also over windows cut by the edge, whose average is that of real cells."""

    size: int
    stride: int

    def output_size(self, size: int) -> int:
        return ceil_pooled_size(size, self.size, self.stride)


@dataclass(frozen=True)
class AdaptiveAveragePoolSpec(LayerSpec):
    """Average pooling of a map of any size to size x size, with PyTorch's bins."""

    size: int

    def output_size(self, size: int) -> int:
        return self.size


@dataclass(frozen=True)
class FlattenSpec(LayerSpec):
    """Map to vector, in the order height, width, channel."""


@dataclass(frozen=True)
class DropoutSpec(LayerSpec):
    """Dropout that scales the kept units by 1 / (1 - rate) in training, as Keras and PyTorch do."""

    rate: float


@dataclass(frozen=True)
class UnscaledDropoutSpec(DropoutSpec):
    """Dropout that leaves the kept units alone in training and multiplies all by 1 - rate at test.

    As the paper and the 2012 program do.
    """


@dataclass(frozen=True)
class DenseSpec(LayerSpec):
    """Fully connected layer, then the hidden activation."""

    units: int
    initial: InitialWeights = FanInUniform()


@dataclass(frozen=True)
class ClassifierSpec(LayerSpec):
    """The last, linear, fully connected layer; as many units as there are classes."""

    initial: InitialWeights = FanInUniform()


# Networks ----------------------------------------------------------------------------------------
@dataclass(frozen=True)
class PyTorchNames:
    """What a source calls the modules of its PyTorch network, weights and biases left out.

    `{index}` is a module's index in its `nn.Sequential`, `{number}` a layer's own from 1 on.

    `source` is the name to ask for it by. `last` names the linear layer to the logits, where it is
    not called as those before it. With `flatten_counts` the flattening is a module of the head.
    """

    source: str = "document"
    features: str = "features.{index}"
    head: str = "classifier.{index}"
    last: str | None = None
    flatten_counts: bool = False


@dataclass(frozen=True)
class NetworkSpec:
    """One network.

    `parameters` and `macs` (multiply-accumulates of one forward pass) are the expected totals at
    `image_plan.input_size` and `num_classes`, taken from the sources and not from the code.
    `pytorch_names` are those of the PyTorch sources, the first for files that are written; none
    where PyTorch has no such layers.
    """

    name: str
    title: str
    source: str
    num_classes: int
    features: tuple[LayerSpec, ...]
    head: tuple[LayerSpec, ...]
    standardization: Standardization
    image_plan: ImagePlan
    parameters: int
    macs: int
    optional_initial_weights: tuple[OptionalInitialWeights, ...] = ()
    pytorch_names: tuple[PyTorchNames, ...] = (PyTorchNames(),)
    other_image_plans: tuple[ImagePlan, ...] = ()

    @property
    def layers(self) -> tuple[LayerSpec, ...]:
        """All layer rows, from the pixels to the logits."""
        return self.features + self.head

    @property
    def input_size(self) -> int:
        """Height and width of the default input."""
        return self.image_plan.input_size

    def image_plan_for(self, input_size: int | None = None) -> ImagePlan:
        """Returns the image plan for an `input_size`: the row's own for it, or its first, scaled.

        Example:
            >>> keras_alexnet.variants.get("alexnet").image_plan_for(112)
            ImagePlan(square_size=128, crop_size=112, crop_padding=0, input_size=112, warp=False)
        """
        plan = self.image_plan
        if input_size is None:
            return plan
        for known in (plan, *self.other_image_plans):
            if input_size == known.input_size:
                return known
        return plan.scaled_to(input_size)


# The small initial weights and the LRN constants of the 2012 paper presume pixels of 0-255 with the
# mean taken off and never divided.
_IMAGENET_MEAN = (123.68, 116.779, 103.939)  # ILSVRC-2012 training set, as published with VGG


_CAFFE_MEAN = (122.679, 116.669, 104.007)  # the same, over Caffe's mean image of warped images


_CIFAR10_MEAN = (125.307, 122.950, 113.865)  # the 50,000 training images


MINUS_IMAGENET_MEAN = Standardization(mean=_IMAGENET_MEAN, mean_of_training_set=True)


MINUS_CAFFE_MEAN = Standardization(mean=_CAFFE_MEAN, mean_of_training_set=True, bgr=True)


MINUS_CIFAR10_MEAN = Standardization(mean=_CIFAR10_MEAN, mean_of_training_set=True)


# torchvision: x / 255, mean .485 .456 .406, deviation .229 .224 .225
TORCHVISION = Standardization(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))


MINUS_ONE_TO_ONE = Standardization(mean=(127.5, 127.5, 127.5), std=(127.5, 127.5, 127.5))
