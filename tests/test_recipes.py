import dataclasses

import pytest

from keras_alexnet import recipes
from keras_alexnet.errors import UsageError
from keras_alexnet.schedules import Schedule
from keras_alexnet.variants import list_variants


@pytest.mark.parametrize(
    ("variant", "facts"),
    [
        ("cifar_v1", {"optimizer": "sgd", "learning_rate": 0.01, "momentum": 0.9, "flip": True}),
        ("cifar_v1", {"global_batch_size": 100, "epochs": 20}),
        ("cifar_v2", {"optimizer": "sgd", "learning_rate": 0.1, "momentum": 0.0, "flip": False}),
        ("cifar_v2", {"global_batch_size": 64, "epochs": 20, "crop": False}),
        ("cifar_v3", {"optimizer": "adam", "learning_rate": 0.001, "flip": True, "crop": False}),
        ("cifar_v3", {"global_batch_size": 128, "epochs": 20}),
        ("cifar_resized", {"global_batch_size": 100, "learning_rate": 0.01, "momentum": 0.9}),
    ],
)
def test_document_recipes_say_what_the_documents_say(variant, facts):
    recipe = dataclasses.asdict(recipes.get(variant, "document"))
    assert {name: recipe[name] for name in facts} == facts
    assert recipe["validation_fraction"] == 0 and recipe["keep"] == "last"
    assert recipe["weight_decay"] == 0 and recipe["colour_noise"] == "none"


@pytest.mark.parametrize("variant", list_variants())
def test_paper_recipe_is_section_5(variant):
    recipe = recipes.get(variant, "paper")
    assert (recipe.optimizer, recipe.global_batch_size, recipe.momentum) == ("sgd", 128, 0.9)
    assert (recipe.weight_decay, recipe.learning_rate, recipe.schedule) == (5e-4, 0.01, "plateau")
    assert (recipe.plateau_factor, recipe.plateau_drops, recipe.epochs) == (10, 3, 90)
    assert recipe.flip and recipe.crop and recipe.colour_noise == "paper"
    assert "default" in recipes.list_recipes(variant)


def test_override_replaces_one_field_and_none_leaves_it():
    recipe = recipes.get("cifar_v2", "document", epochs=3, learning_rate=None)
    assert (recipe.epochs, recipe.learning_rate) == (3, 0.1)


def test_unknown_recipe_names_the_nearest_and_all():
    with pytest.raises(UsageError, match="Did you mean 'document'.*default, paper, document"):
        recipes.get("cifar_v2", "documents")
    with pytest.raises(UsageError, match="Unknown recipe.*Known: default, paper"):
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


def test_warmup_of_one_cycle_is_refused():
    with pytest.raises(UsageError, match="one_cycle rises by itself. Received: warmup_epochs=2"):
        recipes.get("cifar_v2", "default", warmup_epochs=2.0)


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
