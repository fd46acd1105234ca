"""Flags and what they become: configs, defaults, switches, tuples."""

import argparse
import dataclasses
import inspect

import pytest

import keras_alexnet as ka
from keras_alexnet import convert as conversion
from keras_alexnet import figures as drawing
from keras_alexnet.benchmarks import catalog, local_layers, overhead
from keras_alexnet.cli import convert, evaluate, export, figures, flags, predict, train
from keras_alexnet.training.recipe import OVERRIDABLE

IN_PYTHON_ONLY = {"verbose"}  # commands always report


def _parsed(module, *arguments):
    parser = flags.Parser("program")
    module.add_flags(parser)
    return parser.parse_args(arguments)


def _config(config, module, *arguments):
    return flags.config_of(config, _parsed(module, *arguments))


def test_without_flags_the_configs_are_as_in_python():
    assert _config(ka.TrainConfig, train) == ka.TrainConfig()
    assert _config(ka.EvaluateConfig, evaluate, "--model=m") == ka.EvaluateConfig(model="m")
    given = _config(ka.ExportConfig, export, "--model=m", "--out=o")
    assert given == ka.ExportConfig(model="m", out="o")
    given = vars(_parsed(train))
    assert all(given[field.name] is None for field in OVERRIDABLE)


def test_flags_become_values_of_the_fields_types():
    typed = ["--variant", "cifar_v2", "--seed=3", "--dropout", "0.25", "--class_weights"]
    config = _config(ka.TrainConfig, train, *typed, "--views=2")
    assert (config.variant, config.seed, config.dropout, config.class_weights, config.views) == (
        *("cifar_v2", 3, 0.25, True, 2),
    )
    config = _config(
        ka.ExportConfig, export, "--model=m", "--out=o", "--views=1,10", "--no-latency"
    )
    assert (config.views, config.latency) == ((1, 10), False)


@pytest.mark.parametrize(
    ("typed", "value"), [([], None), (["--lrn"], True), (["--no-lrn"], False), (["--nolrn"], False)]
)
def test_switches(typed, value):
    assert _parsed(train, *typed).lrn is value


@pytest.mark.parametrize(
    ("typed", "value"), [("120, 130", (120.0, 130.0)), ("", ()), ("8", (8.0,)), ("8,", (8.0,))]
)
def test_tuples_are_typed_with_commas(typed, value):
    assert _parsed(train, f"--drop_epochs={typed}").drop_epochs == value


def test_images_may_stand_before_and_after_flags():
    parsed = _parsed(predict, "a.jpg", "--model=m", "b.jpg", "--top", "2", "c.jpg")
    assert (parsed.images, parsed.top) == (["a.jpg", "b.jpg", "c.jpg"], 2)


def test_new_fields_of_a_config_become_flags():
    @dataclasses.dataclass
    class Config:
        size: int = ka.TrainConfig.__dataclass_fields__["seed"].default
        note: str | None = dataclasses.field(
            default=None, metadata={"help": "100 % new.", "choices": None}
        )
        hidden: int = 0

    parser = argparse.ArgumentParser()
    flags.add_config_flags(parser, Config, {}, rest="all")
    assert vars(parser.parse_args(["--note=x"])) == {"note": "x"}
    assert "100 % new." in parser.format_help()


@pytest.mark.parametrize("figure", figures.FIGURES)
def test_figures_have_the_flags_and_defaults_of_their_functions(figure):
    taken = inspect.signature(getattr(drawing, figure)).parameters
    data = {field.name for field in dataclasses.fields(ka.DataSpec)}
    names = {"data" if name in data else name for name in figures.FIGURES[figure][1]}
    assert names | {"out"} == set(taken) - IN_PYTHON_ONLY
    needed = [f"--{name}=x" for name, each in taken.items() if each.default is each.empty]
    parsed = vars(_parsed(figures, figure, *needed))
    for name, parameter in taken.items():
        if parameter.default is not parameter.empty and name not in {"data", *IN_PYTHON_ONLY}:
            assert parsed[name] == parameter.default


def test_predictions_have_flags_for_all_that_they_take():
    taken = inspect.signature(ka.predict).parameters
    parsed = vars(_parsed(predict, "--model=m", "a.jpg"))
    assert set(predict.OPTIONS) == set(list(taken)[2:]) - IN_PYTHON_ONLY
    assert {name: parsed[name] for name in predict.OPTIONS} == {
        name: taken[name].default for name in predict.OPTIONS
    }


def test_names_known_without_tensorflow_are_those_known_with_it():
    assert convert.SOURCES == tuple(conversion.SOURCES)
    measures = {"overhead": overhead.MEASURES, "layers": local_layers.MEASURES}
    for name, known in measures.items():
        assert catalog.BENCHMARKS[name].choices["only"] == tuple(known)
