"""PyTorch's networks for inference: several ways to run them, and their ONNX files."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_alexnet.benchmarks.peers import torch_networks
from keras_alexnet.networks import variants
from keras_alexnet.utils import machine

if TYPE_CHECKING:
    import torch


def network(variant: str, weights: str | os.PathLike) -> "torch.nn.Module":
    """Builds a network for inference: float32 pixels 0-255 `[n, 3, H, W]` in, logits out.

    Args:
        variant: the network.
        weights: file of numpy with what `torch_networks.tensors_of` returned.
    """
    with np.load(weights) as tensors:
        spec, values = variants.get(variant), dict(tensors)
    # The network's number of classes is that of the weights.
    built = torch_networks.build(spec, num_classes=len(values[f"{spec.layers[-1].name}.bias"]))
    torch_networks.load(built, values)
    return built.eval()


def ways(variant: str, weights: str, threads: int) -> dict[str, tuple[Callable, Callable]]:
    """Returns name → (pixels `[n, H, W, 3]` to input, input to logits) of all ways to run it."""
    import torch

    torch.set_num_threads(threads)
    first = network(variant, weights)
    last: Any = network(variant, weights)
    last = last.to(memory_format=torch.channels_last)
    example = torch.zeros(1, 3, *[variants.get(variant).input_size] * 2)
    with torch.inference_mode():
        # PyTorch's own optimization for inference: oneDNN's layouts, fused ReLUs.
        traced = torch.jit.trace(first, example)
        optimized = torch.jit.optimize_for_inference(torch.jit.freeze(traced))
    found = {
        "channels first": (_pixels(torch.contiguous_format), _call(first)),
        "channels last": (_pixels(torch.channels_last), _call(last)),
        "optimized": (_pixels(torch.contiguous_format), _call(optimized)),
    }
    if machine.has_bfloat16():
        # Autocast converts float32 weights in each call; a copy in bfloat16 has converted them.
        half: Any = _in_bfloat16(network(variant, weights))
        half = half.to(memory_format=torch.channels_last)
        pixels = _pixels(torch.channels_last, torch.bfloat16)
        with torch.inference_mode():
            frozen = torch.jit.freeze(torch.jit.trace(half, example.to(torch.bfloat16)))
        found |= {
            "bfloat16 autocast, channels last": (
                _pixels(torch.channels_last),
                _call(last, autocast=True),
            ),
            "bfloat16 weights, channels last": (pixels, _call(half)),
            "bfloat16 weights, frozen": (pixels, _call(frozen)),
        }
    return found


def write_onnx(variant: str, weights: str | os.PathLike, path: str | os.PathLike) -> None:
    """Writes the network as PyTorch exports it, with the input `image` and the output `logits`."""
    import torch

    example = torch.zeros(1, 3, *[variants.get(variant).input_size] * 2)
    torch.onnx.export(
        network(variant, weights),
        (example,),
        path,
        input_names=["image"],
        output_names=["logits"],
        dynamic_axes={"image": {0: "N"}, "logits": {0: "N"}},
        dynamo=False,  # the new exporter needs another package
    )


def _in_bfloat16(module: "torch.nn.Module") -> "torch.nn.Module":
    """Converts a network, all but response normalization, which PyTorch has in float32 only."""
    import torch

    def to_float32(_: Any, inputs: tuple) -> tuple:
        return tuple(each.float() for each in inputs)

    def to_bfloat16(_: Any, inputs: tuple, outputs: "torch.Tensor") -> "torch.Tensor":
        return outputs.to(torch.bfloat16)

    for each in module.modules():
        if isinstance(each, torch.nn.LocalResponseNorm):
            each.register_forward_pre_hook(to_float32)
            each.register_forward_hook(to_bfloat16)
    return module.to(torch.bfloat16)


def _pixels(
    layout: "torch.memory_format", dtype: "torch.dtype | None" = None
) -> Callable[[np.ndarray], "torch.Tensor"]:
    import torch

    def prepared(pixels: np.ndarray) -> "torch.Tensor":
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(dtype or torch.float32)
        return images.contiguous(memory_format=layout)

    return prepared


def _call(module: "torch.nn.Module", autocast: bool = False) -> Callable[..., np.ndarray]:
    import torch

    def logits(images: "torch.Tensor") -> np.ndarray:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            return module(images).float().numpy()

    return logits
