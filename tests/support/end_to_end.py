"""torchvision's AlexNet and this package's, each with its own way from a JPEG to probabilities."""

import io
import pathlib
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

import keras_alexnet as ka
from support import document_modules
from support.torchvision_models import imported

_STD = 3.0  # of the logits, so that the likeliest class has a probability of about 0.2


class Outcome(NamedTuple):
    """How far the probabilities of two programs are apart.

    Attributes:
        images: number of images.
        top5_same: how many have the same five likeliest classes in the same order.
        probabilities: the largest difference of two probabilities.
        likeliest: the mean of the highest probabilities.
    """

    images: int
    top5_same: int
    probabilities: float
    likeliest: float


def compared(photos: list[bytes], folder: pathlib.Path) -> Outcome:
    """Classifies encoded photographs by torchvision and by `predict`, with the same weights.

    The weights are random; the last layer is scaled so that its outputs are spread as those of a
    trained network, and differ from photograph to photograph.
    """
    expected = _by_torchvision(photos, folder / "state.pth")
    labels = folder / "labels.txt"
    labels.write_text("".join(f"{number:04}\n" for number in range(1000)))
    model = folder / "model.keras"
    ka.build("alexnet_owt", weights=folder / "state.pth").save(model)
    found = np.zeros_like(expected)
    for row, prediction in zip(found, ka.predict(model, photos, 1000, labels=labels), strict=True):
        row[[int(name) for name in prediction.classes]] = prediction.scores
    orders = (np.argsort(-each, axis=1, kind="stable")[:, :5] for each in (expected, found))
    same = np.equal(*orders).all(axis=1)
    apart = float(np.abs(found - expected).max())
    return Outcome(len(photos), int(same.sum()), apart, float(expected.max(axis=1).mean()))


def _by_torchvision(photos: list[bytes], file: pathlib.Path) -> np.ndarray:
    """Returns probabilities `[photos, 1000]`, and writes the weights."""
    imported("torchvision")
    from torchvision import models, transforms

    prepare = transforms.Compose(
        [
            *(transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor()),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    network = document_modules.randomized(models.alexnet(weights=None))
    with torch.no_grad():
        images = [Image.open(io.BytesIO(photo)).convert("RGB") for photo in photos]
        logits = torch.cat([network(prepare(image)[None]) for image in images])
        last, mean = network.classifier[-1], logits.mean(dim=0)
        scale = _STD / (logits - mean).std()
        last.weight *= scale
        last.bias.copy_((last.bias - mean) * scale)
        torch.save(network.state_dict(), file)
        return torch.softmax((logits - mean) * scale, dim=1).numpy()
