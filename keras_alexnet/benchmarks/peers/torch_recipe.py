"""Trains PyTorch's network by a recipe of plain SGD until a test accuracy, and prints what it got.

A process of its own: `python -m keras_alexnet.benchmarks.peers.torch_recipe JSON`.
"""

import json
import os
import pathlib
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_alexnet.benchmarks.peers import torch_networks, torch_step
from keras_alexnet.networks import variants
from keras_alexnet.training import recipes
from keras_alexnet.utils import machine

if TYPE_CHECKING:
    import torch

_TEST_BATCH = 500


def train(variant: str, folder: str, seed: int, top1: float) -> list[float]:
    """Trains by the recipe `document`, in the layout and precision that PyTorch is fastest in.

    Channels last, with bfloat16 autocast where the processor or GPU computes in it.

    Args:
        variant: a network whose recipe `document` is SGD at a constant rate without augmentation.
        folder: where train_images.npy, test_images.npy (uint8 `[n, H, W, 3]`) and their labels are.
        seed: of the weights and the order.
        top1: test top-1 in percent at which it ends; else it ends with the recipe's epochs.

    Returns:
        Test top-1 after each epoch, in percent.
    """
    import torch

    recipe, spec = recipes.get(variant, "document"), variants.get(variant)
    assert (recipe.optimizer, recipe.schedule, recipe.augment) == ("sgd", "constant", ())
    torch.manual_seed(seed)
    torch.set_num_threads(len(machine.processors()))
    device = torch_step.device()
    splits = {name: _split(pathlib.Path(folder), name, device) for name in ("train", "test")}
    network: Any = torch_networks.build(spec)
    network = network.to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        fused=True,
    )
    loss_of = torch.nn.CrossEntropyLoss()

    def logits_of(images: torch.Tensor) -> torch.Tensor:
        with torch.autocast(device, torch.bfloat16, enabled=torch_step.has_bfloat16()):
            return network(images.float()).float()

    found: list[float] = []
    images, labels = splits["train"]
    while len(found) < recipe.epochs and not (found and found[-1] >= top1):
        network.train()
        for rows in torch.randperm(len(images), device=device).split(recipe.global_batch_size):
            optimizer.zero_grad()
            loss_of(logits_of(images[rows]), labels[rows]).backward()
            optimizer.step()
        network.eval()
        with torch.inference_mode():
            batches = zip(*(part.split(_TEST_BATCH) for part in splits["test"]), strict=True)
            right = sum(int((logits_of(x).argmax(1) == y).sum()) for x, y in batches)
        found.append(100 * right / len(splits["test"][1]))
    return found


def _split(folder: pathlib.Path, name: str, device: str) -> tuple["torch.Tensor", "torch.Tensor"]:
    import torch

    images = torch.from_numpy(np.load(folder / f"{name}_images.npy")).permute(0, 3, 1, 2)
    labels = torch.from_numpy(np.load(folder / f"{name}_labels.npy").astype(np.int64))
    return images.to(device), labels.to(device)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    machine.end_with_parent(os.getppid(), folder=given["folder"])
    print(json.dumps(train(**given)))
