"""`evaluate`: loss and accuracies of a network on a split of a data set."""

import dataclasses
from typing import Any

import keras

from keras_alexnet import run_folder
from keras_alexnet.data.config import MAX_IMAGE_PIXELS
from keras_alexnet.distributed import devices
from keras_alexnet.errors import UsageError
from keras_alexnet.evaluation.config import EvaluateConfig
from keras_alexnet.evaluation.evaluator import Evaluator
from keras_alexnet.evaluation.pictures import per_class, write_pictures
from keras_alexnet.trained import TrainedNetwork
from keras_alexnet.utils import outputs, provenance
from keras_alexnet.utils.html import Results
from keras_alexnet.utils.reporting import reported
from keras_alexnet.weights import named, shipped_file


@reported
def evaluate(config: EvaluateConfig, *, verbose: int = 1) -> dict[str, Any]:
    """Evaluates a network on a split of a data set.

    A Keras model is evaluated in `config.precision`, an exported file as it is.

    Args:
        config: the network and the images.
        verbose: 0 shows only warnings, 1 also lines and progress bars, 2 lines but no bars.

    Returns:
        A dict with model, shipped (file and sha256 of weights that came with the package, or
        None), published (the same and more of published weights, or None), dataset, split,
        images, data_sha256, data_note, skipped_images,
        left_out_files (why files of a folder were not read → how many), views, precision and
        precision_why (what it was computed in, and why), devices, loss (in nats), top1 and top5
        (0–1), per_class_accuracy (class name → 0–1) and the provenance.

    Raises:
        UsageError: if an argument cannot be used, or if it is unknown how images become the
            network's inputs.
        UserError: if the model or the data cannot be loaded, or their classes differ.

    Example:
        >>> import keras_alexnet as ka
        >>> model = ka.build("cifar_v2")
        >>> ka.evaluate(ka.EvaluateConfig(model=model, dataset="shapes", views=2))["images"]
        2000
    """
    if config.model is None:
        raise UsageError("model is needed: a run's folder, a file, or a model.")
    if config.pictures is not None:
        outputs.check_folder(config.pictures, "pictures")
    in_memory = isinstance(config.model, keras.Model)
    is_keras = in_memory or (
        named.locate(config.model, variant=config.variant)[0] in (run_folder.KERAS, named.NAMED)
    )
    if not is_keras and config.num_devices not in (None, 1):
        raise UsageError(
            f"num_devices is for Keras models, but {config.model} runs on one device. Received: "
            f"{config.num_devices}. Omit it."
        )
    strategy = devices.strategy_for(config.num_devices if is_keras else 1)
    with strategy.scope():
        network = TrainedNetwork.load(config.model, config.variant).in_precision(config.precision)
    spec = config.data
    if network.config and spec.max_image_pixels == MAX_IMAGE_PIXELS:
        most = network.config["config"].get("max_image_pixels", spec.max_image_pixels)
        spec = dataclasses.replace(spec, max_image_pixels=most)
    if config.split != "test" and network.config:
        # The run held out a share of the images that it could read.
        skip_corrupt = spec.skip_corrupt or network.config["config"].get("skip_corrupt", False)
        spec = dataclasses.replace(spec, skip_corrupt=skip_corrupt)
    data = network.load_data(spec)
    network.check_data(data)
    if config.split == "test":
        data = network.as_tested(data)
    images = network.split(data, config.split)
    evaluator = Evaluator(
        network,
        images,
        network.plan,
        batch_size=config.batch_size,
        views=config.views,
        strategy=strategy,
    )
    evaluation = evaluator.run(f"evaluating {data.name} {config.split}")
    if config.pictures is not None:
        title = f"{network.variant} on {data.name}, {config.split}"
        write_pictures(config.pictures, evaluation, images, network.plan, data.class_names, title)
    found = {
        "model": str(network.path if in_memory else config.model),
        **shipped_file.origin(network.card, ("file", "sha256")),
        "dataset": data.name,
        "split": config.split,
        "images": len(images),
        "data_sha256": data.sha256,
        "data_note": data.note,
        "skipped_images": len(data.skipped),
        "left_out_files": dict(data.left_out),
        "views": config.views,
        "precision": network.precision.name,
        "precision_why": network.precision.why,
        "devices": devices.describe(strategy),
        **evaluation.figures(),
        "per_class_accuracy": per_class(evaluation, data.class_names),
        **provenance.provenance(),
    }
    return Results(found)
