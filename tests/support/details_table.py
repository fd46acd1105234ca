"""The README's table of details, rendered from the rows of the networks and of their recipes."""

import itertools

from keras_alexnet.networks import spec, variants
from keras_alexnet.training import recipes

# Heading, variant, recipe.
IMAGENET = (
    ("paper", "alexnet_two_tower", "paper"),
    ("2012 program", "alexnet_2012", "document"),
    ("Caffe", "alexnet_caffe", "document"),
    ("torchvision, document 004", "alexnet_owt", "paper"),
    ("documents 002, 003 (text)", "alexnet", "paper"),
    ("document 003 (code)", "alexnet_half", "paper"),
)
CIFAR = (
    ("document 000, way 1", "cifar_v1", "document"),
    ("document 000, way 2", "cifar_resized", "document"),
    ("document 001", "cifar_v2", "document"),
    ("document 002 (code)", "cifar_v3", "document"),
    *(
        ("cuda-convnet", f"cuda_convnet_{kind}", "document")
        for kind in ("11pct", "13pct", "18pct", "80sec")
    ),
)
NORMS = (spec.LocalResponseNormSpec, spec.SameMapNormSpec)
WEIGHTED = (spec.ConvolutionSpec, spec.LocallyConnectedSpec, spec.DenseSpec, spec.ClassifierSpec)


def of(variant, kind):
    return [row for row in variant.layers if isinstance(row, kind)]


def by_value(pairs):
    """[(name, value)] → "value (names), …", in the order of the values' first names."""
    found = {}
    for name, value in pairs:
        found.setdefault(value, []).append(name)
    if len(found) == 1:
        return f"{next(iter(found))}, all"
    return "; ".join(f"{value}: {' '.join(names)}" for value, names in found.items()) or "none"


def groups(variant, _):
    return by_value((row.name, row.groups) for row in of(variant, spec.ConvolutionSpec))


def activation(variant, _):
    linear = [row.name for row in of(variant, spec.ConvolutionSpec) if row.linear]
    return f"after the pooling of {' '.join(linear)}" if linear else "after each convolution"


def norm_place(variant, _):
    names = [row.name for row in variant.layers]
    norms = {row.name for row in of(variant, NORMS)}
    runs = []
    for is_norm, run in itertools.groupby(range(len(names)), lambda k: names[k] in norms):
        if is_norm:
            run = list(run)
            runs.append(" → ".join(names[run[0] - 1 : run[-1] + 2]))
    return "; ".join(runs) or "none"


def lrn_constants(variant, _):
    def constants(row):
        n = 2 * row.depth_radius + 1
        return f"n {n}, alpha {row.alpha:.3g}, k {row.bias:g}, beta {row.beta:g}"

    return by_value((row.name, constants(row)) for row in of(variant, spec.LocalResponseNormSpec))


def lrn_groups(variant, _):
    return by_value((row.name, row.groups) for row in of(variant, spec.LocalResponseNormSpec))


def lrn_scale(variant, _):
    pairs = of(variant, spec.LocalResponseNormSpec)
    return by_value((row.name, f"{row.alpha * (2 * row.depth_radius + 1):.3g}") for row in pairs)


def same_map(variant, _):
    def constants(row):
        return (
            f"n {row.size}, alpha {row.alpha:.3g} (times n² {row.alpha * row.size**2:.3g}), "
            f"k {row.bias:g}, beta {row.beta:g}"
        )

    return by_value((row.name, constants(row)) for row in of(variant, spec.SameMapNormSpec))


def kernels(variant, _):
    def start(initial):
        normal = isinstance(initial, spec.NormalWeights)
        return f"N(0, {initial.std:g})" if normal else "±1/√fan_in"

    return by_value((row.name, start(row.initial)) for row in of(variant, WEIGHTED))


def biases(variant, _):
    def start(initial):
        normal = isinstance(initial, spec.NormalWeights)
        return f"{initial.bias:g}" if normal else "±1/√fan_in"

    return by_value((row.name, start(row.initial)) for row in of(variant, WEIGHTED))


def dropout_place(variant, _):
    names = [row.name for row in variant.layers]
    dropouts = [names.index(row.name) for row in of(variant, spec.DropoutSpec)]
    if not dropouts:
        return "none"
    after = isinstance(variant.layers[dropouts[0] - 1], spec.DenseSpec)
    step = -1 if after else 1
    return f"{'after' if after else 'before'} {' '.join(names[k + step] for k in dropouts)}"


def dropout_scale(variant, _):
    def scale(row):
        if isinstance(row, spec.UnscaledDropoutSpec):
            return f"rate {row.rate:g}, × {1 - row.rate:g} at test"
        return f"rate {row.rate:g}, ÷ {1 - row.rate:g} in training"

    return by_value((row.name, scale(row)) for row in of(variant, spec.DropoutSpec))


def padding(variant, _):
    pairs = of(variant, (spec.ConvolutionSpec, spec.LocallyConnectedSpec))
    return by_value((row.name, "{}|{}".format(*row.padding)) for row in pairs)


def pooling(variant, _):
    def kind(row):
        ceil = getattr(row, "ceil", True)
        operation = "max" if isinstance(row, spec.MaxPoolSpec) else "average"
        return f"{operation} {row.size}/{row.stride}{' ceil' if ceil else ''}"

    return by_value(
        (row.name, kind(row)) for row in of(variant, (spec.MaxPoolSpec, spec.CeilAveragePoolSpec))
    )


def decay(variant, recipe):
    layers = [
        (row.name, f"{recipe.weight_decay * recipe.layer_decay.get(row.name, 1.0):g}")
        for row in of(variant, WEIGHTED)
    ]
    return by_value(layers)


def bias_rate(variant, recipe):
    return f"{recipe.bias_rate:g}"


def crops(variant, recipe):
    plan = variant.image_plan_for(recipe.input_size)
    way = "random" if "crop" in recipe.augment else "center"
    square = f"{'warped to' if plan.warp else 'center square of'} {plan.square_size}"
    zeros = (
        f" padded by {plan.crop_padding}" if plan.crop_padding and "crop" in recipe.augment else ""
    )
    enlarged = "" if plan.input_size == plan.crop_size else f", enlarged to {plan.input_size}"
    flip = ", flip" if "flip" in recipe.augment else ""
    return f"{square}{zeros}, {way} {plan.crop_size}{enlarged}{flip}"


def standardization(variant, _):
    pixels = variant.standardization
    order = "BGR, " if pixels.bgr else ""
    if pixels.mean_of_training_set:
        return f"{order}minus the training set's mean"
    mean, std = ("/".join(f"{v:.6g}" for v in values) for values in (pixels.mean, pixels.std))
    return f"{order}minus {mean}, ÷ {std}"


DETAILS = {
    "groups of convolutions": groups,
    "ReLU": activation,
    "response normalization's place": norm_place,
    "LRN constants": lrn_constants,
    "LRN's alpha times n": lrn_scale,
    "LRN's parts of the channels": lrn_groups,
    "same-map norm": same_map,
    "initial kernels": kernels,
    "initial biases": biases,
    "dropout's place": dropout_place,
    "dropout's scale": dropout_scale,
    "zeros before and after": padding,
    "pooling": pooling,
    "decay, inside the momentum, not on biases": decay,
    "biases' rate over kernels'": bias_rate,
    "crops": crops,
    "standardization": standardization,
}


def table(columns) -> list[str]:
    found = [(variants.get(name), recipes.get(name, recipe)) for _, name, recipe in columns]
    lines = [
        ["", *(heading for heading, *_ in columns)],
        ["---"] * (len(columns) + 1),
        ["network", *(f"`{name}`" for _, name, _ in columns)],
        ["recipe", *(f"`{recipe}`" for *_, recipe in columns)],
        *([title, *(render(*pair) for pair in found)] for title, render in DETAILS.items()),
    ]
    return [
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    ]


def text() -> str:
    return "\n".join([*table(IMAGENET), "", *table(CIFAR)])
