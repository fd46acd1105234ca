"""Evaluation of a network on a split: one view of each image, or the mean of several."""

import os

import keras

from keras_alexnet import run_folder, trained
from keras_alexnet.distributed import devices
from keras_alexnet.errors import UsageError
from keras_alexnet.evaluation.evaluator import Evaluator
from keras_alexnet.evaluation.pictures import per_class, write_pictures
from keras_alexnet.networks import variants
from keras_alexnet.trained import SPLITS, split_of
from keras_alexnet.utils import provenance


def evaluate(
    where: str | os.PathLike | keras.Model,
    dataset: str | None = None,
    *,
    data_dir: str | None = None,
    dataset_name: str | None = None,
    split: str = "test",
    views: int = 1,
    batch_size: int = 256,
    variant: str | None = None,
    skip_corrupt: bool = False,
    pictures: str | os.PathLike | None = None,
    num_devices: int | None = None,
) -> dict:
    """Evaluates a network in float32, and says of what data.

    Args:
        where: a run's folder, a `.keras` file, or a model that `build` made.
        dataset: as in `load_dataset`; None takes what the run was trained on.
        data_dir: folder or archive of the data; None takes the run's.
        dataset_name: name of an image folder in results.
        split: "test", "train", or "validation": the images that the run held out.
        views: 1 the center, 2 with its mirror image, 10 with the corners, averaged as softmax.
        batch_size: views in one step over all devices.
        variant: the network, when neither a config.json nor the model's name tells it.
        skip_corrupt: leave out images that cannot be decoded.
        pictures: a folder for confusion.png, per_class.png, per_class.csv and wrong.png.
        num_devices: how many devices to use; None uses all GPUs, or the CPU.

    Returns:
        A dict with dataset, split, images, data_sha256, views, loss, top1, top5,
        per_class_accuracy and the provenance.

    Raises:
        UsageError: for an unknown name, or a network whose image plan is not known.
        UserError: for data that cannot be had, or of other classes than the network's.

    Example:
        >>> import keras_alexnet as ka
        >>> model = ka.build("cifar_v2")
        >>> ka.evaluate(model, "shapes", views=2)["images"]
        2000
    """
    if split not in SPLITS:
        raise UsageError(f"split must be one of {', '.join(SPLITS)}. Received: {split!r}.")
    strategy = devices.strategy_for(num_devices)
    with strategy.scope():
        model, labels, config = _model_of(where)
    trained_on = config["config"] if config else {}
    if split != "test":  # the images held out are a share of those that the run could read
        skip_corrupt = skip_corrupt or trained_on.get("skip_corrupt", False)
    data = trained.load_data(
        config, dataset, data_dir=data_dir, dataset_name=dataset_name, skip_corrupt=skip_corrupt
    )
    trained.check_labels(model.output_shape[-1], labels, data)
    name = variant or trained_on.get("variant") or model.name
    plan = variants.image_plan(name, model.input_shape[1])
    images = split_of(data, split, config)
    evaluator = Evaluator(
        model, images, plan, batch_size=batch_size, views=views, strategy=strategy
    )
    evaluation = evaluator.run(f"evaluating {data.name} {split}")
    if pictures is not None:
        title = f"{model.name} on {data.name}, {split}"
        write_pictures(pictures, evaluation, images, plan, data.class_names, title)
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
