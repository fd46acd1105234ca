"""torchvision's transforms and AlexNet, and `predict`, say the same of the same JPEGs."""

import io

import numpy as np
import pytest
from PIL import Image

from support.photographs import photographs
from support.torchvision_models import imported


@pytest.mark.slow
def test_the_same_classes_from_the_same_jpegs(tmp_path):
    imported("torchvision")
    from support import end_to_end

    files = []
    for number, (height, width) in enumerate([(375, 500), (500, 333), (240, 321), (600, 256)]):
        buffer = io.BytesIO()
        pixels = photographs(1, max(height, width), seed=number)[0][:height, :width]
        Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "JPEG", quality=90)
        files.append(buffer.getvalue())
    outcome = end_to_end.compared(files, tmp_path)
    assert (outcome.images, outcome.top5_same) == (4, 4)
    assert outcome.probabilities < 1e-4 < outcome.likeliest
