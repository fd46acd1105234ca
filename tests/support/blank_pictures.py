"""Runs with blank pictures: drawing takes a third of a short run, and tests/figures does it."""

import pytest
from PIL import Image

from keras_alexnet.figures import drawing
from keras_alexnet.utils import files


@pytest.fixture(autouse=True, scope="module")
def blank_pictures():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "save", _blank)
        yield


def _blank(figure, path):
    with files.atomic_write(path) as temporary:
        Image.new("RGB", (8, 8)).save(temporary, format="png")
