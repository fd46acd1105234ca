"""Recipes say what their sources say, and refuse what cannot be."""

import dataclasses
import json

import pytest

from keras_alexnet import build
from keras_alexnet.errors import UsageError
from keras_alexnet.networks.variants import list_variants
from keras_alexnet.training import layer_factors, recipe, recipes
from keras_alexnet.training.config import TrainConfig
from keras_alexnet.training.recipe import Recipe
from keras_alexnet.training.resume import new_run
from keras_alexnet.training.schedule import Schedule
from keras_alexnet.training.unused import unused

WITHOUT_MUON = [name for name in list_variants() if recipes.get(name).optimizer != "muon"]

CROP_FLIP = ("crop", "flip")


@pytest.mark.parametrize(
    ("variant", "facts"),
    [
        (
            "cifar_v1",
            {"optimizer": "sgd", "learning_rate": 0.01, "momentum": 0.9, "augment": ("flip",)},
        ),
        ("cifar_v1", {"global_batch_size": 100, "epochs": 20}),
        ("cifar_v2", {"optimizer": "sgd", "learning_rate": 0.1, "momentum": 0.0, "augment": ()}),
        ("cifar_v2", {"global_batch_size": 64, "epochs": 20, "keep": "last"}),
        ("cifar_v3", {"optimizer": "adam", "learning_rate": 0.001, "augment": ("flip",)}),
        ("cifar_v3", {"global_batch_size": 128, "epochs": 100}),
        ("cifar_resized", {"global_batch_size": 100, "learning_rate": 0.01, "momentum": 0.9}),
    ],
)
def test_document_recipes_say_what_the_documents_say(variant, facts):
    recipe = dataclasses.asdict(recipes.get(variant, "document"))
    assert {name: recipe[name] for name in facts} == facts
    assert recipe["validation_fraction"] == 0 and recipe["keep"] == "last"
    assert recipe["weight_decay"] == 0


# By layer: rate and decay of its kernel, as the layer-parameter files have them.
_CONV_004 = {"conv1": (0.001, 0.004), "conv2": (0.001, 0.004), "conv3": (0.001, 0.004)}
_CONV_0 = {"conv1": (0.001, 0.0), "conv2": (0.001, 0.0)}
_LOCAL = {"local3": (0.001, 0.004), "local4": (0.001, 0.004)}


@pytest.mark.parametrize(
    ("variant", "layers", "epochs", "drops"),
    [
        ("11pct", {**_CONV_0, **_LOCAL, "logits": (0.001, 0.01)}, 520, (500, 510)),
        ("13pct", {**_CONV_0, **_LOCAL, "logits": (0.001, 0.004)}, 160, (140, 150)),
        ("18pct", {**_CONV_004, "logits": (0.001, 1.0)}, 140, (120, 130)),
        ("80sec", {**_CONV_004, "fc64": (0.001, 0.03), "logits": (0.001, 0.03)}, 10, (8,)),
    ],
)
def test_cuda_convnet_documents_are_the_layer_files(variant, layers, epochs, drops):
    name = f"cuda_convnet_{variant}"
    recipe, model = recipes.get(name, "document"), build(name)
    kernels = [layer for layer in layers for _ in ("kernel", "bias")]
    assert [v.path.split("/")[0] for v in model.trainable_variables] == kernels
    found = zip(
        layer_factors.rates(model, recipe), layer_factors.decays(model, recipe), strict=True
    )
    found = [(recipe.learning_rate * rate, decay) for rate, decay in found]
    assert dict(zip(layers, found[::2], strict=True)) == layers
    assert found[1::2] == [(0.002, 0.0)] * len(layers)
    assert (recipe.epochs, recipe.drop_epochs, recipe.drop_factor) == (epochs, drops, 10)
    assert (recipe.schedule, recipe.momentum, recipe.global_batch_size) == ("drops", 0.9, 128)
    assert (recipe.input_size, recipe.views, recipe.augment) == (24, 10, ("crop", "flip"))
    assert (recipe.validation_fraction, recipe.keep) == (0, "last")
    default = recipes.get(name)
    assert (default.input_size, default.views, default.drop_epochs) == (None, 1, ())


@pytest.mark.parametrize(
    ("variant", "facts"),
    [
        ("alexnet_2012", {"global_batch_size": 128, "learning_rate": 0.01, "epochs": 93}),
        ("alexnet_2012", {"schedule": "drops", "drop_epochs": (23, 51, 78), "drop_factor": 10}),
        ("alexnet_2012", {"drops_divide": "kernels", "layer_drops": {"conv1": (68,)}}),
        ("alexnet_2012", {"augment": (*CROP_FLIP, "color_noise(2012,until=68)")}),
        ("alexnet_2012", {"freeze_until": "conv2", "freeze_from_epoch": 72, "views": 10}),
        ("alexnet_caffe", {"global_batch_size": 256, "learning_rate": 0.01, "epochs": 90}),
        ("alexnet_caffe", {"augment": CROP_FLIP, "schedule": "drops", "drop_factor": 10}),
    ],
)
def test_documents_of_the_imagenet_programs(variant, facts):
    recipe = dataclasses.asdict(recipes.get(variant, "document"))
    assert {name: recipe[name] for name in facts} == facts
    assert (recipe["bias_rate"], recipe["weight_decay"], recipe["momentum"]) == (2, 5e-4, 0.9)
    assert recipe["keep"] == "last"


def test_rates_of_the_2012_program_are_those_of_its_log():
    recipe = recipes.get("alexnet_2012", "document")
    schedule = Schedule(recipe, recipe.epochs, steps_per_epoch=1, has_validation=False)

    def rate(epoch, layer, weight):
        own = {"kernel": 1.0, "bias": recipe.bias_rate}[weight]
        return schedule.learning_rate(epoch) * schedule.factor(epoch, layer, weight) * own

    kernels = [(0, 0.01), (22, 0.01), (23, 1e-3), (51, 1e-4), (77, 1e-4), (78, 1e-5), (92, 1e-5)]
    for epoch, expected in kernels:
        assert rate(epoch, "conv2", "kernel") == pytest.approx(expected)
        assert rate(epoch, "conv2", "bias") == pytest.approx(0.02)
    assert rate(67, "conv1", "kernel") == pytest.approx(1e-4)
    assert rate(68, "conv1", "kernel") == pytest.approx(1e-5)
    assert rate(68, "conv1", "bias") == pytest.approx(0.02)


def test_drops_of_cuda_convnet_spare_biases_only_where_the_file_names_the_weights():
    spared = {
        name: recipes.get(name, "document").drops_divide
        for name in list_variants()
        if name.startswith("cuda_convnet")
    }
    assert spared == {
        "cuda_convnet_11pct": "kernels",
        **dict.fromkeys(("cuda_convnet_13pct", "cuda_convnet_18pct", "cuda_convnet_80sec"), "all"),
    }


def test_caffe_divides_every_100_000_of_450_000_iterations_on_ilsvrc_2012():
    steps_per_epoch = -(-1_281_167 // 256)
    recipe = recipes.get("alexnet_caffe", "document")
    schedule = Schedule(recipe, recipe.epochs * steps_per_epoch, steps_per_epoch, False)
    assert 450_000 <= schedule.total_steps < 450_500
    for drop in range(1, 5):
        before, after = (schedule.learning_rate(drop * 100_000 + step) for step in (-1, 0))
        assert before == pytest.approx(0.1 ** (drop - 1) * 0.01)
        assert after == pytest.approx(before / 10)


@pytest.mark.parametrize("variant", list_variants())
def test_fine_tuning_is_slower_below_the_head(variant):
    recipe = recipes.get(variant, "fine_tune")
    assert recipe.layer_rates == {"logits": 10} and recipe.learning_rate <= 0.001
    assert recipe.epochs == 10 and recipe.freeze_until == ""


@pytest.mark.parametrize("variant", list_variants())
def test_paper_recipe_is_section_5(variant):
    recipe = recipes.get(variant, "paper")
    assert (recipe.optimizer, recipe.global_batch_size, recipe.momentum) == ("sgd", 128, 0.9)
    assert (recipe.weight_decay, recipe.learning_rate, recipe.schedule) == (5e-4, 0.01, "plateau")
    assert (recipe.plateau_factor, recipe.plateau_drops, recipe.epochs) == (10, 3, 90)
    assert recipe.augment == (*CROP_FLIP, "color_noise(paper)")
    assert "default" in recipes.list_recipes(variant)


def test_override_replaces_one_field_and_none_leaves_it():
    recipe = recipes.get("cifar_v2", "document", epochs=3, learning_rate=None)
    assert (recipe.epochs, recipe.learning_rate) == (3, 0.1)


@pytest.mark.parametrize(
    "given",
    [
        ("crop", "color_noise(2012, until=3)"),
        ["crop", "color_noise(2012", "until=3)"],  # as a flag that is split at every comma
        "crop,color_noise(2012, until=3)",
    ],
)
def test_augmentations_are_whole_however_they_are_given(given):
    recipe = recipes.get("cifar_v2", augment=given)
    assert recipe.augment == ("crop", "color_noise(2012,until=3)")
    assert Recipe(**json.loads(json.dumps(recipe.as_json()))) == recipe


def test_unknown_recipe_names_the_nearest_and_all():
    with pytest.raises(
        UsageError, match="Did you mean 'document'.*default, paper, fast, document, fine_tune"
    ):
        recipes.get("cifar_v2", "documents")
    with pytest.raises(UsageError, match="Unknown recipe.*Known: default, paper, fine_tune"):
        recipes.get("alexnet", "document")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("global_batch_size", 0),
        ("learning_rate", 0.0),
        ("momentum", 1.0),
        ("weight_decay", -1e-4),
        ("label_smoothing", 1.0),
        ("clip_norm", -1.0),
        ("validation_fraction", 1.0),
        ("learning_rate", float("nan")),
        ("optimizer", "adamw"),
    ],
)
def test_values_out_of_range_are_refused(field, value):
    with pytest.raises(UsageError, match=str(value)):
        recipes.get("cifar_v1", "default", **{field: value})


def _schedule(total_steps=100, has_validation=True, **fields):
    recipe = recipes.get("cifar_v2", "default", **{"learning_rate": 1.0, **fields})
    return Schedule(recipe, total_steps, steps_per_epoch=10, has_validation=has_validation)


def test_one_cycle_rises_for_a_fifth_and_falls_to_zero():
    schedule = _schedule(schedule="one_cycle")
    rates = [schedule.learning_rate(step) for step in range(100)]
    assert max(rates) == rates[20] == 1.0
    assert all(earlier < later for earlier, later in zip(rates[:20], rates[1:21], strict=True))
    assert all(earlier > later for earlier, later in zip(rates[20:], rates[21:], strict=False))
    assert 0 < rates[0] < 0.06 and 0 < rates[-1] < 0.02
    assert schedule.learning_rate(100) == 0.0


@pytest.mark.parametrize("schedule", ["constant", "plateau", "one_cycle"])
def test_rate_grows_linearly_with_the_batch_where_asked(schedule):
    plain = _schedule(schedule=schedule, global_batch_size=64)
    fields = {"schedule": schedule, "lr_reference_batch_size": 64}
    same, eightfold = (_schedule(global_batch_size=size, **fields) for size in (64, 512))
    for step in (0, 19, 20, 99):
        assert same.learning_rate(step) == plain.learning_rate(step)
        assert eightfold.learning_rate(step) == pytest.approx(8 * plain.learning_rate(step))


def test_warmup_rises_to_the_scaled_rate_and_stays():
    fields = {"lr_reference_batch_size": 64, "global_batch_size": 128}
    schedule = _schedule(schedule="plateau", warmup_epochs=1.5, plateau_patience=1, **fields)
    rates = [schedule.learning_rate(step) for step in range(20)]
    rises = [later - earlier for earlier, later in zip(rates[:15], rates[1:16], strict=True)]
    assert rises == pytest.approx([2 / 16] * 15) and rates[0] == pytest.approx(2 / 16)
    assert rates[15:] == [2.0] * 5
    schedule.epoch_ended(0, 0.5)
    assert schedule.epoch_ended(1, 0.5) == "drop"
    assert schedule.learning_rate(20) == pytest.approx(0.2)


@pytest.mark.parametrize("schedule", ["constant", "plateau"])
def test_warmup_steps_are_the_least_of_a_rise(schedule):
    for epochs, rise in ((0.0, 30), (2.0, 30), (4.0, 40)):
        found = _schedule(schedule=schedule, warmup_steps=30, warmup_epochs=epochs)
        assert found.learning_rate(rise - 1) == pytest.approx(rise / (rise + 1))
        assert found.learning_rate(rise) == found.peak == 1.0


@pytest.mark.parametrize(
    ("total", "rise", "peak"), [(1000, 200, 1.0), (500, 150, 1.0), (200, 100, 2 / 3)]
)
def test_a_short_one_cycle_rises_no_more_steeply_but_less_high(total, rise, peak):
    schedule = _schedule(total, schedule="one_cycle", warmup_steps=150)
    assert schedule.rise == rise and schedule.peak == pytest.approx(peak)
    rates = [schedule.learning_rate(step) for step in range(total + 1)]
    assert max(rates) <= schedule.peak and rates[-1] == 0
    assert all(later - earlier <= 1 / 150 for earlier, later in zip(rates, rates[1:], strict=False))


@pytest.mark.parametrize("total", [100, 1000, 10**6])
def test_a_one_cycle_without_a_share_begins_alike_however_long_it_is(total):
    schedule = _schedule(total, schedule="one_cycle", one_cycle_rise=0.0, warmup_steps=20)
    assert [schedule.learning_rate(step) for step in range(20)] == pytest.approx(
        [(step + 1) / 21 for step in range(20)]
    )
    assert schedule.learning_rate(20) == schedule.peak == 1.0
    assert schedule.learning_rate(total) == 0


@pytest.mark.parametrize("variant", WITHOUT_MUON)
def test_a_default_run_of_a_large_network_rises_for_so_many_steps(variant):
    """With a fifth of 60 epochs, alexnet_owt was at chance after three epochs of shapes."""
    default = recipes.get(variant)
    schedule = Schedule(default, 60 * 71, steps_per_epoch=71, has_validation=True)
    assert schedule.rise == default.warmup_steps <= 100


def test_warmup_of_one_cycle_is_refused():
    with pytest.raises(UsageError, match="its own warm-up. Received: warmup_epochs=2"):
        recipes.get("cifar_v2", "default", warmup_epochs=2.0)


def test_drops_divide_after_their_epochs_whatever_the_state():
    schedule = _schedule(schedule="drops", drop_epochs=(2, 3.5), drop_factor=4.0)
    rates = [schedule.learning_rate(step) for step in (0, 19, 20, 34, 35, 99)]
    assert rates == [1, 1, 1 / 4, 1 / 4, 1 / 16, 1 / 16]
    schedule = _schedule(schedule="drops", drop_epochs=(2,), warmup_epochs=1.0)
    assert schedule.learning_rate(0) == pytest.approx(1 / 11) and schedule.learning_rate(10) == 1


_CONSTANT, _PLATEAU = {"schedule": "constant"}, {"schedule": "plateau"}
_CYCLE, _DROPS = {"schedule": "one_cycle"}, {"schedule": "drops", "drop_epochs": (3,)}
_SGD, _MUON, _ADAM = ({"optimizer": name} for name in ("sgd", "muon", "adam"))
_ONLY_SOMETIMES = {  # field: a value, where it has an effect, where it has none
    "one_cycle_rise": (0.1, [_CYCLE], [_CONSTANT, _DROPS, _PLATEAU]),
    "drop_factor": (3.0, [_DROPS], [_CONSTANT, _CYCLE, _PLATEAU]),
    "drops_divide": ("kernels", [_DROPS, _PLATEAU], [_CONSTANT, _CYCLE]),
    "plateau_patience": (3, [_PLATEAU], [_CONSTANT, _CYCLE, _DROPS]),
    "plateau_factor": (3.0, [_PLATEAU], [_CONSTANT, _CYCLE, _DROPS]),
    "plateau_drops": (2, [_PLATEAU], [_CONSTANT, _CYCLE, _DROPS]),
    "muon_rate": (0.02, [_MUON], [_SGD, _ADAM]),
    "momentum": (0.8, [_SGD, _MUON], [_ADAM]),
    "min_steps": (3, [{}], [{"epochs": 3}]),
}


@pytest.mark.parametrize("field", _ONLY_SOMETIMES)
def test_what_would_have_no_effect_is_refused_in_a_new_run(field):
    value, with_effect, without = _ONLY_SOMETIMES[field]
    for others in with_effect:
        new_run(TrainConfig(variant="cifar_v2", overrides={**others, field: value}))
    for others in without:
        config = TrainConfig(variant="cifar_v2", overrides={**others, field: value})
        with pytest.raises(UsageError, match=f"{field} has no effect .* Received: {field}="):
            new_run(config)


def test_drops_of_single_layers_use_the_factor_whatever_the_schedule():
    both = Recipe("mine", "", layer_drops={"conv1": (3,)}, drop_factor=3.0, drops_divide="kernels")
    assert not unused(both, ["drop_factor", "drops_divide"])
    assert list(unused(dataclasses.replace(both, layer_drops={}), ["drop_factor"])) == [
        "drop_factor"
    ]


def test_no_least_number_of_steps_agrees_with_epochs():
    new_run(TrainConfig(variant="cifar_v2", overrides={"epochs": 3, "min_steps": 0}))


def test_a_share_to_hold_out_has_no_effect_beside_a_number():
    for given in ({"validation_images": 5}, {"overrides": {"validation_fraction": 0.1}}):
        new_run(TrainConfig(variant="cifar_v2", **given))
    both = TrainConfig(
        variant="cifar_v2", validation_images=5, overrides={"validation_fraction": 0.1}
    )
    with pytest.raises(UsageError, match="validation_fraction has no effect if validation_im"):
        new_run(both)


@pytest.mark.parametrize(("field", "value"), [("step_backs", 7), ("step_back_factor", 3.0)])
def test_step_backs_have_no_effect_in_a_run_that_stops(field, value):
    new_run(TrainConfig(variant="cifar_v2", on_nonfinite="step_back", **{field: value}))
    with pytest.raises(UsageError, match=f"{field} has no effect unless on_nonfinite is"):
        new_run(TrainConfig(variant="cifar_v2", **{field: value}))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"schedule": "one_cycle", "drop_epochs": (3,)}, "schedule drops.*drop_epochs=3 with sch"),
        ({"schedule": "plateau", "drop_epochs": (3,)}, "--drop_epochs= to override"),
        ({"schedule": "drops"}, "such as 120,130. Received: drop_epochs=none"),
        ({"schedule": "drops", "drop_epochs": (3, 3)}, "increasing numbers.*drop_epochs=3,3"),
        ({"schedule": "drops", "drop_epochs": (0, 3)}, "a number above 0 and of at most"),
        ({"schedule": "drops", "drop_epochs": (float("nan"),)}, "drop_epochs must be a number"),
        ({"schedule": "drops", "drop_epochs": (3, 1e300)}, "at most 1,000,000. Received: 1e.300"),
        ({"schedule": "drops", "drop_epochs": (3,), "drop_factor": 1.0}, "drop_factor must be"),
        ({"bias_rate": -1.0}, "bias_rate must be"),
        ({"augment": ("crop", "flop")}, "Unknown augmentation 'flop'. Did you mean 'flip'"),
        ({"augment": ("color_noise(2013)",)}, "must be paper or 2012. Received: color_noise.2013"),
        ({"layer_decay": {"conv1": 0}}, "Unknown recipe field"),
        ({"freeze_until": "conv2"}, "Unknown recipe field"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(fields, message):
    with pytest.raises(UsageError, match=message):
        recipes.get("cifar_v2", "default", **fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"layer_rates": {"conv1": float("nan")}}, "layer_rates of conv1 must be a number of at l"),
        ({"layer_decay": {"fc3": -1.0}}, "layer_decay of fc3 must be a number of at least 0"),
        ({"layer_drops": {"conv1": (-1.0, 5.0)}}, "layer_drops of conv1 must be a number above 0"),
        ({"views": 99}, "Unknown views 99"),
        ({"input_size": 10**9}, "input_size must be a whole number of at least 1 and of at most"),
    ],
)
def test_fields_without_flags_have_ranges_too(fields, message):
    with pytest.raises(UsageError, match=message):
        Recipe("mine", note="", **fields)


def test_plateau_divides_after_the_patience_and_at_most_so_often():
    schedule = _schedule(schedule="plateau", plateau_patience=2, plateau_drops=2)
    advice = [schedule.epoch_ended(epoch, top1) for epoch, top1 in enumerate([0.5] * 8)]
    assert advice == ["best", None, "drop", None, "drop", None, None, None]
    assert schedule.learning_rate(0) == pytest.approx(0.01)


def test_plateau_state_survives_a_stop():
    stopped, resumed = (_schedule(schedule="plateau", plateau_patience=2) for _ in range(2))
    for epoch in range(2):
        stopped.epoch_ended(epoch, 0.5)
    resumed.restore(stopped.state())
    assert resumed.epoch_ended(2, 0.5) == "drop"


def test_early_stopping_counts_from_the_best_epoch():
    schedule = _schedule(early_stopping_patience=3)
    advice = [schedule.epoch_ended(epoch, top1) for epoch, top1 in enumerate([0.1, 0.4, 0.3, 0.4])]
    assert advice == ["best", "best", None, None]
    assert schedule.epoch_ended(4, 0.2) == "stop"


@pytest.mark.parametrize(
    "fields", [{"schedule": "plateau"}, {"early_stopping_patience": 2}, {"keep": "best"}]
)
def test_waiting_for_validation_without_any_is_refused(fields):
    with pytest.raises(UsageError, match="--validation_images"):
        _schedule(has_validation=False, **{"keep": "last", **fields})


@pytest.mark.parametrize("variant", list_variants())
@pytest.mark.parametrize("rule", ["sgd", "adam", "muon"])
def test_another_optimizer_has_a_rate_of_its_own(variant, rule):
    own = recipes.get(variant)
    other = recipes.get(variant, optimizer=rule)
    if rule == own.optimizer:
        assert other == own
        return
    assert (other.learning_rate, other.nesterov) == (recipes.USUAL_RATES[rule], False)
    assert not (own.optimizer == "muon" and other.layer_decay)
    given = recipes.get(variant, optimizer=rule, learning_rate=0.3, momentum=0.5)
    assert (given.learning_rate, given.momentum) == (0.3, 0.5)
    assert other.epochs == own.epochs


def test_names_of_timm_and_torchvision_are_translated():
    fields = {field.name for field in recipe.OVERRIDABLE}
    assert {said.split(",")[0] for said in recipes._SAID_ELSEWHERE.values()} <= fields
    with pytest.raises(UsageError, match=r'Here it is augment, "randaugment\(2,9\)"'):
        recipes.get("cifar_v2", rand_augment=True)
