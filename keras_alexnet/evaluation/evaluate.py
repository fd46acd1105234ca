"""Evaluation of a network on a split: one view of each image, or the mean of several."""

import dataclasses

import keras

from keras_alexnet import run_folder, trained
from keras_alexnet.distributed import devices
from keras_alexnet.errors import UsageError
from keras_alexnet.evaluation.config import SPLITS, EvaluateConfig
from keras_alexnet.evaluation.evaluator import Evaluator
from keras_alexnet.evaluation.pictures import per_class, write_pictures
from keras_alexnet.networks import variants
from keras_alexnet.trained import split_of
from keras_alexnet.utils import provenance


def evaluate(config: EvaluateConfig) -> dict:
    """Evaluates a network in float32, and says of what data.

    Args:
        config: which network, on which images.

    Returns:
        A dict with dataset, split, images, data_sha256, views, loss, top1, top5,
        per_class_accuracy and the provenance.

    Raises:
        UsageError: for an unknown name, or a network whose image plan is not known.
        UserError: for data that cannot be had, or of other classes than the network's.

    Example:
        >>> import keras_alexnet as ka
        >>> model = ka.build("cifar_v2")
        >>> ka.evaluate(ka.EvaluateConfig(model=model, dataset="shapes", views=2))["images"]
        2000
    """
    where, split, views = config.model, config.split, config.views
    if split not in SPLITS:
        raise UsageError(f"split must be one of {', '.join(SPLITS)}. Received: {split!r}.")
    strategy = devices.strategy_for(config.num_devices)
    with strategy.scope():
        model, labels, run = _model_of(where)
    trained_on = run["config"] if run else {}
    spec = config.data
    if split != "test":  # the images held out are a share of those that the run could read
        skip_corrupt = spec.skip_corrupt or trained_on.get("skip_corrupt", False)
        spec = dataclasses.replace(spec, skip_corrupt=skip_corrupt)
    data = trained.load_data(run, spec)
    trained.check_labels(model.output_shape[-1], labels, data)
    name = config.variant or trained_on.get("variant") or model.name
    plan = variants.image_plan(name, model.input_shape[1])
    images = split_of(data, split, run)
    evaluator = Evaluator(
        model, images, plan, batch_size=config.batch_size, views=views, strategy=strategy
    )
    evaluation = evaluator.run(f"evaluating {data.name} {split}")
    if config.pictures is not None:
        title = f"{model.name} on {data.name}, {split}"
        write_pictures(config.pictures, evaluation, images, plan, data.class_names, title)
    return {
        "model": model.name if isinstance(where, keras.Model) else str(where),
        "dataset": data.name,
        "split": split,
        "images": len(images),
        "data_sha256": data.sha256,
        "data_note": data.note,
        "skipped_images": len(data.skipped),
        "views": views,
        "precision": "float32",
        "devices": devices.describe(strategy),
        **evaluation.figures(),
        "per_class_accuracy": per_class(evaluation, data.class_names),
        **provenance.provenance(),
    }


def _model_of(where):
    if isinstance(where, keras.Model):
        return where, None, None
    model, labels = run_folder.load(run_folder.model_file(where))
    return model, labels, trained.read_config(where)
