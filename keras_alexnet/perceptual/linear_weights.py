"""The linear weights of LPIPS 0.1 on AlexNet, which come with the package.

They are those of the file `lpips/weights/v0.1/alex.pth` (SHA-256 df73285e35b22355a2df87cdb6b70b34
3713b667eddbda73e1977e0c860835c0) of the package lpips 0.1.4, by Richard Zhang and others, under the
BSD-2-Clause license in `shipped/LICENSE.txt`. Only the form of the file is different.
"""

import functools
import hashlib
import pathlib

import numpy as np

from keras_alexnet.errors import UserError

FILE = pathlib.Path(__file__).parent / "shipped" / "lpips-0.1-alex.safetensors"
SHA256 = "cd58edad42e046cf6e286606b8c6f72fe9eca3bc832e55d2eb0d19148de6d7b4"


@functools.cache
def read() -> dict[str, np.ndarray]:
    """Returns a dict: layer → float32 `[channels]`, how much the layer's channels count.

    Raises:
        UserError: the file is missing, or is not the one that came with the package.

    Example:
        >>> {layer: len(weights) for layer, weights in read().items()}
        {'conv1': 64, 'conv2': 192, 'conv3': 384, 'conv4': 256, 'conv5': 256}
    """
    from safetensors.numpy import load

    try:
        contents = FILE.read_bytes()
    except OSError as error:
        raise UserError(
            f"{FILE} cannot be read: {error.strerror}. Install keras_alexnet again."
        ) from error
    found = hashlib.sha256(contents).hexdigest()
    if found != SHA256:
        raise UserError(
            f"{FILE} is not the file that came with the package: its SHA-256 should be {SHA256}. "
            f"Received: {found}. Install keras_alexnet again."
        )
    return dict(sorted(load(contents).items()))
