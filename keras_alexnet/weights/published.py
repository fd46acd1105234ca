"""Published weights: downloaded once, checked, and kept in the cache with a faster file of them."""

import functools
import os
import pathlib
import threading
import urllib.parse
from typing import Any

import numpy as np
from absl import logging

from keras_alexnet.data.archives import CACHE_VARIABLE, cache_folder
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.networks.build import build
from keras_alexnet.networks.spec import NetworkSpec, PublishedWeights
from keras_alexnet.utils import files, finite, provenance
from keras_alexnet.utils.download import download, shown
from keras_alexnet.utils.imagenet_classes import imagenet_labels
from keras_alexnet.utils.text import printable
from keras_alexnet.weights import pytorch, shipped_file
from keras_alexnet.weights.layout import fitting_tensors, weighted_layers

URL_VARIABLE = "KERAS_ALEXNET_WEIGHTS_URL"

_FOLDER = "weights"  # in the cache
_FORMAT = 1  # of the converted file and its card
_IN_THIS_PROCESS = threading.Lock()


def obtain(spec: NetworkSpec) -> pathlib.Path:
    """Returns the file of a network's published weights, in the form of those of the package.

    It is made once, from the published file: that in the cache folder, which may have been put
    there by hand, or that of PyTorch's own cache, or one that is downloaded. Processes that need
    it at the same time wait for the first.

    Args:
        spec: a network with published weights.

    Returns:
        The `.safetensors` file; its card is beside it.

    Raises:
        UserError: the published file cannot be downloaded, or is a different file; the message
            says where to put it. Or the cache folder cannot be written to.
    """
    published = _published(spec)
    file = folder() / f"{spec.name}-{published.name}{shipped_file.WEIGHTS}"
    if _is_whole(file, published):
        return file
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with _IN_THIS_PROCESS, _alone(file.parent):
            if not _is_whole(file, published):  # another process may have made it meanwhile
                files.remove_half_written(file.parent)
                _convert(_published_file(published), file, spec)
    except OSError as error:
        raise UserError(
            f"The weights {published.name} of {spec.name} cannot be kept in {file.parent}: "
            f"{error.strerror or error}. Make it a folder that can be written to, with room for "
            f"{2 * published.bytes:,} bytes, or set {CACHE_VARIABLE} to one."
        ) from error
    return file


def folder() -> pathlib.Path:
    """Returns the folder of published weights in the cache."""
    return cache_folder() / _FOLDER


def url_of(published: PublishedWeights) -> str:
    """Returns the address to download weights from: the published one, or that of a mirror.

    `$KERAS_ALEXNET_WEIGHTS_URL` is the address of the mirror's file, if it ends as the file's name
    does, or that of the folder with the file.

    Raises:
        UsageError: the variable is not an address of http or https.
    """
    mirror = os.environ.get(URL_VARIABLE)
    if not mirror:
        return published.url
    try:
        parts = urllib.parse.urlsplit(mirror)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # for invalid hosts and ports
        known = False
    if not known:
        raise UsageError(
            f"The environment variable {URL_VARIABLE} must be the http or https address of a "
            f"folder with {published.file}, or of a file. Received: {shown(mirror)}."
        )
    if pathlib.PurePosixPath(parts.path).suffix == pathlib.PurePosixPath(published.file).suffix:
        return mirror
    return parts._replace(path=f"{parts.path.rstrip('/')}/{published.file}").geturl()


def _published(spec: NetworkSpec) -> PublishedWeights:
    assert spec.published is not None
    return spec.published


def _alone(place: pathlib.Path) -> Any:
    """Waits until no other process makes weights in a folder, and returns the lock to hold."""
    try:
        with files.locked(place, "another process holds it"):
            pass
    except UserError:
        logging.info("Waiting for another process, which downloads or converts to %s.", place)
    return files.locked(place)


def _is_whole(file: pathlib.Path, published: PublishedWeights) -> bool:
    """Returns whether a converted file is there and is what its card says, of these weights."""
    card = file.with_suffix(shipped_file.CARD)
    if not file.is_file() or not card.is_file():
        return False
    try:
        found = shipped_file.read_card(file)
        of = found.get("published", {})
        right = of.get("sha256") == published.sha256 and of.get("format") == _FORMAT
        if right and _sha256_of(file, *_version(file)) == found["sha256"]:
            return True
    except UserError as error:
        logging.warning("%s", error)
    logging.warning("%s is not what this version wrote, and is made again.", file)
    return False


def _version(file: pathlib.Path) -> tuple[int, ...]:
    status = file.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


@functools.lru_cache(maxsize=8)  # once for each version of a file
def _sha256_of(file: pathlib.Path, *_version: int) -> str:
    return files.sha256_of(file)


def _published_file(published: PublishedWeights) -> pathlib.Path:
    """Returns the published file, after checking it, and downloading it if it is not there."""
    own = folder() / published.file
    if own.exists():
        problem = _problem(own, published)
        if problem is None:
            return own
        raise UserError(f"{own} is not the published file: {problem} {_by_hand(own, published)}")
    of_torch = _torch_cache() / published.file
    if of_torch.is_file():
        problem = _problem(of_torch, published)
        if problem is None:
            logging.info("%s is used, which PyTorch has downloaded.", of_torch)
            return of_torch
        logging.warning("%s is not used: %s", of_torch, problem)
    url = url_of(published)
    try:
        download(url, own, size=published.bytes, sha256=published.sha256)
    except UserError as error:
        raise UserError(
            f"The weights {published.name} of {published.publisher} could not be downloaded. "
            f"{error} {_by_hand(own, published)}"
        ) from error
    return own


def _by_hand(place: pathlib.Path, published: PublishedWeights) -> str:
    return (
        f"Put the file {published.url} ({published.bytes:,} bytes) at {place}. Or set "
        f"{URL_VARIABLE} to the address of a mirror, or https_proxy to that of a proxy."
    )


def _problem(file: pathlib.Path, published: PublishedWeights) -> str | None:
    """Returns what is wrong with a file that should be the published one, or None."""
    try:
        with files.open_regular(file) as opened:
            size = os.fstat(opened.fileno()).st_size
    except OSError as error:
        return f"it cannot be read ({error.strerror})."
    if size != published.bytes:
        return f"it has {size:,} bytes, not {published.bytes:,}."
    found = files.sha256_of(file)
    if found != published.sha256:
        return f"its SHA-256 is {found}, not {published.sha256}."
    return None


def _torch_cache() -> pathlib.Path:
    """Returns the folder into which PyTorch's own loaders download."""
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    home = os.environ.get("TORCH_HOME") or pathlib.Path(cache) / "torch"
    return pathlib.Path(home).expanduser() / "hub" / "checkpoints"


def _convert(source: pathlib.Path, file: pathlib.Path, spec: NetworkSpec) -> None:
    """Writes published weights in the form of those that come with the package."""
    published = _published(spec)
    tensors = pytorch.read_tensors(source)
    layers = weighted_layers(build(spec.name), spec)
    found = fitting_tensors(
        {name: layer.shapes for name, layer in layers.items()},
        pytorch.tensor_names(spec, tensors),
        tensors,
        title=f"The weights of {printable(source)} and {spec.name}",
    )
    converted = {}
    for name, (kernel, bias) in found.items():
        converted[f"{name}/kernel"] = layers[name].to_keras(kernel)
        converted[f"{name}/bias"] = bias
    finite.check_weights(source, converted.items())
    shipped_file.write(file, converted, _card(spec, converted))
    logging.info("The weights %s of %s are in %s.", published.name, spec.name, file)


def _card(spec: NetworkSpec, tensors: dict[str, np.ndarray]) -> dict[str, Any]:
    published = _published(spec)
    facts = ("file", "url", "bytes", "sha256", "publisher")
    return {
        **shipped_file.of_network(spec),
        "name": published.name,
        "stored_as": "float32",
        "parameters": sum(tensor.size for tensor in tensors.values()),
        "labels": [number for number, _ in imagenet_labels()],
        "accuracy": {"1": {"top1": published.top1, "top5": published.top5}},
        "dataset": published.dataset,
        "test_images": published.test_images,
        "license": published.license,
        "published": {"format": _FORMAT, **{name: getattr(published, name) for name in facts}},
        **provenance.provenance(),
    }
