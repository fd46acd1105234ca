"""The precision of a run: new, resumed on another machine, and on several workers."""

import dataclasses
import json

import pytest

import keras_alexnet as ka
from keras_alexnet.distributed.cluster import SingleProcess
from keras_alexnet.training import resume
from keras_alexnet.training.run_precision import log_choice, with_precision
from support.machines import AVX2, X86, set_machine

BF16 = "auto: this processor has bf16 instructions"


class Others(SingleProcess):
    """This worker, and two others that choose this precision."""

    def __init__(self, name):
        self._name = name

    def gather(self, value):
        return [value, *[json.dumps([self._name, "auto: theirs"]).encode()] * 2]


@pytest.fixture
def on(monkeypatch, tmp_path):
    return lambda cpuinfo: set_machine(monkeypatch, tmp_path, cpuinfo)


def _new(cluster=None, **given):
    request = resume.new_run(ka.TrainConfig(variant="cifar_v2", **given))
    return _logged(with_precision(request, cluster or SingleProcess()))


def _resumed(saved_precision, why, **given):
    run = resume.new_run(ka.TrainConfig(variant="cifar_v2", precision=saved_precision))
    saved = {
        "config": dataclasses.asdict(run.config),
        "recipe": dataclasses.asdict(run.recipe),
        "precision_why": why,
    }
    if why is None:
        del saved["precision_why"]  # as before there was `auto`
    config = ka.TrainConfig(resume=True, workdir="run", **given)
    return _logged(with_precision(resume.resumed_run(saved, config), SingleProcess()))


def _logged(request):
    log_choice(request)
    return request


def _facts(request):
    changes = [(each.before, each.now) for each in request.changes]
    return request.config.precision, request.precision_why, changes


def test_of_a_new_run(on, caplog):
    caplog.set_level("INFO", logger="absl")
    on(X86)
    assert _facts(_new()) == ("mixed_bfloat16", BF16, [])
    assert caplog.messages == [
        "precision: auto (mixed_bfloat16: this processor has bf16 instructions)"
    ]
    assert _facts(_new(precision="graph_bfloat16")) == ("graph_bfloat16", "as given", [])
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("given", [{}, {"precision": "auto"}, {"precision": "mixed_bfloat16"}])
def test_a_resumed_run_keeps_what_was_chosen_on_another_machine(on, caplog, given):
    caplog.set_level("INFO", logger="absl")
    on(AVX2)
    assert _facts(_resumed("mixed_bfloat16", BF16, **given)) == ("mixed_bfloat16", BF16, [])
    assert caplog.messages == ["precision: mixed_bfloat16, which auto chose when the run began."]


def test_a_run_from_before_there_was_auto_keeps_its_own(on):
    on(X86)
    assert _facts(_resumed("float32", None)) == ("float32", "as given", [])


def test_a_change_is_made_only_by_name(on):
    on(AVX2)
    changed = _resumed("mixed_bfloat16", BF16, precision="float32")
    assert _facts(changed) == ("float32", "as given", [("mixed_bfloat16", "float32")])
    with pytest.raises(ka.UserError, match="--allow_change=precision"):
        changed.check_settings()
    # Named, `auto` chooses again.
    again = _resumed("mixed_bfloat16", BF16, allow_change="precision")
    why = "auto: this processor has no bf16 instructions"
    assert _facts(again) == ("float32", why, [("mixed_bfloat16", "float32")])
    on(X86)
    again = _resumed("mixed_bfloat16", "as given", allow_change="precision")
    assert _facts(again) == ("mixed_bfloat16", BF16, [])


def test_workers_share_one_precision(on):
    on(X86)
    assert _facts(_new(Others("mixed_bfloat16")))[0] == "mixed_bfloat16"
    found = _new(Others("float32"))
    assert found.config.precision == "float32"
    assert found.precision_why == (
        "auto: the workers would choose mixed_bfloat16 on worker 0, float32 on worker 1, float32 "
        "on worker 2"
    )
    assert _new(Others("float32"), precision="mixed_bfloat16").precision_why == "as given"
