"""SHA-256 checks of weights files."""

import os
import pathlib
import re

from keras_alexnet import files
from keras_alexnet.errors import UsageError, UserError

# As PyTorch's hub names its files: alexnet-owt-7be5be79.pth. All digits would rather be a date.
_IN_NAME = re.compile(r"-(?!\d+\.)([0-9a-f]{8,64})\.(?:pth|pt)$")


def checked(path: str | os.PathLike, sha256: str | None = None) -> str:
    """Returns a file's SHA-256 in hexadecimal.

    Args:
        path: the file.
        sha256: what it must be, or its first 8 digits or more. Without it, the digits that the
            names of PyTorch's published files end in.

    Raises:
        UsageError: `sha256` is no such number.
        UserError: the file has another.
    """
    named = _IN_NAME.search(pathlib.Path(path).name)
    source = "as its name says"
    if sha256 is not None:
        if not re.fullmatch(r"[0-9a-fA-F]{8,64}", sha256):
            raise UsageError(
                "sha256 must be 64 hexadecimal digits, or the first of them, at least 8. "
                f"Received: {sha256!r}."
            )
        wanted, source = sha256.lower(), "as asked for"
    else:
        wanted = named[1] if named else ""
    found = files.sha256_of(path)
    if not found.startswith(wanted):
        raise UserError(
            f"{path} is not the file that it should be: its SHA-256 should begin with {wanted}, "
            f"{source}. Received: {found}. Download it again; a file of your own needs another "
            "name, or its own sha256."
        )
    return found
