"""What the benchmarks compare with: other programs, which need not be installed."""

import importlib.metadata
import importlib.util
from collections.abc import Iterable

# The name of a peer, which is that of its package → what tables call it.
TITLES = {
    "torch": "PyTorch",
    "torchvision": "torchvision",
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
}


def divided(peers: Iterable[str]) -> tuple[list[str], list[str]]:
    """Returns those of the peers that are installed, and those that are absent.

    Example:
        >>> divided(["torch", "onnxruntime"])  # doctest: +SKIP
        (['torch'], ['onnxruntime'])
    """
    installed = {name: importlib.util.find_spec(name) is not None for name in peers}
    return (
        [name for name, found in installed.items() if found],
        [name for name, found in installed.items() if not found],
    )


def versions(peers: Iterable[str]) -> dict[str, str]:
    """Returns the versions of those of the peers that are installed.

    Example:
        >>> versions(["no_such_package"])
        {}
    """
    return {name: importlib.metadata.version(name) for name in divided(peers)[0]}


def absence(absent: Iterable[str]) -> list[str]:
    """Returns the sentence that names absent peers, or none.

    Example:
        >>> absence(["openvino"])
        ['Not installed, and so not measured: OpenVINO.']
    """
    titles = ", ".join(TITLES[name] for name in absent)
    return [f"Not installed, and so not measured: {titles}."] if titles else []
