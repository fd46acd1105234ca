import pytest

from support.blank_pictures import blank_pictures  # noqa: F401


@pytest.fixture(autouse=True)
def quick_pictures(unsaved_figures):
    """Runs save no pictures, but for those of fixtures of modules, such as `ended`."""
