"""Networks as data: specs of initial weights, of layers and of whole networks."""

from dataclasses import dataclass

from keras_alexnet.networks.image_plan import ImagePlan, Standardization

LARGEST_SIDE = 4096  # pixels of an input: a float32 image of this side takes 200 MB


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
    """Initial weights that a source offers besides its default, chosen by name."""

    name: str
    convolutions: InitialWeights
    dense: InitialWeights


def ceil_pooled_size(side: int, size: int, stride: int) -> int:
    """Returns how many windows fit on a side, of which the last may reach over the edge.

    A window counts only if it starts inside the map, as in Caffe and PyTorch.

    Example:
        >>> ceil_pooled_size(32, size=3, stride=2), ceil_pooled_size(31, size=3, stride=2)
        (16, 15)
    """
    windows = -(-(side - size) // stride) + 1
    return windows - 1 if (windows - 1) * stride >= side else windows


@dataclass(frozen=True)
class LayerSpec:
    """What all layer specs share: the name of the Keras layer built from it."""

    name: str

    def output_size(self, size: int) -> int:
        """Returns the map's height (or width) after this layer; below 1 if nothing is left."""
        return size


@dataclass(frozen=True)
class ConvolutionSpec(LayerSpec):
    """2-D convolution, then the hidden activation unless it is `linear`.

    `padding` is the number of zeros (before, after) on both axes.
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
    """A convolution with different weights at each position, then the hidden activation."""

    filters: int
    kernel: int
    padding: tuple[int, int] = (0, 0)
    initial: InitialWeights = FanInUniform()

    def output_size(self, size: int) -> int:
        return size + sum(self.padding) - self.kernel + 1


@dataclass(frozen=True)
class ActivationSpec(LayerSpec):
    """The hidden activation, where a source has it after the pooling of a linear convolution."""


@dataclass(frozen=True)
class LocalResponseNormSpec(LayerSpec):
    """x / (bias + alpha * sum of x^2 over 2 * depth_radius + 1 channels) ^ beta.

    `alpha` multiplies the sum itself: where a source divides it by n, give the quotient. With
    `groups`, each of that many equal parts of the channels is normalized separately.
    """

    depth_radius: int
    bias: float
    alpha: float
    beta: float
    groups: int = 1


@dataclass(frozen=True)
class SameMapNormSpec(LayerSpec):
    """x / (bias + alpha * sum of x^2 over size x size cells of the same channel) ^ beta.

    `alpha` multiplies the sum itself: where a source divides it by size^2, give the quotient.
    """

    size: int
    bias: float
    alpha: float
    beta: float


@dataclass(frozen=True)
class MaxPoolSpec(LayerSpec):
    """Max pooling over whole windows, and with `ceil` also over windows cut by the edge."""

    size: int
    stride: int
    ceil: bool = False

    def output_size(self, size: int) -> int:
        if self.ceil:
            return ceil_pooled_size(size, self.size, self.stride)
        return (size - self.size) // self.stride + 1


@dataclass(frozen=True)
class CeilAveragePoolSpec(LayerSpec):
    """Average pooling, also over windows cut by the edge, which average the cells that are left."""

    size: int
    stride: int

    def output_size(self, size: int) -> int:
        return ceil_pooled_size(size, self.size, self.stride)


@dataclass(frozen=True)
class AdaptiveAveragePoolSpec(LayerSpec):
    """Average pooling of a map of any size to size x size, with PyTorch's windows."""

    size: int

    def output_size(self, size: int) -> int:
        return self.size


@dataclass(frozen=True)
class FlattenSpec(LayerSpec):
    """Map to vector, in the order height, width, channel."""


@dataclass(frozen=True)
class DropoutSpec(LayerSpec):
    """Dropout that multiplies kept units by 1 / (1 - rate) in training, as Keras and PyTorch do."""

    rate: float


@dataclass(frozen=True)
class UnscaledDropoutSpec(DropoutSpec):
    """Dropout that multiplies all units by 1 - rate outside training, as the 2012 program does."""


@dataclass(frozen=True)
class DenseSpec(LayerSpec):
    """Fully connected layer, then the hidden activation."""

    units: int
    initial: InitialWeights = FanInUniform()


@dataclass(frozen=True)
class ClassifierSpec(LayerSpec):
    """The last fully connected layer, linear, with one unit a class."""

    initial: InitialWeights = FanInUniform()


@dataclass(frozen=True)
class PyTorchNames:
    """How a source names the modules of its PyTorch network: patterns for modules with weights.

    `features` is for those before flattening, `head` for those after it, and `last` for the layer
    to the logits if it differs. `{index}` is a module's index in its `nn.Sequential`, `{number}`
    counts from 1. With `flatten_counts` the flattening is a module of the head.
    """

    source: str = "document"
    features: str = "features.{index}"
    head: str = "classifier.{index}"
    last: str | None = None
    flatten_counts: bool = False


@dataclass(frozen=True)
class PublishedWeights:
    """Weights of a network that its source publishes, as a state dict of PyTorch.

    `name` is what `weights=` takes, and the name of the data they were trained on; `dataset` is
    that data set's name here. `bytes` and `sha256` are those of the file at `url`. `top1` and
    `top5`, 0-1, are what `publisher` states for one view of `test_images` images.
    """

    name: str
    url: str
    bytes: int
    sha256: str
    publisher: str
    license: str
    dataset: str
    test_images: int
    top1: float
    top5: float

    @property
    def file(self) -> str:
        """The name of the file."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class NetworkSpec:
    """One network as data; `build` makes a Keras model of it.

    `name` is the variant. `parameters` and `macs` (multiply-accumulates of one forward pass) are
    the totals to expect at `image_plan.input_size` and `num_classes`, from the source and not from
    the code. The first of `pytorch_names` is used to write files; they are empty if PyTorch has
    no such network. `other_image_plans` are the source's plans for other input sizes. `published`
    are weights of exactly this network that can be downloaded.
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
    published: PublishedWeights | None = None

    @property
    def layers(self) -> tuple[LayerSpec, ...]:
        """All layers, from the pixels to the logits."""
        return self.features + self.head

    @property
    def input_size(self) -> int:
        """Height and width of the default input."""
        return self.image_plan.input_size

    def image_plan_for(self, input_size: int | None = None) -> ImagePlan:
        """Returns the image plan for an input size: the source's if it has one, or a scaled one.

        Example:
            >>> keras_alexnet.variants.get("alexnet").image_plan_for(112).square_size
            128
        """
        if input_size is None:
            return self.image_plan
        for known in (self.image_plan, *self.other_image_plans):
            if input_size == known.input_size:
                return known
        return self.image_plan.scaled_to(input_size)
