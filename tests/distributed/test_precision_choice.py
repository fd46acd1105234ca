"""What `auto` chooses, on machines that are made up."""

import pytest
import tensorflow as tf

from keras_alexnet.distributed import precision_choice
from keras_alexnet.distributed.precision_choice import choose, chosen
from keras_alexnet.errors import UsageError
from keras_alexnet.utils import machine
from support.machines import ARM, AVX2, X86, set_machine


@pytest.mark.parametrize(
    ("cpuinfo", "onednn", "variant", "found"),
    [
        (X86, True, "cifar_v1", "mixed_bfloat16: this processor has bf16 instructions"),
        (X86, True, "cifar_v2", "mixed_bfloat16: this"),
        (X86, True, "cifar_v3", "mixed_bfloat16: this"),
        (X86, True, "alexnet_owt", "graph_bfloat16: this"),
        (X86, True, "alexnet", "graph_bfloat16: this"),
        (X86, True, "not measured", "mixed_bfloat16: this"),
        (X86, True, None, "mixed_bfloat16: this"),  # inference
        (X86.replace("avx512_bf16", "amx_bf16"), True, None, "mixed_bfloat16: this"),
        (ARM, True, None, "mixed_bfloat16: this"),
        (X86, False, "alexnet", "float32: oneDNN is off"),
        (AVX2, True, "cifar_v2", "float32: this processor has no bf16 instructions"),
        (ARM.replace(" bf16", ""), True, None, "float32: this processor has no"),
        ("", True, None, "float32: whether this processor has bf16 instructions is not known"),
        (None, True, None, "float32: whether this processor"),
    ],
)
def test_on_processors(monkeypatch, tmp_path, cpuinfo, onednn, variant, found):
    set_machine(monkeypatch, tmp_path, cpuinfo, onednn)
    assert str(choose("auto", variant)).startswith(f"auto ({found}")


@pytest.mark.parametrize(
    ("capabilities", "name"),
    [
        ([(9, 0), (8, 0)], "mixed_bfloat16"),
        ([(7, 5)], "mixed_float16"),
        ([(8, 6), (7, 0)], "mixed_float16"),
        ([(6, 1)], "float32"),
        ([(9, 0), None], "float32"),
    ],
)
def test_on_gpus(monkeypatch, tmp_path, capabilities, name):
    set_machine(monkeypatch, tmp_path, X86, gpus=capabilities)
    found = choose("auto", "alexnet")
    assert found.name == name and "compute capability" in found.why
    # A run on logical CPU devices; there is no graph_bfloat16 where there is a GPU.
    assert choose("auto", "alexnet", on_cpu=True).name == "mixed_bfloat16"


def test_what_is_given_is_taken_without_a_look_at_the_machine(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda *_: pytest.fail("looked"))
    for name in precision_choice.FOR_TRAINING[1:]:
        assert str(choose(name, "cifar_v2")) == name


@pytest.mark.parametrize("trained", ["cifar_v2", None])
def test_unknown_names(trained):
    with pytest.raises(UsageError, match="Unknown precision 'float8'. Did you mean 'float32'"):
        choose("float8", trained)
    with pytest.raises(UsageError, match="Unknown precision 'graph_bfloat16'"):
        choose("graph_bfloat16")


def test_the_environment_decides_what_auto_is(monkeypatch, tmp_path):
    set_machine(monkeypatch, tmp_path, X86)
    monkeypatch.setenv(precision_choice.VARIABLE, "float32")
    assert str(choose("auto", "alexnet")) == "auto (float32: KERAS_ALEXNET_PRECISION says so)"
    assert choose("graph_bfloat16", "alexnet").name == "graph_bfloat16"
    monkeypatch.setenv(precision_choice.VARIABLE, "graph_bfloat16")
    with pytest.raises(UsageError, match="Unknown precision in KERAS_ALEXNET_PRECISION"):
        choose("auto")


def test_only_what_auto_chose_is_logged(monkeypatch, tmp_path, caplog):
    caplog.set_level("INFO", logger="absl")
    set_machine(monkeypatch, tmp_path, AVX2)
    chosen("float32")
    assert caplog.messages == []
    chosen("auto")
    assert caplog.messages == ["precision: auto (float32: this processor has no bf16 instructions)"]
    chosen("mixed_bfloat16")
    assert "will be slow" in caplog.messages[1]


def test_conversions_to_bfloat16_are_not_arithmetic(monkeypatch, tmp_path):
    set_machine(monkeypatch, tmp_path, AVX2.replace("avx2", "avx2 avx_ne_convert"))
    assert machine.has_bfloat16() is False
