"""SavedModels that several files of tests look at."""

import pytest

from keras_alexnet.exporting import warmup
from keras_alexnet.exporting.formats import saved_model
from support.blank_pictures import blank_pictures  # noqa: F401
from support.exports import LABELS, trained


@pytest.fixture(scope="session", params=["uint8", "float32"])
def export(request, tmp_path_factory):
    """(network, folder of its SavedModel, dtype of the pixels it takes) of cifar_v1."""
    folder = tmp_path_factory.mktemp(request.param)
    network = trained(folder / "run", "cifar_v1", LABELS)
    saved_model.write(network, folder / "1", request.param)
    warmup.write(folder / "1", network, request.param)
    return network, folder / "1", request.param
