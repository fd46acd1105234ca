r"""Measurement of how far converted networks are from their sources: saved_models/parity.csv.

    python tests/support/parity.py --images FOLDER_OF_PHOTOGRAPHS --out saved_models/parity.csv

Each source's network gets random weights, is saved by its framework, and is converted. Both then
run on the photographs, prepared as for evaluation. The number for a layer is the largest difference
between the two outputs over all images, divided by the largest output.

The last row is of whole programs: torchvision's transforms of Pillow's images and its AlexNet, and
`predict`, each from the JPEG. Its number is the largest difference of two probabilities.
"""

import argparse
import itertools
import pathlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import NamedTuple

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import cv2
import keras
import numpy as np
import tensorflow as tf
import torch

import keras_alexnet
from keras_alexnet import DataSpec
from keras_alexnet.data import pipeline
from keras_alexnet.data.load import load_dataset
from keras_alexnet.networks import layers, variants
from keras_alexnet.utils import files
from support import caffe_networks, document_modules, end_to_end
from support.photographs import top5
from support.torchvision_models import imported

_CHUNK = 10
_LAYERS = (
    "conv1 lrn1 pool1 conv2 lrn2 pool2 conv3 conv4 conv5 pool5 fc3 fc4 fc6 fc7 logits"
).split()
COLUMNS = ("variant", "source", "reference", "images", "top5_same", "probabilities", *_LAYERS)


class Case(NamedTuple):
    """A source's network: its weights in a file, and its outputs for RGB pixels 0–255."""

    variant: str
    source: str
    reference: str
    file: pathlib.Path
    outputs: Callable[[np.ndarray], dict[str, np.ndarray]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", required=True, help="an image folder, or an archive of one")
    parser.add_argument("--out", required=True, help="CSV file to write")
    chosen = parser.parse_args()
    data = load_dataset(DataSpec("image_folder", data_dir=chosen.images))
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        for case in itertools.chain(_of_pytorch(folder), _of_caffe(folder)):
            rows.append(_measured(case, (data.train, data.test)))
            print({name: value for name, value in rows[-1].items() if value is not None})
        rows.append(_whole(folder, (data.train, data.test)))
        print(rows[-1])
    files.write_csv(chosen.out, rows)


def _of_pytorch(folder: pathlib.Path) -> Iterator[Case]:
    for source, (variant, make, _, statistics) in document_modules.NETWORKS.items():
        network = document_modules.randomized(make())
        torch.save(network.state_dict(), folder / "state.pth")
        names = _compared(keras_alexnet.build(variant))

        def outputs(pixels, network=network, statistics=statistics, names=names):
            inputs = document_modules.standardized(pixels, statistics)
            found = document_modules.layer_outputs(network, inputs)
            return dict(zip(names, found, strict=True))

        reference = f"PyTorch {torch.__version__.partition('+')[0]}"
        yield Case(variant, source, reference, folder / "state.pth", outputs)


def _of_caffe(folder: pathlib.Path) -> Iterator[Case]:
    mean = np.float32(variants.get("alexnet_caffe").standardization.mean)
    tensors = caffe_networks.weights()
    for form in ("new", "old"):
        file = folder / "net.caffemodel"
        file.write_bytes(caffe_networks.caffemodel(tensors, old=form == "old"))
        forward = caffe_networks.by_opencv(cv2, caffe_networks.prototxt(), file.read_bytes())

        def outputs(pixels, forward=forward):
            images = (pixels - mean).transpose(0, 3, 1, 2)[:, ::-1]
            each = [forward(image[None]) for image in images]
            found = {name: np.concatenate([one[name] for one in each]) for name in each[0]}
            return {"logits" if name == "fc8" else name: value for name, value in found.items()}

        reference = f"OpenCV {cv2.__version__}"
        yield Case("alexnet_caffe", f"Caffe's {form} form", reference, file, outputs)


def _measured(case: Case, splits) -> dict:
    model = keras_alexnet.build(case.variant, weights=case.file)
    names = _compared(model)
    layered = keras.Model(model.input, [model.get_layer(name).output for name in names])
    apart, largest = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
    images, same = 0, 0
    batches = [pipeline.eval_batches(split, case.variant, batch_size=_CHUNK) for split in splits]
    for pixels, *_ in itertools.chain(*batches):
        wanted = case.outputs(pixels.numpy())
        got = dict(zip(names, layered(pixels), strict=True))
        for name in names:
            difference = np.abs(wanted[name] - got[name].numpy()).max()
            apart[name] = max(apart[name], float(difference))
            largest[name] = max(largest[name], float(np.abs(wanted[name]).max()))
        pairs = zip(top5(wanted["logits"]), top5(got["logits"]), strict=True)
        same += sum(a == b for a, b in pairs)
        images += len(pixels)
    row = {
        "variant": case.variant,
        "source": case.source,
        "reference": case.reference,
        "images": images,
        "top5_same": same,
        **{name: f"{apart[name] / largest[name]:.1e}" for name in names},
    }
    return {name: row.get(name) for name in COLUMNS}


def _whole(folder: pathlib.Path, splits) -> dict:
    photos = [split.encoded.read(row) for split in splits for row in split.rows]
    outcome = end_to_end.compared(photos, folder)
    row = {
        "variant": "alexnet_owt",
        "source": "torchvision, from the JPEG",
        "reference": f"torchvision {imported('torchvision').__version__.partition('+')[0]}",
        "images": outcome.images,
        "top5_same": outcome.top5_same,
        "probabilities": f"{outcome.probabilities:.1e}",
    }
    return {name: row.get(name) for name in COLUMNS}


def _compared(model: keras.Model) -> list[str]:
    """The layers with an activation, LRN and pooling, in order."""
    kinds = (
        layers.Convolution,
        layers.LocalResponseNormalization,
        keras.layers.MaxPooling2D,
        keras.layers.Dense,
    )
    return [layer.name for layer in model.layers if isinstance(layer, kinds)]


if __name__ == "__main__":
    tf.get_logger().setLevel("ERROR")
    main()
