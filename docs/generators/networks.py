"""The networks page, from the specs of the networks and their recipes."""

import functools
from collections.abc import Callable

from generators.tables import table
from keras_alexnet.networks import spec, variants
from keras_alexnet.networks.image_plan import ANTIALIASED_BILINEAR
from keras_alexnet.training import recipes
from keras_alexnet.training.recipe import Recipe

_WEIGHTED = (spec.ConvolutionSpec, spec.LocallyConnectedSpec, spec.DenseSpec, spec.ClassifierSpec)

_BY_KERAS_DROPOUT = (
    "In training, the paper does not scale the units that dropout keeps. At test time, it halves "
    "all outputs, as `alexnet_2012` does. This network uses Keras's dropout."
)
_BIASES_ARE_OURS = (
    "The paper gives neither a rate nor a decay for biases. Here they have the rate of the kernels "
    "and no decay, which is our choice."
)
_MEAN_IMAGE = "The source subtracts a mean image. This network subtracts the mean of each channel."
_PAPERS_RECIPE = (
    "The recipe is the 2012 paper's. The documents do not train the network. torchvision's own "
    "training also decays biases, has another rate, and cuts crops of random size and shape."
)
_PIXELS_ARE_OURS = "The document says nothing about standardization, so the constants are ours."
_FLIP_IS_OURS = "The flip is also ours."

# What a network does differently from its source.
_NOTES = {
    "alexnet": [
        _BY_KERAS_DROPOUT,
        _BIASES_ARE_OURS,
        _MEAN_IMAGE,
        "The text of documents 002 and 003 has LRN after the pooling. The text of document 002 "
        "also has dropout before `fc6` and `fc7`, and a ReLU on the logits.",
    ],
    "alexnet_two_tower": [_BY_KERAS_DROPOUT, _BIASES_ARE_OURS, _MEAN_IMAGE],
    "alexnet_2012": [
        "The program draws one crop and one flip for every 32 images. Here each image has its own.",
        _MEAN_IMAGE,
    ],
    "alexnet_caffe": [_MEAN_IMAGE],
    "alexnet_owt": [
        _PAPERS_RECIPE,
        "Document 004 says nothing about standardization. The constants are torchvision's.",
    ],
    "alexnet_half": [
        _PAPERS_RECIPE,
        "Document 003 says nothing about standardization. The constants are torchvision's.",
    ],
    "cifar_v1": [_PIXELS_ARE_OURS, _FLIP_IS_OURS],
    "cifar_resized": [
        _BY_KERAS_DROPOUT,
        _BIASES_ARE_OURS,
        _PIXELS_ARE_OURS,
        _FLIP_IS_OURS,
    ],
    **{f"cuda_convnet_{kind}": [_MEAN_IMAGE] for kind in ("11pct", "13pct", "18pct", "80sec")},
}


def overview() -> str:
    """The table of the README: one line a network."""
    return table(
        ["name", "what it is", "input", "parameters", "MACs"],
        (
            [f"`{net.name}`", net.title, net.input_size, f"{net.parameters:,}", f"{net.macs:,}"]
            for net in map(variants.get, variants.list_variants())
        ),
    )


def documents() -> str:
    """The documents without a name of their own, and the networks that come from each."""
    networks = [variants.get(name) for name in variants.list_variants()]
    return table(
        ["document", "what it is", "networks"],
        (
            [
                number,
                title,
                ", ".join(f"`{net.name}`" for net in networks if number in net.source),
            ]
            for number, title in variants.DOCUMENTS.items()
        ),
    )


def sections() -> str:
    """One section a network."""
    return "\n\n".join(_section(variants.get(name)) for name in variants.list_variants())


def _section(net: spec.NetworkSpec) -> str:
    notes = "\n".join(f"- {note}" for note in _NOTES.get(net.name, ()))
    parts = [
        f"## {net.name}",
        f"{net.title}.",
        table(["", ""], _facts(net)),
        table(["layer", "operation", "output", "initial weights"], _layers(net)),
        f"Where it differs from its source:\n\n{notes}" if notes else "",
    ]
    return "\n\n".join(part for part in parts if part)


def _facts(net: spec.NetworkSpec) -> list[tuple[str, str]]:
    side = net.input_size
    name = source_recipe(net)
    recipe = recipes.get(net.name, name)
    facts = [
        ("Source", net.source),
        ("Input", f"{side} × {side} × 3, RGB pixels 0–255"),
        ("Classes", str(net.num_classes)),
        ("Parameters", f"{net.parameters:,}"),
        ("Multiply-accumulates", f"{net.macs:,}"),
        ("Pixels", _standardization(net.standardization)),
        ("Closest recipe", f"`{name}`"),
        ("Images in training", _images(net, recipe)),
        ("Weight decay", f"{_decay(net, recipe)}; inside the momentum, never on biases"),
        ("Rate of biases", f"{recipe.bias_rate:g} × the rate of kernels"),
    ]
    for other in net.optional_initial_weights:
        kernels = f"{_kernel(other.convolutions)} in convolutions, {_kernel(other.dense)} in dense "
        facts.append(("Other initial weights", f"`{other.name}`: {kernels}layers"))
    return facts


def source_recipe(net: spec.NetworkSpec) -> str:
    """The recipe that is closest to what the network's source does."""
    return "document" if "document" in recipes.list_recipes(net.name) else "paper"


def _layers(net: spec.NetworkSpec) -> list[tuple[str, str, str, str]]:
    size, channels, rows = net.input_size, 3, []
    flat = False
    for layer in net.layers:
        size = layer.output_size(size)
        channels = getattr(layer, "filters", channels)
        if isinstance(layer, spec.FlattenSpec):
            flat, channels = True, size * size * channels
        if isinstance(layer, spec.DenseSpec):
            channels = layer.units
        if isinstance(layer, spec.ClassifierSpec):
            channels = net.num_classes
        output = str(channels) if flat else f"{size} × {size} × {channels}"
        initial = _initial(layer.initial) if isinstance(layer, _WEIGHTED) else ""
        rows.append((f"`{layer.name}`", _operation(layer), output, initial))
    return rows


@functools.singledispatch
def _operation(layer: spec.LayerSpec) -> str:
    """What a layer does, with all its numbers."""
    raise TypeError(f"The networks page has no words for a {type(layer).__name__}.")


def _said_of(kind: type) -> Callable:
    return _operation.register(kind)


@_said_of(spec.ConvolutionSpec)
def _(layer) -> str:
    parts = [
        f"{layer.filters} filters {layer.kernel} × {layer.kernel}",
        f"stride {layer.stride}",
        _padding(layer.padding),
        f"{layer.groups} groups" if layer.groups > 1 else "",
        "linear" if layer.linear else "ReLU",
    ]
    return "convolution: " + ", ".join(part for part in parts if part)


@_said_of(spec.LocallyConnectedSpec)
def _(layer) -> str:
    size = f"{layer.kernel} × {layer.kernel}"
    return f"locally connected: {layer.filters} filters {size}, {_padding(layer.padding)}, ReLU"


@_said_of(spec.ActivationSpec)
def _(layer) -> str:
    return "ReLU"


@_said_of(spec.LocalResponseNormSpec)
def _(layer) -> str:
    n = 2 * layer.depth_radius + 1
    where = f", within {layer.groups} equal parts of the channels" if layer.groups > 1 else ""
    return (
        f"LRN: n {n}, alpha {layer.alpha:.3g} (alpha × n = {layer.alpha * n:.3g}), "
        f"k {layer.bias:g}, beta {layer.beta:g}{where}"
    )


@_said_of(spec.SameMapNormSpec)
def _(layer) -> str:
    scale = layer.alpha * layer.size**2
    return (
        f"same-map norm: n {layer.size}, alpha {layer.alpha:.3g} (alpha × n² = {scale:.3g}), "
        f"k {layer.bias:g}, beta {layer.beta:g}"
    )


@_said_of(spec.MaxPoolSpec)
def _(layer) -> str:
    edge = ", windows over the edge count" if layer.ceil else ""
    return f"max pooling {layer.size} × {layer.size}, stride {layer.stride}{edge}"


@_said_of(spec.CeilAveragePoolSpec)
def _(layer) -> str:
    size = f"{layer.size} × {layer.size}"
    return f"average pooling {size}, stride {layer.stride}, windows over the edge count"


@_said_of(spec.AdaptiveAveragePoolSpec)
def _(layer) -> str:
    return f"average pooling of any map to {layer.size} × {layer.size}"


@_said_of(spec.FlattenSpec)
def _(layer) -> str:
    return "flatten: height, width, channel"


@_said_of(spec.DropoutSpec)
def _(layer) -> str:
    return f"dropout {layer.rate:g}, kept units ÷ {1 - layer.rate:g} in training"


@_said_of(spec.UnscaledDropoutSpec)
def _(layer) -> str:
    return f"dropout {layer.rate:g}, all units × {1 - layer.rate:g} at test time"


@_said_of(spec.DenseSpec)
def _(layer) -> str:
    return f"dense: {layer.units} units, ReLU"


@_said_of(spec.ClassifierSpec)
def _(layer) -> str:
    return "dense: one unit for each class, linear"


def _padding(padding: tuple[int, int]) -> str:
    before, after = padding
    if before == after:
        return f"zeros {before} on each side" if before else "no zeros"
    return f"zeros {before} before and {after} after"


def _kernel(initial: spec.InitialWeights) -> str:
    if isinstance(initial, spec.NormalWeights):
        return f"N(0, {initial.std:g})"
    return "±1/√fan_in" if isinstance(initial, spec.FanInUniform) else "N(0, √(2/fan_out))"


def _initial(initial: spec.InitialWeights) -> str:
    if isinstance(initial, spec.NormalWeights):
        return f"{_kernel(initial)}, bias {initial.bias:g}"
    return f"{_kernel(initial)}, biases too"


def _standardization(pixels: spec.Standardization) -> str:
    order = "reversed to B, G, R; " if pixels.bgr else ""
    mean, std = (", ".join(f"{v:.6g}" for v in values) for values in (pixels.mean, pixels.std))
    if pixels.mean_of_training_set:
        return f"{order}minus the training set's mean (or {mean} if that is not known)"
    return f"{order}minus {mean}; divided by {std}"


def _images(net: spec.NetworkSpec, recipe: Recipe) -> str:
    plan = net.image_plan_for(recipe.input_size)
    square = (
        f"whole image squeezed to {plan.square_size} × {plan.square_size}"
        if plan.warp
        else f"short side to {plan.square_size}{_way(plan)}, center square"
    )
    is_random = "crop" in recipe.augment
    zeros = f" after {plan.crop_padding} zeros" if plan.crop_padding and is_random else ""
    crop = f"{'random' if is_random else 'center'} crop of {plan.crop_size}{zeros}"
    enlarged = f"enlarged to {plan.input_size}" if plan.input_size != plan.crop_size else ""
    others = [entry for entry in recipe.augment if entry != "crop"]
    return ", ".join(part for part in (square, crop, enlarged, *others) if part)


def _way(plan: spec.ImagePlan) -> str:
    return " (torchvision's antialiased resize)" if plan.resize == ANTIALIASED_BILINEAR else ""


def _decay(net: spec.NetworkSpec, recipe: Recipe) -> str:
    found: dict[str, list[str]] = {}
    for layer in net.layers:
        if isinstance(layer, _WEIGHTED):
            decay = recipe.weight_decay * recipe.layer_decay.get(layer.name, 1.0)
            found.setdefault(f"{decay:g}", []).append(f"`{layer.name}`")
    if len(found) == 1:
        return next(iter(found))
    return ", ".join(f"{value} on {' '.join(names)}" for value, names in found.items())
