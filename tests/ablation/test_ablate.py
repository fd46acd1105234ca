"""A study: the order of its runs, what is done again and what is not, and its table."""

import csv
import importlib
import json
import signal

import pytest

import keras_alexnet as ka
from keras_alexnet.ablation import picture
from keras_alexnet.ablation.child import CommandFailed
from keras_alexnet.cli.main import main
from keras_alexnet.errors import Interrupted, UsageError, UserError
from keras_alexnet.utils import signals
from support.fake_runs import FakeRuns
from support.machines import AVX2, X86, set_machine
from support.pictures import read_png

ablate = importlib.import_module("keras_alexnet.ablation.ablate")
FOLDERS = {"whole": "whole", "without flip": "without_flip", "tanh": "tanh"}


def _accuracy(name):
    """Without flips the seeds lose 1, 2 and 3 points; tanh loses 10."""
    seed = int(name[-1])
    lost = {"whole": 0, "without_flip": 1 + seed, "tanh": 10}[name.split("-")[0]]
    return 0.8 + 0.01 * seed - 0.01 * lost


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Runs a study with fake runs in a folder, without pictures; returns what `ablate` returns."""
    for module, name in ((picture, "draw"), (ablate, "curves")):
        monkeypatch.setattr(module, name, lambda *_, **__: None)

    def run(runs, *, settings=None, overrides=None, **given):
        train = ka.TrainConfig(
            variant="cifar_v2", dataset="shapes", overrides=overrides or {}, **(settings or {})
        )
        asked = {"without": ("flip",), "activation": "tanh", "seeds": 2, "train": train}
        config = ka.AblateConfig(**{"workdir": tmp_path / "study", **asked, **given})
        return ka.ablate(config, run_command=runs)

    return run


def _trained(runs):
    return [name for command, name, _ in runs.commands if command == "train"]


def test_the_first_seed_of_all_versions_comes_first_and_each_run_is_evaluated(study, tmp_path):
    runs = FakeRuns(_accuracy)
    found = study(runs)
    names = [f"{folder}-seed{seed}" for seed in (0, 1) for folder in FOLDERS.values()]
    assert runs.commands == [
        (command, name, False) for name in names for command in ("train", "evaluate")
    ]
    assert set(runs.flags["tanh-seed1"]) == {
        *("--variant=cifar_v2", "--dataset=shapes", "--seed=1", "--activation=tanh", "--views=1"),
        *("--precision=float32", f"--workdir={tmp_path}/study/runs/tanh-seed1"),
    }
    assert [each["run"] for each in found["runs"]] == names
    trained, evaluated = found["runs"][1]["commands"]
    assert trained.startswith("keras-alexnet train --dataset=shapes")
    assert evaluated.startswith("keras-alexnet evaluate") and "--views=10" in evaluated
    assert not list((tmp_path / "study").glob("runs/*/checkpoints"))
    assert found["failed"] == {} and found["commit"]


def test_the_table_has_means_deviations_and_paired_differences(study, tmp_path):
    found = study(FakeRuns(_accuracy), seeds=3)
    whole, flip, tanh, views = found["table"]
    assert [row["version"] for row in found["table"]] == [*FOLDERS, "one view in place of 10"]
    assert whole["top1_error"] == pytest.approx(19)  # 20, 19, 18
    assert whole["top1_error_deviation"] == pytest.approx(1)
    assert whole["top1_difference"] is None
    assert flip["top1_error"] == pytest.approx(21)  # 21, 21, 21
    assert flip["top1_error_deviation"] == pytest.approx(0, abs=1e-9)
    assert flip["top1_difference"] == pytest.approx(2)  # 1, 2, 3
    assert flip["top1_difference_error"] == pytest.approx(1 / 3**0.5)
    assert tanh["top1_difference"] == pytest.approx(10)
    assert tanh["top1_10_views_error"] == pytest.approx(27)
    assert views["top1_error"] == pytest.approx(19)
    assert views["top1_difference"] == pytest.approx(2)
    assert views["top1_10_views_error"] is None
    # From 50 % to 20 %, an error of 25 % is after 25 of 30 points of the second epoch.
    assert whole["epochs_to_training_error"] == pytest.approx(1 + 25 / 30)
    assert "6 times" in tanh["paper"] and "39.0" in views["paper"]
    folder = tmp_path / "study"
    text = (folder / "table.md").read_text()
    assert (
        "| without flip | 3 | 21.00 ± 0.00 | +2.00 ± 0.58 | 19.00 ± 0.00 | +2.00 ± 0.58 |" in text
    )
    assert "(section 4.1)" in text and "| 1.8 ± 0.0 |" in text
    with open(folder / "table.csv", newline="") as file:
        assert [row["version"] for row in csv.DictReader(file)][:3] == list(FOLDERS)
    assert json.loads((folder / "ablation.json").read_text()) == found


def test_pictures_are_drawn_of_the_first_run_on(tmp_path):
    def accuracy(name):
        return 0.5 if name.startswith("whole") else CommandFailed(2, "why", "log")

    train = ka.TrainConfig(variant="cifar_v2")
    config = ka.AblateConfig(workdir=tmp_path, train=train, without=("flip",), seeds=1)
    with pytest.raises(UserError, match="Run without_flip-seed0"):
        ka.ablate(config, run_command=FakeRuns(accuracy))
    for name in ("differences.png", "training_error.png"):
        assert read_png(tmp_path / name).size


def test_one_seed_has_no_deviations(study, tmp_path):
    [whole, flip, *_] = study(FakeRuns(_accuracy), seeds=1)["table"]
    assert whole["top1_error_deviation"] is None and flip["top1_difference_error"] is None
    assert flip["top1_difference"] == pytest.approx(1)
    assert "| without flip | 1 | 21.00 | +1.00 |" in (tmp_path / "study" / "table.md").read_text()


def test_a_training_error_that_is_not_reached(study, tmp_path):
    def epochs(name):
        return [0.1, 0.2] if name in ("tanh-seed0", "whole-seed0", "whole-seed1") else [0.9]

    whole, _, tanh, _ = study(FakeRuns(_accuracy, epochs))["table"]
    assert (whole["epochs_to_training_error"], whole["seeds_that_reached_it"]) == (None, 0)
    assert (tanh["epochs_to_training_error"], tanh["seeds_that_reached_it"]) == (1, 1)
    text = (tmp_path / "study" / "table.md").read_text()
    assert "| not in 2 |" in text and "| 1.0 (1 of 2 seeds) |" in text


def test_runs_that_learn_nothing_are_named(study, tmp_path):
    study(FakeRuns(lambda name: 0.1 if name == "tanh-seed1" else 0.5))
    said = "stayed at chance for long, or to the end, in: tanh (1 of 2 seeds)."
    assert said in (tmp_path / "study" / "table.md").read_text()


def test_a_folder_with_a_run_is_not_one_of_a_study(study, tmp_path):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "config.json").write_text("{}")
    with pytest.raises(UserError, match="already holds a run of train"):
        study(FakeRuns(_accuracy))


def test_what_is_done_is_not_done_again_and_more_is_added(study):
    runs = FakeRuns(_accuracy)
    first = study(runs)
    done = len(runs.commands)
    assert study(runs)["table"] == first["table"] and len(runs.commands) == done
    found = study(runs, seeds=3)
    assert _trained(runs)[6:] == [f"{folder}-seed2" for folder in FOLDERS.values()]
    assert [row["seeds"] for row in found["table"]] == [3] * 4


def test_a_study_keeps_the_precision_that_auto_chose(study, monkeypatch, tmp_path):
    runs = FakeRuns(lambda name: 0.5)
    set_machine(monkeypatch, tmp_path, X86)
    study(runs, seeds=1)
    set_machine(monkeypatch, tmp_path, AVX2)
    found = study(runs, seeds=2)
    assert found["settings"]["train"]["precision"] == "mixed_bfloat16"
    assert "--precision=mixed_bfloat16" in runs.flags["tanh-seed1"]
    assert "--precision=float32" in found["runs"][0]["commands"][1]  # the evaluation


def test_more_versions_are_added(study):
    runs = FakeRuns(lambda name: 0.5)
    study(runs, seeds=1)
    study(runs, seeds=1, versions={"slow": {"learning_rate": 0.001}})
    assert _trained(runs)[3:] == ["slow-seed0"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"overrides": {"epochs": 9}}, "epochs: was None, is now 9"),
        ({"settings": {"precision": "mixed_bfloat16"}}, "precision: was float32, is now mixed"),
        ({"activation": None}, "version tanh: is missing now"),
        ({"seeds": 1}, "seeds: was 2, is now 1"),
        ({"learning_rates": (0.1,)}, r"learning_rates: was \[\], is now \[0.1\]"),
    ],
)
def test_a_different_study_in_the_same_folder_is_refused(study, given, message):
    runs = FakeRuns(_accuracy)
    study(runs)
    done = len(runs.commands)
    with pytest.raises(UserError, match=f"started with different settings.*({message})"):
        study(runs, **given)
    assert len(runs.commands) == done


def test_the_best_learning_rate_of_each_version_goes_on(study):
    best = {"whole": "0.03", "without_flip": "0.01", "tanh": "0.01"}

    def epochs(name):
        folder, rate, _ = name.split("-")
        return [0.5, 0.9 if rate == f"rate{best[folder]}" else 0.6]

    runs = FakeRuns(_accuracy, epochs)
    found = study(runs, learning_rates=(0.01, 0.03))
    assert _trained(runs) == [
        *(f"{folder}-rate{rate}-seed0" for rate in (0.01, 0.03) for folder in best),
        *(f"{folder}-rate{rate}-seed1" for folder, rate in best.items()),
    ]
    assert [row["learning_rate"] for row in found["table"]] == [0.03, 0.01, 0.01, 0.03]
    assert len(found["runs"]) == 9 and [row["seeds"] for row in found["table"]] == [2] * 4


def test_the_best_learning_rate_by_training_error_is_the_fastest(study):
    def epochs(name):
        return {"0.1": [0.7, 0.8], "0.2": [0.8, 0.75], "0.3": [0.5, 0.99]}[name[10:13]]

    runs = FakeRuns(lambda name: 0.5, epochs)
    rates = {"learning_rates": (0.1, 0.2, 0.3), "without": (), "activation": None}
    study(runs, best_rate_by="training_error", settings={"validation_images": 0}, **rates)
    assert _trained(runs)[3:] == ["whole-rate0.2-seed1"]


def test_a_run_that_fails_in_training_lets_the_others_go_on(study, tmp_path):
    def accuracy(name):
        return CommandFailed(1, "NaN", "log") if name == "tanh-seed0" else _accuracy(name)

    runs = FakeRuns(accuracy)
    with pytest.raises(UserError, match="1 of 6 runs failed; the table.*tanh-seed0: NaN"):
        study(runs)
    assert _trained(runs) == [f"{name}-seed{seed}" for seed in (0, 1) for name in FOLDERS.values()]
    found = json.loads((tmp_path / "study" / "ablation.json").read_text())
    assert list(found["failed"]) == ["tanh-seed0"] and len(found["table"]) == 4
    assert [row["seeds"] for row in found["table"]] == [2, 2, 1, 2]
    again = FakeRuns(_accuracy)
    study(again)
    assert again.commands[0] == ("train", "tanh-seed0", True)
    assert _trained(again) == ["tanh-seed0"]


def test_a_version_without_a_best_rate_is_named_with_its_runs(study, tmp_path):
    def accuracy(name):
        return CommandFailed(1, "NaN", "log") if name.startswith("tanh") else _accuracy(name)

    runs = FakeRuns(accuracy)
    rates = {"learning_rates": (0.1, 0.2), "best_rate_by": "training_error"}
    with pytest.raises(UserError, match="tanh-seed1: none of its learning rates was tried to"):
        study(runs, **rates)
    assert "tanh-seed1" not in _trained(runs) and "whole-rate0.1-seed1" in _trained(runs)


def test_a_study_in_which_all_runs_fail_speaks_of_no_table(study):
    with pytest.raises(UserError, match="6 of 6 runs failed. whole-seed0"):
        study(FakeRuns(lambda name: CommandFailed(1, "NaN", "log")))


def test_the_rate_of_muon_goes_with_the_learning_rates_of_a_study(study):
    runs = FakeRuns(_accuracy)
    study(runs, learning_rates=(0.1,), seeds=1, without=(), best_rate_by="training_error")
    assert {"--learning_rate=0.1", "--muon_rate=0.06"} <= set(runs.flags["whole-rate0.1-seed0"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": "cifar10-jpg"}, "Version a: weights must be"),
        ({"weights": "nothere.keras"}, "Version a: There are no weights at nothere.keras"),
        ({"weights": "cifar_v3"}, "Version a: The weights cifar_v3 are for that network"),
        ({"input_size": 8}, "Version a: cifar_v2 needs images of at least"),
    ],
)
def test_a_version_that_cannot_be_trained_is_refused_before_the_first_run(study, changes, message):
    runs = FakeRuns(_accuracy)
    with pytest.raises(UserError, match=message):
        study(runs, versions={"a": changes})
    assert not runs.commands


@pytest.mark.parametrize("code", [2, 143, -9])
def test_a_run_that_cannot_begin_or_is_killed_ends_the_study(study, code):
    runs = FakeRuns(lambda name: CommandFailed(code, "why", "log"))
    with pytest.raises(UserError, match="Run whole-seed0: (why|it was killed by SIGKILL)"):
        study(runs)
    assert _trained(runs) == ["whole-seed0"]


def test_the_command_prints_the_table_line_by_line(monkeypatch, tmp_path, capsys):
    def write_table(config):
        (tmp_path / ablate.TABLE_AS_TEXT).write_text("| version |\n| --- |\n", encoding="utf-8")

    monkeypatch.setattr(ablate, "ablate", write_table)
    main(["ablate", "--variant=cifar_v2", "--without=flip", f"--workdir={tmp_path}"])
    assert capsys.readouterr().out.splitlines()[:2] == ["| version |", "| --- |"]


def test_a_stopped_study_says_where_and_resumes_the_unfinished_run(study, tmp_path):
    def accuracy(name):
        return signals.Stopped(signal.SIGTERM) if name == "tanh-seed0" else _accuracy(name)

    with pytest.raises(Interrupted) as caught:
        study(FakeRuns(accuracy))
    assert (caught.value.workdir, caught.value.signal) == (tmp_path / "study", signal.SIGTERM)
    assert "in run tanh-seed0. Resume with --resume --workdir=" in str(caught.value)
    assert "| without flip | 1 |" in (tmp_path / "study" / "table.md").read_text()
    runs = FakeRuns(_accuracy)
    resumed = ka.AblateConfig(workdir=tmp_path / "study", resume=True)
    found = ka.ablate(resumed, run_command=runs)
    assert runs.commands[0] == ("train", "tanh-seed0", True)
    assert [row["version"] for row in found["table"]][:3] == list(FOLDERS)
    assert [row["seeds"] for row in found["table"]] == [2] * 4


def test_resume_takes_no_other_settings(study, tmp_path):
    with pytest.raises(UserError, match="There is no study to resume in .*: it has no ablation"):
        ka.ablate(ka.AblateConfig(workdir=tmp_path, resume=True))
    with pytest.raises(UsageError, match="besides workdir and resume: seeds, train"):
        study(FakeRuns(_accuracy), resume=True, without=(), activation=None, seeds=2)
    (tmp_path / "ablation.json").write_text('{"settings": {"train": {}, "seeds": "3"}}')
    with pytest.raises(UserError, match="ablation.json is damaged"):
        ka.ablate(ka.AblateConfig(workdir=tmp_path, resume=True))


def test_runs_on_different_data_are_not_compared(study):
    runs = FakeRuns(_accuracy)
    study(runs)
    runs.data_sha256 = "other"
    with pytest.raises(UserError, match="different data, by SHA-256: .*-seed1 and .*-seed2"):
        study(runs, seeds=3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seed": 3}, "sets seed of its runs: leave it out of train. Received: seed=3"),
        ({"views": 10}, "sets views"),
        ({"activation": "tanj"}, "activation must be a Keras activation"),
        ({"freeze_until": "conv9"}, "conv9"),
        ({"weights": "w.keras", "pixel_std": 2.0}, "pixel_std does not go with weights"),
    ],
)
def test_wrong_settings_are_found_before_anything_is_written(study, tmp_path, settings, message):
    with pytest.raises(UsageError, match=message):
        study(FakeRuns(_accuracy), settings=settings)
    assert not (tmp_path / "study").exists()
    with pytest.raises(UsageError, match="workdir is needed"):
        ka.ablate(ka.AblateConfig())


def test_damaged_files_of_runs_are_named(study, tmp_path):
    runs = FakeRuns(_accuracy)
    study(runs)
    for name, text in (("metrics.csv", "a\n1"), ("test_10_views.json", "{}")):
        path = tmp_path / "study" / "runs" / "whole-seed0" / name
        before = path.read_text()
        path.write_text(text)
        with pytest.raises(UserError, match=name):
            study(runs)
        path.write_text(before)
