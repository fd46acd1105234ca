"""`save`: a trained network as a folder, or as a repository of the Hugging Face Hub."""

import os
import pathlib
import shutil
import tempfile

import keras

from keras_alexnet import run_folder
from keras_alexnet.errors import UserError
from keras_alexnet.exporting import hub_card, model_card, reports
from keras_alexnet.trained import TrainedNetwork
from keras_alexnet.utils import files, outputs, provenance
from keras_alexnet.utils.values import path_text
from keras_alexnet.weights import hub

_OF_RUNS = (run_folder.CONFIG, run_folder.RESULTS)


def save(
    model: str | os.PathLike | keras.Model | TrainedNetwork,
    out: str | os.PathLike,
    *,
    private: bool | None = None,
) -> None:
    """Saves a trained network for others, to a folder or to the Hugging Face Hub.

    The folder gets `model.keras`, `labels.txt`, the run's `config.json` and `results.json`, and a
    `README.md` with the model card and the front matter that the hub reads. `load` reads it again.
    Checkpoints and logs are not saved. The two JSON files name folders of your machine.

    Args:
        model: what `load` takes or returns, if it is a Keras model; or the folder of an export,
            whose versions, TFLite and ONNX files and `README.md` are uploaded as they are.
        out: a folder; or hf://user/name, for which `huggingface_hub` is needed.
        private: on the hub, whether a new repository is private; by default as your settings say.

    Raises:
        UsageError: an argument cannot be used.
        UserError: the model cannot be read or is not of Keras, the folder has a model already, or
            uploading failed.

    Example:
        >>> save("cifar_v2", "shared/v2")
        >>> keras_alexnet.load("shared/v2").labels[:2]
        ('airplane', 'automobile')
        >>> save("runs/mine", "hf://user/name")  # doctest: +SKIP
    """
    out = path_text("out", out)
    if hub.is_address(out):
        hub.parsed(out)
        exported = _exported_in(model)
        if exported:
            hub.upload(path_text("model", model), out, private=private, patterns=exported)
            return
        with tempfile.TemporaryDirectory() as folder:
            _write(_network(model), pathlib.Path(folder))
            hub.upload(folder, out, private=private)
        return
    outputs.check_folder(out, "out")
    if (taken := pathlib.Path(out) / run_folder.MODEL).exists():
        raise UserError(f"{taken} exists. Pass a different folder as out, or remove it.")
    _write(_network(model), pathlib.Path(out))


def _network(model: str | os.PathLike | keras.Model | TrainedNetwork) -> TrainedNetwork:
    network = model if isinstance(model, TrainedNetwork) else TrainedNetwork.load(model)
    network.require_keras("Saving")
    if any(weight.dtype in ("bfloat16", "float16") for weight in network.model.weights):
        raise UserError(
            f"What is saved is float32, but the weights of this network were rounded for "
            f"{network.precision.name}. Save the network that load() returned."
        )
    return network


def _exported_in(model: object) -> list[str]:
    """Returns patterns of the files that `export` wrote to a folder, or none if it wrote none."""
    if not isinstance(model, (str, os.PathLike)) or hub.is_address(model):
        return []
    folder = pathlib.Path(path_text("model", model))
    found = {
        path.relative_to(folder).parts[0]
        for pattern in (f"*/{reports.NAME}", f"*/assets.extra/{reports.NAME}")
        for path in folder.glob(pattern)
    }
    return [hub_card.NAME, *(f"{name}/*" for name in sorted(found))] if found else []


def _write(network: TrainedNetwork, folder: pathlib.Path) -> None:
    reports.check_results(network)
    with files.atomic_write(folder / run_folder.MODEL) as temporary:
        network.model.save(temporary)
    if network.labels_are_names:
        run_folder.write_labels(folder / run_folder.LABELS, network.labels)
    for name in _OF_RUNS if network.config is not None else ():
        if (source := network.path.with_name(name)).exists():
            shutil.copyfile(source, folder / name)
    report = {
        **reports.of_network(network),
        "model_sha256": files.sha256_of(folder / run_folder.MODEL),
        "model": run_folder.MODEL,
        **provenance.provenance(),
    }
    hub_card.write(folder, report, model_card.text_of_network(report))
