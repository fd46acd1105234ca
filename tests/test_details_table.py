import pathlib

import details_table

from keras_alexnet import variants

README = (pathlib.Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_every_cell_is_what_the_rows_and_recipes_hold():
    shown = README.partition("<!-- details -->")[2].partition("<!-- /details -->")[0]
    assert shown.strip() == details_table.text()


def test_every_network_has_its_column():
    columns = (*details_table.IMAGENET, *details_table.CIFAR)
    assert sorted(name for _, name, _ in columns) == sorted(variants.list_variants())
