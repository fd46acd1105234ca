import pathlib

from keras_alexnet.networks import variants
from support import details_table

README = (pathlib.Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_every_cell_is_what_the_rows_and_recipes_hold():
    shown = README.partition("<!-- details -->")[2].partition("<!-- /details -->")[0]
    assert shown.strip() == details_table.text()


def test_every_network_has_its_column():
    columns = (*details_table.IMAGENET, *details_table.CIFAR)
    assert sorted(name for _, name, _ in columns) == sorted(variants.list_variants())
