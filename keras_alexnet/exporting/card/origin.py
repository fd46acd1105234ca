"""Where a network is from: its training, or the weights that were published."""

from collections.abc import Mapping
from typing import Any

from keras_alexnet.exporting.card.numbers import by_views, percent

Report = Mapping[str, Any]


def training(report: Report) -> list[str]:
    """Returns the lines on its training: data, recipe, length and result."""
    trained = report["trained"]
    if trained is None:
        published = report["published"]
        known = "Not known: exported from a `.keras` file without its run."
        if published is not None:
            known = f"By {published['publisher']} on {published['dataset']}; see Weights."
        return ["", "## Training", "", known]
    recipe = dict(trained["recipe_as_run"])
    name, note = recipe.pop("name"), recipe.pop("note")
    given = {field: value for field, value in recipe.items() if value not in (None, "", {}, [])}
    overrides = f" Changed from it: {trained['overrides']}." if trained["overrides"] else ""
    skipped = []
    if trained.get("skipped_steps"):
        skipped = [f"- Steps that loss scaling skipped: {trained['skipped_steps']}"]
    return [
        "",
        "## Training",
        "",
        f"- Data: {trained['dataset']}, {trained['train_images']:,} images, SHA-256 "
        f"`{trained['data_sha256']}` (of {trained['data_sha256_of']}); "
        f"{trained['skipped_images']} skipped"
        + (f"; {trained['data_note']}" if trained["data_note"] else ""),
        f"- Recipe {name}, below: {note.rstrip('.')}.{overrides}",
        f"- {trained['epochs']} epochs, {trained['steps']:,} steps of "
        f"{trained['global_batch_size']} images in {trained['precision']} on "
        f"{trained['devices']}, seed {trained['seed']}; commit `{trained['commit']}`, "
        f"{trained['date']}",
        f"- At the end: top-1 {percent(trained['test_top1'])}, top-5 "
        f"{percent(trained['test_top5'])} with {trained['views']} view(s) of "
        f"{trained['test_images']:,} test images",
        *skipped,
        "",
        "| recipe | |",
        "|---|---|",
        *(f"| {field} | {_in_words(value)} |" for field, value in given.items()),
    ]


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_in_words(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_in_words, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def shipped(report: Report) -> list[str]:
    """Returns the lines on weights that come with the package."""
    shipped = report["shipped"]
    if shipped is None:
        return []
    return [
        "",
        "## Weights",
        "",
        f"`{shipped['file']}`, which comes with keras_alexnet: weights `{shipped['name']}`, stored "
        f"as {shipped['stored_as']}, SHA-256 `{shipped['sha256']}`. Exactly these weights, on the "
        f"{shipped['test_images']:,} test images of {shipped['dataset']} (SHA-256 "
        f"`{shipped['data_sha256']}`):",
        "",
        *by_views(shipped["accuracy"]),
    ]


def published(report: Report) -> list[str]:
    """Returns the lines on weights that others published."""
    published = report["published"]
    if published is None:
        return []
    found = published["accuracy"]["1"]
    return [
        "",
        "## Weights",
        "",
        f"`{published['name']}`, published by {published['publisher']} under "
        f"{published['license']}: <{published['url']}>, {published['bytes']:,} bytes, SHA-256 "
        f"`{published['sha256']}`. As {published['publisher']} states it, top-1 is "
        f"{100 * found['top1']:.3f} % and top-5 {100 * found['top5']:.3f} % with one view of the "
        f"{published['test_images']:,} validation images of {published['dataset']}; keras_alexnet "
        "has not measured it.",
    ]
