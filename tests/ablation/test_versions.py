"""What the versions of a study change, and the messages about what cannot be."""

import pytest

from keras_alexnet import AblateConfig, TrainConfig
from keras_alexnet.ablation.paper import CLAIMS
from keras_alexnet.ablation.runs import flags_of
from keras_alexnet.ablation.versions import removable_parts, versions_of
from keras_alexnet.cli import ablate, flags, train
from keras_alexnet.cli.main import main
from keras_alexnet.errors import UsageError
from keras_alexnet.training.resume import new_run


def _versions(*, variant="cifar_v1", settings=None, overrides=None, **given):
    run = TrainConfig(variant=variant, overrides=overrides or {}, **(settings or {}))
    return versions_of(AblateConfig(workdir="w", train=run, **given))


@pytest.mark.parametrize(
    ("variant", "settings", "parts"),
    [
        ("alexnet", {"recipe": "paper"}, "lrn dropout overlap flip crop color"),
        ("cifar_v1", {}, "dropout flip crop"),
        ("cuda_convnet_18pct", {}, "lrn overlap flip crop"),
        ("cuda_convnet_18pct", {"lrn": False, "overlapping_pooling": False}, "flip crop"),
        ("cifar_v3", {"dropout": 0.0, "overrides": {"augment": ()}}, "overlap"),
        ("alexnet_2012", {"recipe": "document"}, "lrn dropout overlap flip crop color"),
    ],
)
def test_parts_are_those_of_network_and_recipe(variant, settings, parts):
    given = {"overrides": {"augment": ("flip", "crop")}} if "recipe" not in settings else {}
    assert list(removable_parts(TrainConfig(variant=variant, **{**given, **settings}))) == (
        parts.split()
    )
    assert set(parts.split()) <= set(CLAIMS)


def test_versions_change_what_their_names_say():
    noisy = ("crop", "flip(until=9)", "color_noise(2012,until=68)")
    whole, *others = _versions(
        overrides={"augment": noisy},
        without=("dropout", "color", "flip"),
        activation="tanh",
        versions={"slow": {"learning_rate": 0.001, "precision": "mixed_bfloat16"}},
    )
    assert (whole.name, whole.changes) == ("whole", {})
    assert {version.name: version.changes for version in others} == {
        "without dropout": {"dropout": 0.0},
        "without color": {"augment": noisy[:2]},
        "without flip": {"augment": (noisy[0], noisy[2])},
        "tanh": {"activation": "tanh"},
        "slow": {"learning_rate": 0.001, "precision": "mixed_bfloat16"},
    }
    assert [bool(version.claim) for version in others] == [True, True, True, True, False]
    base = TrainConfig(variant="cifar_v1", overrides={"epochs": 2})
    slow = others[-1].applied_to(base, seed=3)
    assert (slow.precision, slow.seed) == ("mixed_bfloat16", 3)
    assert slow.overrides == {"epochs": 2, "learning_rate": 0.001}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "nothing to compare: .* can leave out: dropout, flip, crop"),
        (
            {"without": ("lrn", "flip", "overlap")},
            "cifar_v1 with recipe default has no lrn, overlap. .* leave out: dropout, flip, crop",
        ),
        (
            {"without": ("color",)},
            r"no color.*pass --augment 'crop,flip,color_noise\(paper\)'",
        ),
        ({"versions": {"whole": {"seed": 1}}}, "'whole' is the network as it is"),
        ({"versions": {"a b": {"epochs": 1}, "A_b": {"epochs": 2}}}, "'a b' and 'A_b'"),
        ({"versions": {"a": {"epoch": 1}}}, "setting of version a 'epoch'.*Did you mean 'epochs'"),
        ({"versions": {"a": {"seed": 1}}}, "Unknown setting of version a 'seed'"),
        ({"versions": {"a": {"dataset": "shapes"}}}, "Unknown setting of version a 'dataset'"),
        ({"versions": {"a": {"epochs": 0}}}, "Version a: epochs must be"),
        ({"versions": {"a": {"lrn": True}}}, "Version a: cifar_v1 has no response"),
        ({"versions": {"a": {"initial_weights": "x"}}}, "Version a: Unknown initial_weights"),
        ({"versions": {"a": {"schedule": "drops"}}}, "Version a: schedule=drops needs"),
        ({"settings": {"lrn": True}, "activation": "tanh"}, "cifar_v1 has no response"),
        (
            {"versions": {"slow": {"learning_rate": 0.1}}, "learning_rates": (0.1, 0.2)},
            "Version slow has a learning_rate of its own",
        ),
        ({"activation": "relu"}, "Version relu is the whole network once more"),
        ({"versions": {"a": {"epochs": 20}}}, "Version a is the whole network .*: epochs=20"),
        ({"versions": {"a": {"overlapping_pooling": False}}}, "Version a is the whole network"),
        (
            {"activation": "tanh", "best_rate_by": "training_error"},
            "best_rate_by chooses among learning_rates",
        ),
        (
            {"settings": {"validation_images": 0}, "learning_rates": (0.1, 0.2)},
            "learning_rates needs validation images",
        ),
    ],
)
def test_wrong_versions(given, message):
    overrides = {"augment": ("crop", "flip")}
    with pytest.raises(UsageError, match=message):
        _versions(overrides=overrides, **given)


@pytest.mark.parametrize(
    ("overrides", "changes", "left"),
    [
        ({"optimizer": "sgd", "momentum": 0.8}, {"optimizer": "adam"}, set()),
        ({"optimizer": "muon", "muon_rate": 0.02}, {"optimizer": "sgd"}, set()),
        ({"schedule": "one_cycle", "one_cycle_rise": 0.1}, {"schedule": "constant"}, set()),
        ({"min_steps": 7}, {"epochs": 3}, set()),
        ({"optimizer": "adam", "momentum": 0.8}, {"optimizer": "sgd"}, {"momentum"}),
    ],
)
def test_a_version_leaves_out_what_has_no_effect_in_it(overrides, changes, left):
    config = AblateConfig(
        train=TrainConfig(variant="cifar_v1", overrides=overrides), versions={"a": changes}
    )
    whole, version = versions_of(config)
    [given] = overrides.keys() - changes.keys()
    for each in (whole, version):
        new_run(each.applied_to(config.train))
    assert (given in version.applied_to(config.train).overrides) == (given in left)
    assert (given in whole.applied_to(config.train).overrides) == (given not in left)


@pytest.mark.parametrize(
    ("overrides", "changes", "message"),
    [
        ({"drop_factor": 3.0}, {"epochs": 3}, "drop_factor has no effect unless schedule is drops"),
        ({}, {"drop_factor": 3.0}, "Version a: drop_factor has no effect unless"),
        ({"epochs": 3}, {"min_steps": 5}, "Version a: min_steps has no effect if"),
        ({}, {"step_backs": 9}, "Version a: step_backs has no effect unless"),
    ],
)
def test_what_has_no_effect_is_refused_before_the_first_run(overrides, changes, message):
    train = TrainConfig(variant="cifar_v1", overrides=overrides)
    with pytest.raises(UsageError, match=message):
        versions_of(AblateConfig(train=train, versions={"a": changes}))


def test_rates_need_no_validation_images_if_training_errors_are_compared():
    found = _versions(
        settings={"validation_images": 0}, learning_rates=(0.1,), best_rate_by="training_error"
    )
    assert [version.name for version in found] == ["whole"]


def _parsed(module, *arguments):
    parser = flags.Parser("program")
    module.add_flags(parser)
    return parser.parse_args(arguments)


def test_versions_are_typed_as_flags_of_train():
    typed = "tanh: --activation tanh; no crop :--augment=flip --no-lrn --epochs 3 ;"
    assert _parsed(ablate, "--workdir=w", "--versions", typed).versions == {
        "tanh": {"activation": "tanh"},
        "no crop": {"augment": ("flip",), "lrn": False, "epochs": 3},
    }


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("tanh", "must be versions such as"),
        (": --epochs 3", "must be versions such as"),
        ("a:", "must be versions such as"),
        ("a: --epochs 3; a: --epochs 4", "'a' twice"),
        ("a: --epochs many", "for version 'a': argument --epochs: must be a whole number"),
        ("a: --seed 3", "for version 'a': unknown arguments: --seed"),
        ("a: --augment 'crop", "for version 'a': No closing quotation"),
        ("a: --learning_rat 3", "Did you mean --learning_rate?\n"),
        ("a: --learning_rate x", "Received: 'x'.\n"),
    ],
)
def test_wrong_versions_end_with_code_2_and_a_message(typed, message, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["ablate", "--workdir=w", "--versions", typed])
    assert caught.value.code == 2 and message in capsys.readouterr().err


@pytest.mark.parametrize(
    "config",
    [
        TrainConfig(),
        TrainConfig(
            variant="cifar_v2",
            dataset="image_folder",
            data_dir="a folder/of photos",
            seed=3,
            lrn=False,
            overlapping_pooling=True,
            dropout=0.0,
            deterministic=False,
            class_weights=True,
            initial_weights="normal(0.01)",
            pixel_std=1e-05,
            overrides={
                "augment": ("crop", "color_noise(paper)"),
                "learning_rate": 0.003,
                "schedule": "drops",
                "drop_epochs": (3.0, 4.5),
            },
        ),
        TrainConfig(overrides={"augment": (), "label_smoothing": 0.0}),
    ],
)
def test_flags_of_a_run_give_its_settings(config):
    parsed = _parsed(train, *flags_of(config))
    assert config == flags.config_of(TrainConfig, parsed, overrides=train.overrides_of(parsed))
