"""model_card.md: what an export is, where it comes from, how good it is, what it is for."""

import re

from keras_alexnet.networks import variants

NAME = "model_card.md"


_LABELS_SHOWN = 50


_LICENSES = {
    "cifar10": "CIFAR-10's authors state no license; it is used for research.",
    "cifar100": "CIFAR-100's authors state no license; it is used for research.",
    "fashion_mnist": "Fashion-MNIST is published under the MIT license.",
    "imagenet2012": "ImageNet may be used for non-commercial research and education alone, by "
    "its terms of access; whether they bind networks trained on it is disputed.",
    "shapes": "The data are drawn by this package, Apache-2.0.",
}


_OWN_IMAGES = "The images are not published with this network; ask their owner for the license."


def text(report: dict) -> str:
    """Returns the model card, in Markdown, of what `export` reports.

    Args:
        report: what `export.json` holds.
    """
    parts = [
        f"# {report['variant']}: {report['title']}",
        *_network(report),
        *_training(report),
        *_accuracy(report),
        *_files(report),
        *_agreement(report),
        *_use(report),
        *_provenance(report),
    ]
    return "\n".join(parts) + "\n"


def _network(report):
    height, width, channels = report["input_shape"]
    labels = report["labels"]
    named = "" if report["labels_are_names"] else ", whose names are not known"
    more = f", … ({len(labels) - _LABELS_SHOWN} more)" if len(labels) > _LABELS_SHOWN else ""
    return [
        "",
        f"- Source of the network: {_source(report['source'])}",
        f"- Parameters: {report['parameters']:,}; multiply-accumulates an image: "
        f"{report['macs']:,}",
        f"- Input: RGB pixels 0–255, {report['input_dtype']} [N, {height}, {width}, {channels}]; "
        "standardized inside",
        f"- Output: {len(labels)} classes{named}: {', '.join(labels[:_LABELS_SHOWN])}{more}",
    ]


def _source(source: str) -> str:
    """Says what a document is that the table of networks knows by a number."""
    number = re.match(r"document (\d+)", source)
    return f"{source}: {variants.DOCUMENTS[number.group(1)]}" if number else source


def _training(report):
    trained = report["trained"]
    if trained is None:
        return ["", "## Training", "", "Not known: exported from a bare `.keras` file."]
    recipe = dict(trained["recipe_as_run"])
    name, note = recipe.pop("name"), recipe.pop("note")
    given = {field: value for field, value in recipe.items() if value not in (None, "", {}, [])}
    fields = ", ".join(f"{field} {value}" for field, value in given.items())
    overrides = (
        f" Set apart from the recipe: {trained['overrides']}." if trained["overrides"] else ""
    )
    return [
        "",
        "## Training",
        "",
        f"- Data: {trained['dataset']}, {trained['train_images']:,} images, SHA-256 "
        f"`{trained['data_sha256']}` (of {trained['data_sha256_of']}); "
        f"{trained['skipped_images']} skipped"
        + (f"; {trained['data_note']}" if trained["data_note"] else ""),
        f"- Recipe {name} ({note.rstrip('.')}): {fields}.{overrides}",
        f"- {trained['epochs']} epochs, {trained['steps']:,} steps of "
        f"{trained['global_batch_size']} images in {trained['precision']} on "
        f"{trained['devices']}, seed {trained['seed']}; commit `{trained['commit']}`, "
        f"{trained['date']}",
        f"- At its end: top-1 {_percent(trained['test_top1'])}, top-5 "
        f"{_percent(trained['test_top5'])} with {trained['views']} view(s) of "
        f"{trained['test_images']:,} test images",
    ]


def _accuracy(report):
    if not report["accuracy"]:
        return ["", "## Accuracy", "", f"Not measured. Compared on {report['compared_on']}."]
    rows = [
        f"| {views} | {_percent(found['top1'])} | {_percent(found['top5'])} | {found['loss']:.4f} |"
        for views, found in report["accuracy"].items()
    ]
    return [
        "",
        "## Accuracy",
        "",
        f"The Keras model on {report['compared_on']} (SHA-256 `{report['data_sha256']}`)"
        + (f"; {report['skipped_images']} skipped" if report["skipped_images"] else "")
        + (f"; {report['data_note']}" if report["data_note"] else "")
        + ".",
        "",
        "| views | top-1 | top-5 | loss |",
        "|---|---|---|---|",
        *rows,
    ]


def _files(report):
    keras_top1 = report["keras_model"]["top1"]
    rows = [
        f"| Keras model | {report['keras_model_bytes'] / 1e6:.2f} MB | – | – | "
        f"{'–' if keras_top1 is None else _percent(keras_top1)} | Keras {report['keras']} |"
    ]
    for name, facts in report["files"].items():
        seconds = facts.get("latency_seconds", {})
        times = [f"{1000 * seconds[n]:.2f} ms" if n in seconds else "–" for n in ("1", "2")]
        accuracy = facts["agreement"]["top1"]
        top1 = "–" if accuracy is None else _percent(accuracy)
        size = f"{facts['bytes'] / 1e6:.2f} MB"
        rows.append(f"| {name} | {size} | {' | '.join(times)} | {top1} | {facts['runtime']} |")
    hashes = [
        f"- `{file}`: `{sha256}`"
        for facts in report["files"].values()
        for file, sha256 in facts["sha256"].items()
    ]
    return [
        "",
        "## Files",
        "",
        f"Latency is the median of one image at a time on {report['processor']}.",
        "",
        "| file | size | 1 thread | 2 threads | top-1 | runtime |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
        "SHA-256 of every file but this card and `export.json`:",
        "",
        *hashes,
    ]


def _agreement(report):
    rows = [
        f"| {name} | {found['largest_difference']:.2g} | {found['relative_difference']:.1e} | "
        f"{_percent(found['top1_agreement'])} |"
        for name, found in ((n, facts["agreement"]) for n, facts in report["files"].items())
    ]
    notes = [f"- **Disagrees, and was allowed to:** {line}." for line in report["disagreements"]]
    for name, facts in report["files"].items():
        if facts["compared_on"] != report["compared_on"]:
            notes.append(f"- {name} was exported earlier and compared on {facts['compared_on']}.")
        if facts.get("float_operators"):
            notes.append(f"- {name} computes in float: {', '.join(facts['float_operators'])}.")
        if facts.get("warm_up_requests") is False:
            notes.append(f"- {name} has no warm-up requests: tensorflow-serving-api was missing.")
    if report["calibration_images"]:
        notes.append(
            f"- int8 was calibrated with {report['calibration_images']} training images of "
            f"{report['dataset']}, chosen by seed {report['seed']}."
        )
    return [
        "",
        "## Agreement with the Keras model",
        "",
        f"Logits on {report['compared_on']}; relative differences are to the largest logit.",
        "",
        "| file | largest difference | relative | same top-1 |",
        "|---|---|---|---|",
        *rows,
        *(["", *notes] if notes else []),
    ]


def _use(report):
    data = "what it was trained on, and under which license, is not known."
    if report["trained"] is not None:
        data = _LICENSES.get(report["trained"]["dataset"].partition("-")[0], _OWN_IMAGES)
    return [
        "",
        "## Use and limits",
        "",
        "For teaching, research and as a baseline. It knows the classes above and none else, and "
        f"names one of them for any image. {_seen(report['image_plan'])}; EXIF orientation is "
        "ignored. Scores are softmax outputs and not calibrated probabilities. It has not been "
        "tested for bias or robustness: no decision about people should rest on it.",
        "",
        f"License: code and network definition Apache-2.0. Data: {data}",
    ]


def _seen(plan):
    if plan["warp"]:
        side = plan["square_size"]
        return f"An image is squeezed into {side} x {side} pixels first, whatever its shape"
    return "An image is reduced to its center square first, so what lies outside is not seen"


def _provenance(report):
    return [
        "",
        "## Provenance",
        "",
        f"- `{report['model']}`, SHA-256 `{report['model_sha256']}`",
        f"- Exported by commit `{report['commit']}` with TensorFlow {report['tensorflow']} and "
        f"Keras {report['keras']} on {report['date']}",
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
