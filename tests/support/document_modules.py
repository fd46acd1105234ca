"""The PyTorch networks of torchvision and the documents, with the original module names.

Each is written from its source, not from this package's networks.
"""

import numpy as np
import torch
from torch import nn


def _conv(channels, filters, kernel, stride=1, padding=0):
    return [nn.Conv2d(channels, filters, kernel, stride, padding), nn.ReLU(inplace=True)]


def _head(inputs, units, classes, rate=0.5, flatten=False):
    return nn.Sequential(
        nn.Dropout(rate),
        *([nn.Flatten(start_dim=1)] if flatten else []),
        *(nn.Linear(inputs, units), nn.ReLU(inplace=True)),
        nn.Dropout(rate),
        *(nn.Linear(units, units), nn.ReLU(inplace=True)),
        nn.Linear(units, classes),
    )


class Blocks(nn.Module):
    """`features`, optionally `avgpool`, and a head with the name in its document."""

    def __init__(self, features, head, *, avgpool=None, head_name="classifier"):
        super().__init__()
        self.features = nn.Sequential(*features)
        self.avgpool = avgpool or nn.Identity()
        self.add_module(head_name, head)
        self._head_name = head_name

    def forward(self, images):
        maps = self.avgpool(self.features(images))
        return getattr(self, self._head_name)(maps.flatten(1))


def torchvision(classes=1000, flatten=False):
    features = [
        *[*_conv(3, 64, 11, 4, 2), nn.MaxPool2d(3, 2)],
        *[*_conv(64, 192, 5, 1, 2), nn.MaxPool2d(3, 2)],
        *_conv(192, 384, 3, 1, 1),
        *_conv(384, 256, 3, 1, 1),
        *[*_conv(256, 256, 3, 1, 1), nn.MaxPool2d(3, 2)],
    ]
    head = _head(256 * 6 * 6, 4096, classes, flatten=flatten)
    return Blocks(features, head, avgpool=nn.AdaptiveAvgPool2d((6, 6)))


def document_000(classes=10):
    features = [
        *[*_conv(3, 64, 3, 2, 1), nn.MaxPool2d(2)],
        *[*_conv(64, 192, 3, 1, 1), nn.MaxPool2d(2)],
        *_conv(192, 384, 3, 1, 1),
        *_conv(384, 256, 3, 1, 1),
        *[*_conv(256, 256, 3, 1, 1), nn.MaxPool2d(2)],
    ]
    return Blocks(features, _head(256 * 2 * 2, 4096, classes))


class Document001(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.conv1 = nn.Sequential(*_conv(3, 64, 5))
        self.max_pool1 = nn.MaxPool2d(3, 2)
        self.conv2 = nn.Sequential(*_conv(64, 64, 5))
        self.max_pool2 = nn.MaxPool2d(3, 2)
        self.fc1 = nn.Sequential(nn.Linear(1024, 384), nn.ReLU(True))
        self.fc2 = nn.Sequential(nn.Linear(384, 192), nn.ReLU(True))
        self.fc3 = nn.Linear(192, classes)

    def forward(self, images):
        maps = self.max_pool2(self.conv2(self.max_pool1(self.conv1(images))))
        return self.fc3(self.fc2(self.fc1(maps.flatten(1))))


def document_002(classes=10):
    features = [
        *[*_conv(3, 64, 3, 1, 2), nn.MaxPool2d(2)],
        *[*_conv(64, 192, 3, 1, 2), nn.MaxPool2d(2)],
        *_conv(192, 384, 3, 1, 1),
        *_conv(384, 256, 3, 1, 1),
        *[*_conv(256, 256, 3, 1, 1), nn.MaxPool2d(3, 2)],
    ]
    return Blocks(features, _head(4096, 2048, classes, rate=0.6), head_name="fc_layers")


def document_003(classes=1000):
    features = [
        *[*_conv(3, 48, 11, 4, 2), nn.MaxPool2d(3, 2)],
        *[*_conv(48, 128, 5, 1, 2), nn.MaxPool2d(3, 2)],
        *_conv(128, 192, 3, 1, 1),
        *_conv(192, 192, 3, 1, 1),
        *[*_conv(192, 128, 3, 1, 1), nn.MaxPool2d(3, 2)],
    ]
    return Blocks(features, _head(128 * 6 * 6, 2048, classes))


def document_004(classes=1000):
    return torchvision(classes, flatten=True)


_IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
_HALF = ([0.5] * 3, [0.5] * 3)
# source: variant, module, input size, mean and standard deviation of pixels in 0–1
NETWORKS = {
    "torchvision": ("alexnet_owt", torchvision, 224, _IMAGENET),
    "document 000": ("cifar_v1", document_000, 32, _HALF),
    "document 001": ("cifar_v2", Document001, 32, _HALF),
    "document 002": ("cifar_v3", document_002, 32, _HALF),
    "document 003": ("alexnet_half", document_003, 224, _IMAGENET),
    "document 004": ("alexnet_owt", document_004, 224, _IMAGENET),
}


def randomized(network, seed=0):
    """Gives a network He weights and non-zero biases, and puts it into evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        std = (2 / parameter[0].numel()) ** 0.5 if parameter.ndim > 1 else 0.1
        nn.init.normal_(parameter, std=std, generator=generator)
    return network.eval()


def standardized(pixels, statistics):
    """Returns the source's inputs, `[N, C, H, W]`, for pixels 0–255, `[N, H, W, C]`."""
    mean, std = (torch.tensor(values)[:, None, None] for values in statistics)
    return (torch.tensor(pixels).permute(0, 3, 1, 2) / 255 - mean) / std


def layer_outputs(network, inputs):
    """Returns the outputs of all ReLU and pooling modules in order, then the logits."""
    outputs, kinds = [], (nn.ReLU, nn.MaxPool2d)

    def keep(module, _, output):
        array = output.numpy().copy()
        outputs.append(np.moveaxis(array, 1, -1) if array.ndim == 4 else array)

    last = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
    hooks = [
        module.register_forward_hook(keep)
        for module in network.modules()
        if isinstance(module, kinds) or module is last
    ]
    with torch.no_grad():
        network(inputs)
    for hook in hooks:
        hook.remove()
    return outputs
