"""What the package lpips computes for fixed weights and images, and its golden file.

    PYTHONPATH=.:tests python -m support.lpips_reference

writes the golden file, with which tests compare where lpips is not installed.
"""

import json
import pathlib

import numpy as np

import keras_alexnet as ka
from keras_alexnet.networks import variants
from support.torchvision_models import imported

GOLDEN = pathlib.Path(__file__).parents[1] / "perceptual" / "lpips_golden.json"
LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5")
SIZES = ((31, 31), (40, 67), (95, 64))  # the smallest, and some whose maps have remainders


def convolutions():
    """Returns a dict: layer → He weights `[height, width, channels, filters]`, and biases."""
    generator, found, channels = np.random.default_rng(0), {}, 3
    for layer in variants.get("alexnet_owt").features:
        if layer.name in LAYERS:
            shape = (layer.kernel, layer.kernel, channels, layer.filters)
            kernel = generator.normal(0, np.sqrt(2 / np.prod(shape[:3])), shape)
            found[layer.name] = [kernel.astype("f4"), generator.normal(0, 0.1, shape[3:])]
            channels = layer.filters
    return found


def model():
    """Returns the network of these weights, without its top."""
    network = ka.AlexNet(include_top=False, weights=None, variant="alexnet_owt")
    for name, weights in convolutions().items():
        network.get_layer(name).set_weights(weights)
    return network


def images(height, width):
    """Returns two batches of two images, float32 in 0–255, from whole numbers alone."""
    image, row, column, color = np.indices([2, height, width, 3])
    first = (row * 5 * (image + 1) + column * column + color * 46) % 256
    second = (first + (row * column + 31 * color) % (40 * (image + 1))) % 256
    return first.astype("f4"), second.astype("f4")


def by_lpips(first, second):
    """Returns value `[batch]`, map `[batch, h, w]`, and the gradients of both images.

    The gradients are of the sum of the values, for pixels from -1 to 1.
    """
    lpips = imported("lpips")
    import torch

    network = lpips.LPIPS(pretrained=True, pnet_rand=True, net="alex", verbose=False)
    modules = [each for each in network.net.modules() if isinstance(each, torch.nn.Conv2d)]
    for module, (kernel, bias) in zip(modules, convolutions().values(), strict=True):
        module.weight.data = torch.tensor(kernel.transpose(3, 2, 0, 1))
        module.bias.data = torch.tensor(bias.astype("f4"))
    tensors = [
        torch.tensor(each / 127.5 - 1).permute(0, 3, 1, 2).requires_grad_()
        for each in (first, second)
    ]
    values = network(*tensors)
    values.sum().backward()
    network.spatial = True
    with torch.no_grad():
        maps = network(*tensors)
    gradients = [each.grad.permute(0, 2, 3, 1).numpy() for each in tensors]
    return values.detach().numpy().ravel(), maps.numpy()[:, 0], *gradients


def few(array):
    """Returns about a hundred numbers of an array, spread over it."""
    flat = np.asarray(array).ravel()
    return flat[:: max(1, flat.size // 100)]


if __name__ == "__main__":
    rows = {
        f"{height}x{width}": [
            [float(f"{number:.8g}") for number in few(each)]
            for each in by_lpips(*images(height, width))
        ]
        for height, width in SIZES
    }
    text = json.dumps(rows).replace("], ", "],\n")
    GOLDEN.write_text(text + "\n", encoding="utf-8")
