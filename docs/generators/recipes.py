"""The tables of the recipes page, from the recipes themselves."""

from generators.tables import table
from keras_alexnet.networks import variants
from keras_alexnet.training import recipes
from keras_alexnet.training.recipe import Recipe

_HEADINGS = [
    *["epochs", "batch", "optimizer", "learning rate", "decay", "bias rate"],
    *["augmentation", "held out", "keeps"],
]


def _cells(recipe: Recipe) -> list[str]:
    """The cells of a recipe, in the order of the headings."""
    return [
        f"{recipe.epochs}, or {recipe.min_steps} steps" if recipe.min_steps else str(recipe.epochs),
        str(recipe.global_batch_size),
        _optimizer(recipe),
        _rate(recipe),
        f"{recipe.weight_decay:g}",
        f"{recipe.bias_rate:g}",
        ", ".join(recipe.augment) or "none",
        f"{recipe.validation_fraction:.0%}",
        recipe.keep,
    ]


def shared() -> str:
    """The recipes that are the same for every network."""
    return "\n\n".join(
        f"### {name}\n\n{recipe.note}\n\n{table(_HEADINGS, [_cells(recipe)])}"
        for name, recipe in (
            ("paper", recipes.get("alexnet", "paper")),
            ("fine_tune", recipes.get("alexnet", "fine_tune")),
        )
    )


def by_network(name: str) -> str:
    """A recipe that each network has in its own form: their numbers, and then their notes."""
    found = [
        (variant, recipes.get(variant, name))
        for variant in variants.list_variants()
        if name in recipes.list_recipes(variant)
    ]
    alike: dict[tuple[str, ...], list[str]] = {}
    for variant, recipe in found:
        alike.setdefault(tuple(_cells(recipe)), []).append(f"`{variant}`")
    rows = [[", ".join(names), *cells] for cells, names in alike.items()]
    notes: dict[str, list[str]] = {}
    for variant, recipe in found:
        notes.setdefault(recipe.note + _layers(recipe), []).append(f"`{variant}`")
    said = "\n".join(f"- {', '.join(names)}: {note}" for note, names in notes.items())
    return f"{table(['networks', *_HEADINGS], rows)}\n\n{said}"


def _layers(recipe: Recipe) -> str:
    """What differs from layer to layer."""
    drops = ", ".join(
        f"`{layer}` after {', '.join(f'{epoch:g}' for epoch in epochs)}"
        for layer, epochs in recipe.layer_drops.items()
    )
    own_drops = f" Own drops: {drops}." if drops else ""
    few = ", ".join(
        f"{classes} at `{layer}`" for layer, classes in recipe.layer_reference_classes.items()
    )
    fewer = f" The rate is lower, in proportion, for fewer classes than {few}." if few else ""
    tables = (("Rate", recipe.layer_rates), ("Decay", recipe.layer_decay))
    factors = [
        f" {what}: {', '.join(f'{factor:g} × at `{layer}`' for layer, factor in table.items())}."
        for what, table in tables
        if table
    ]
    return own_drops + fewer + "".join(factors)


def _optimizer(recipe: Recipe) -> str:
    parts = [recipe.optimizer]
    if recipe.optimizer != "adam" and recipe.momentum:
        parts.append(f"{'Nesterov ' if recipe.nesterov else ''}momentum {recipe.momentum:g}")
    if recipe.ema_decay:
        parts.append(f"EMA {recipe.ema_decay:g}")
    return ", ".join(parts)


def _rate(recipe: Recipe) -> str:
    rate = f"{recipe.learning_rate:g}"
    if recipe.optimizer == "muon":
        rate = f"{recipe.muon_rate:g} (Muon), {rate}"
    if recipe.schedule == "one_cycle":
        rise = f", {recipe.warmup_steps} steps of rise" if recipe.warmup_steps else ""
        clip = f", clipped at {recipe.clip_norm:g}" if recipe.clip_norm else ""
        return f"up to {rate}, one_cycle{rise}{clip}"
    if recipe.schedule == "drops":
        epochs = ", ".join(f"{epoch:g}" for epoch in recipe.drop_epochs)
        which = " (kernels)" if recipe.drops_divide == "kernels" else ""
        return f"{rate}, ÷ {recipe.drop_factor:g} after {epochs}{which}"
    if recipe.schedule == "plateau":
        return f"{rate}, ÷ {recipe.plateau_factor:g} at each plateau"
    return f"{rate}, constant"
