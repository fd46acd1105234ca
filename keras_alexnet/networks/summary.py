"""A table of a network's layers: kernels, output shapes, parameters, MACs, memory."""

import html
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import keras

from keras_alexnet.errors import UsageError, whole_number
from keras_alexnet.networks.build import build
from keras_alexnet.networks.locally_connected import LocallyConnected
from keras_alexnet.utils import html as html_tables
from keras_alexnet.utils.text import aligned

_FLOAT32_BYTES = 4


@dataclass(frozen=True)
class LayerSummary:
    """One layer.

    `kernel` and `stride` are (height, width), `padding` is zeros (before, after) on both axes; all
    three are None if the layer has none. `output_shape` begins with the batch size. `macs` are the
    multiply-accumulates of one image. `activation_bytes` is the size of a batch's output in
    float32, 0 if the output is a view of the input.
    """

    name: str
    type: str
    kernel: tuple[int, ...] | None
    stride: tuple[int, ...] | None
    padding: tuple[int, ...] | None
    groups: int | None
    output_shape: tuple[int, ...]
    parameters: int
    macs: int
    activation_bytes: int


@dataclass(frozen=True)
class LayerTable:
    """All layers of a network, and their totals."""

    model: str
    batch_size: int
    layers: tuple[LayerSummary, ...]

    @property
    def totals(self) -> dict[str, int]:
        """Sums over the layers, and the weights' memory in float32."""
        totals = {
            name: sum(getattr(layer, name) for layer in self.layers)
            for name in ("parameters", "macs", "activation_bytes")
        }
        return {**totals, "weight_bytes": totals["parameters"] * _FLOAT32_BYTES}

    def as_dict(self) -> dict:
        """Returns the table as lists, dicts and numbers, for JSON."""
        return {**asdict(self), "totals": self.totals}

    def _repr_html_(self) -> str:
        cells = [*(_cells(layer) for layer in self.layers), _total_cells(self.totals)]
        return f"<p>{html.escape(self._title)}</p>" + html_tables.table(
            _HEADINGS, cells, left=_ALIGNMENTS.count("<")
        )

    @property
    def _title(self) -> str:
        return f"{self.model}, batch of {self.batch_size}, one image's MACs, memory in float32"

    def as_text(self) -> str:
        """Returns the table as lines of text."""
        cells = [_HEADINGS, *(_cells(layer) for layer in self.layers), _total_cells(self.totals)]
        lines = aligned(cells, _ALIGNMENTS)
        rule = "-" * max(map(len, lines))
        return "\n".join(
            [
                self._title,
                *(rule, lines[0], rule, *lines[1:-1], rule, lines[-1]),
                f"weights: {_megabytes(self.totals['weight_bytes'])}",
            ]
        )


def layer_table(model: keras.Model | str, batch_size: int = 1) -> LayerTable:
    """Describes each layer of a network.

    Args:
        model: a model of this package, or a variant.
        batch_size: number of images whose activations are counted.

    Returns:
        The table. MACs are those of convolutions, locally connected and dense layers, without
        biases.

    Raises:
        UsageError: the model's input has no fixed height and width.

    Example:
        >>> table = layer_table("cifar_v2", batch_size=64)
        >>> table.totals["parameters"], table.totals["macs"]
        (576778, 12526464)
        >>> table.as_text().splitlines()[0]
        "cifar_v2, batch of 64, one image's MACs, memory in float32"
    """
    batch_size = whole_number("batch_size", batch_size, least=1)
    if isinstance(model, str):
        model = build(model)
    if None in model.input_shape[1:]:
        raise UsageError(
            "A layer table needs a model with a fixed input size: pass input_shape=(height, width, "
            f"3) when building it. Received: {model.input_shape}."
        )
    layers = (
        _summary(layer, batch_size)
        for layer in model.layers
        if not isinstance(layer, keras.layers.InputLayer)
    )
    return LayerTable(model.name, batch_size, tuple(layers))


def _summary(layer: keras.layers.Layer, batch_size: int) -> LayerSummary:
    shape = tuple(layer.output.shape[1:])
    kernel = getattr(layer, "kernel", None)
    # A kernel is applied once at each position of a map. A locally connected kernel already has
    # all positions, and a dense layer's output has none.
    positions = 1 if isinstance(layer, LocallyConnected) else math.prod(shape[:-1])
    macs = 0 if kernel is None else positions * math.prod(kernel.shape)
    is_view = isinstance(layer, keras.layers.Flatten)
    return LayerSummary(
        name=layer.name,
        type=type(layer).__name__,
        kernel=getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None),
        stride=getattr(layer, "strides", None),
        padding=getattr(layer, "zeros", None),
        groups=getattr(layer, "groups", None),
        output_shape=(batch_size, *shape),
        parameters=sum(math.prod(weight.shape) for weight in layer.weights),
        macs=macs,
        activation_bytes=0 if is_view else batch_size * math.prod(shape) * _FLOAT32_BYTES,
    )


_HEADINGS = (
    *("layer", "type", "kernel", "stride", "padding", "groups", "output"),
    *("parameters", "MACs", "activations"),
)
_ALIGNMENTS = "<<<<<>>>>>"


def _cells(layer: LayerSummary) -> tuple[str, ...]:
    return (
        layer.name,
        layer.type,
        _joined(layer.kernel),
        _joined(layer.stride),
        _joined(_shortest(layer.padding), "|"),
        "" if layer.groups is None else str(layer.groups),
        _joined(layer.output_shape),
        f"{layer.parameters:,}",
        f"{layer.macs:,}",
        _megabytes(layer.activation_bytes),
    )


def _total_cells(totals: dict[str, int]) -> tuple[str, ...]:
    sums = (f"{totals['parameters']:,}", f"{totals['macs']:,}")
    return ("total", *[""] * 6, *sums, _megabytes(totals["activation_bytes"]))


def _joined(numbers: Sequence[int] | None, mark: str = "x") -> str:
    return "" if numbers is None else mark.join(map(str, numbers))


def _shortest(padding: Sequence[int] | None) -> Sequence[int] | None:
    """Returns one number for both sides if they agree."""
    return padding[:1] if padding and padding[0] == padding[1] else padding


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.3f} MB"
