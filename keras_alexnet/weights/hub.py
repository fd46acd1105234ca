"""Models on the Hugging Face Hub, by addresses such as hf://user/name."""

import os
import pathlib
import re
from collections.abc import Sequence
from typing import Any

from absl import logging

from keras_alexnet.errors import UsageError, UserError, first_line, shown
from keras_alexnet.utils.text import printable

SCHEME = "hf://"

_ADDRESS = re.compile(r"hf://([\w-][\w.-]*/[\w-][\w.-]*)(?:@([\w][\w./-]*))?")

_LIBRARY = "keras_alexnet"  # what the hub counts downloads by


def is_address(model: object) -> bool:
    """Returns whether a model is on the hub.

    Example:
        >>> is_address("hf://user/name"), is_address("runs/mine")
        (True, False)
    """
    return isinstance(model, str) and model.startswith(SCHEME)


def download(address: str) -> pathlib.Path:
    """Downloads a repository of the hub, unless its cache has it, and returns the folder.

    Only files are copied: nothing in them is run. They are read as those of any other folder.

    Args:
        address: hf://user/name, or hf://user/name@revision for a branch, tag or commit.

    Raises:
        UsageError: it is no such address.
        UserError: huggingface_hub is not installed, or the repository cannot be downloaded.
    """
    repository, revision = parsed(address)
    hub = _library("download from")
    try:
        folder = hub.snapshot_download(repo_id=repository, revision=revision, library_name=_LIBRARY)
    except Exception as error:  # of many kinds: no network, no such repository, not allowed.
        raise UserError(
            f"{address} cannot be downloaded: {printable(first_line(error), 300)}. Check the name "
            "and the network; a private repository needs hf auth login first."
        ) from error
    logging.info("%s is in %s.", address, folder)
    return pathlib.Path(folder)


def upload(
    folder: str | os.PathLike,
    address: str,
    *,
    private: bool | None = None,
    patterns: Sequence[str] | None = None,
) -> None:
    """Uploads the files of a folder to a repository of the hub, which is made if there is none.

    Args:
        folder: the folder.
        address: hf://user/name; with @branch, to that branch.
        private: whether a new repository is private; by default as the user's settings say.
        patterns: which files, such as "1/*"; by default all.

    Raises:
        UsageError, UserError: as in `download`.
    """
    repository, revision = parsed(address)
    hub = _library("upload to")
    try:
        api = hub.HfApi(library_name=_LIBRARY)
        api.create_repo(repository, private=private, exist_ok=True)
        api.upload_folder(
            repo_id=repository,
            folder_path=os.fspath(folder),
            revision=revision,
            allow_patterns=None if patterns is None else list(patterns),
            commit_message="Upload a network of keras_alexnet",
        )
    except Exception as error:  # of many kinds: no network, not allowed, too large.
        raise UserError(
            f"Uploading to {address} failed: {printable(first_line(error), 300)}. Check the name "
            "and the network, and log in with hf auth login."
        ) from error
    logging.info("Uploaded to %s.", address)


def parsed(address: str) -> tuple[str, str | None]:
    """Returns the repository and the revision of an address.

    Raises:
        UsageError: it is no address of a repository.

    Example:
        >>> parsed("hf://user/name@v1")
        ('user/name', 'v1')
    """
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise UsageError(
            f"A model on the hub is {SCHEME}user/name, or {SCHEME}user/name@revision. Received: "
            f"{shown(address)}."
        )
    return found[1], found[2]


def _library(purpose: str) -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise UserError(
            f"To {purpose} the Hugging Face Hub, huggingface_hub is needed, which is not "
            'installed. Run pip install -e ".[hub]".'
        ) from error
    return huggingface_hub
