"""What predictions are made with: a run and its exports, and a server that serves them."""

import pytest

from support import predict_places


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    return predict_places.made(tmp_path_factory.getbasetemp() / "places")


@pytest.fixture(scope="module")
def no_proxy():
    with pytest.MonkeyPatch.context() as patch:
        for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
            patch.setenv(name, "127.0.0.1")
        yield


@pytest.fixture
def server(loaded):
    """The server `loaded` of the file of tests; its switches are as they were after each test."""
    before = dict(vars(loaded))
    loaded.requests = []
    yield loaded
    vars(loaded).update(before)
