"""PyTorch's files are read without torch: the same numbers, and nothing is run."""

import io
import os
import pickle
import zipfile

import numpy as np
import pytest

from keras_alexnet import UserError
from keras_alexnet.weights import pytorch, torch_file
from support.torch_files import (
    NUMBERS,
    STORED,
    Call,
    Named,
    Persistent,
    Raw,
    archived,
    older,
    pickled,
    tensor,
    zipped,
)

PYTHON2 = Call("collections.OrderedDict", [["w", tensor(view=(None,))]])
OLDEST = tensor(rebuild="torch._utils._rebuild_tensor", view=(None,))
VIEWED = tensor("9", 8, view=(("5", 2, 6),))
BIG = {"0": NUMBERS.astype(">f4").tobytes()}


def unchecked(archive):
    """A zip archive without checksums, as torch writes it if it is told so."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        for member in opened.infolist():
            archive = archive.replace(member.CRC.to_bytes(4, "little"), bytes(4))
    return archive


FORMS = {
    "zip": zipped({"w": tensor()}, STORED),
    "zip of torch 1.6, without the order of bytes": zipped(
        {"w": tensor()}, STORED, byteorder=None, folder="archive"
    ),
    "zip of a big-endian machine": zipped({"w": tensor()}, BIG, byteorder="big"),
    "zip packed again": zipped({"w": tensor()}, STORED, packing=zipfile.ZIP_DEFLATED),
    "zip without checksums": unchecked(zipped({"w": tensor()}, STORED)),
    "pickle of protocol 4": zipped({"w": tensor()}, STORED, protocol=4),
    "older form": older({"w": tensor(view=(None,))}, STORED),
    "older form of Python 2": older(PYTHON2, STORED, python2=True),
    "older form of PyTorch 0.3": older({"w": OLDEST}, STORED),
    "older form with a part of a storage": older({"w": VIEWED}, {"9": b"\0" * 8 + STORED["0"]}),
    "parallel in a checkpoint": zipped(
        {"epoch": 3, "model_state_dict": {"module.w": tensor()}, "optimizer": {"lr": 0.1}}, STORED
    ),
    "parameter": zipped(
        {"w": Call("torch._utils._rebuild_parameter", tensor(), True, None)}, STORED
    ),
}


def written(tmp_path, contents):
    path = tmp_path / "net.pth"
    path.write_bytes(contents)
    return path


@pytest.mark.parametrize("form", FORMS)
def test_forms_written_by_hand(form, tmp_path):
    read = pytorch.read_tensors(written(tmp_path, FORMS[form]))
    assert list(read) == ["w"] and read["w"].dtype == np.float32
    np.testing.assert_array_equal(read["w"], NUMBERS)


SYSTEM = "posix.system"
RUN = ("touch ran",)

CALLS = {
    "posix.system": [
        Call(SYSTEM, *RUN),
        Raw(b"\x8c\x05posix\x8c\x06system\x93\x8c\x09touch ran\x85R"),
        Raw(b"(S'touch ran'\niposix\nsystem\n"),
        {"state_dict": {"w": tensor()}, "more": Call(SYSTEM, *RUN)},
        Call("torch._utils._rebuild_parameter", Call(SYSTEM, *RUN)),
    ],
    "builtins.eval": [Call("builtins.eval", "open('ran', 'w')")],
    "builtins.getattr": [Call("builtins.getattr", Named("torch.Tensor"), "__init__")],
    "torch.storage._load_from_bytes": [Call("torch.storage._load_from_bytes", b"x")],
    "torch.os.system": [Call("torch.os.system", *RUN)],
    "torch.nn.modules.linear.Linear": [Raw(b"ctorch.nn.modules.linear\nLinear\n)\x81}b")],
    "numpy._core.multiarray.scalar": [Call("numpy._core.multiarray.scalar", 1)],
}


@pytest.mark.parametrize("called", CALLS)
def test_what_a_pickle_would_call_is_named_and_not_called(called, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for value in CALLS[called]:
        contents = {"w": value} if not isinstance(value, dict) else value
        for form in (zipped(contents, STORED), older(contents, STORED), pickled(contents)):
            with pytest.raises(UserError, match=f"calls {called}: it would run code. A state"):
                torch_file.read(written(tmp_path, form))
    assert os.listdir(tmp_path) == ["net.pth"]


ODD = {
    "an object by its class": (Raw(b"ctorch\nTensor\n)\x81"), "operation NEWOBJ does not belong"),
    "a copy of the top": (Raw(b"N2"), "operation DUP does not belong"),
    "an extension": (Raw(b"\x82\x01"), "operation EXT1 does not belong"),
    "a text that is called": (Raw(b"X\x05\0\0\0torch)R"), "in a way that PyTorch does not"),
    "a type that is called": (Call("torch.FloatStorage", 2**40), "in a way that PyTorch does not"),
    "a state for a tensor": (Raw(b"ctorch\nTensor\n}b"), "gives a Name a state"),
    "no storage": (Persistent("module", Named("torch.Tensor"), "a.py", "x"), "refers to a storage"),
    "a storage of no type": (tensor(storage="torch.Size"), "refers to a storage"),
    "a negative storage": (tensor(elements=-6), "refers to a storage"),
    "another file": (tensor("../0"), "storage is missing|storage that no tensor"),
    "the pickle itself": (tensor("../data.pkl"), "storage is missing|storage that no tensor"),
    "a negative size": (tensor(size=(-2, -3)), "size, stride or offset that no tensor has"),
    "a negative stride": (tensor(stride=(-3, 1), offset=3), "that no tensor has"),
    "a negative offset": (tensor(offset=-1), "that no tensor has"),
    "an offset beyond the end": (tensor(offset=1), "reaches beyond its storage"),
    "a stride beyond the end": (tensor(stride=(4, 1)), "reaches beyond its storage"),
    "fewer numbers than it says": (tensor(elements=7), "more or fewer numbers"),
    "more numbers than it says": (tensor(elements=5), "more or fewer numbers"),
    "many axes": (tensor(size=(1,) * 33, stride=(1,) * 33), "that no tensor has"),
    "a size that overflows": (tensor(size=(2**40, 2**40), stride=(0, 0)), "that no tensor has"),
    "nothing of a huge size": (
        tensor(size=(0, 2**59, 2**59), stride=(1, 1, 1)),
        "array is too big",
    ),
    "a size of texts": (tensor(size=("2", 3)), "that no tensor has"),
    "a huge number": (Raw(b"\x8a\x20" + b"x" * 32), "a number of 255 bits"),
    "a size that claims too much": (tensor(size=(999, 999), stride=(0, 0)), "far more than the f"),
    "a text longer than the file": (Raw(b"\x8d" + b"\xff" * 7 + b"\x7f"), "cannot be read as"),
    "bytes longer than the file": (Raw(b"\x8e" + b"\xff" * 7 + b"\x7f"), "cannot be read as"),
    "a number longer than the file": (Raw(b"\x8b\xff\xff\xff\x7f"), "cannot be read as"),
}


@pytest.mark.parametrize("name", ODD)
def test_what_torch_does_not_write_is_refused(name, tmp_path):
    value, message = ODD[name]
    for form in (zipped({"w": value}, STORED), older({"w": value}, STORED)):
        with pytest.raises(UserError, match=message):
            torch_file.read(written(tmp_path, form))


def member(name, claimed, packing=zipfile.ZIP_STORED, contents=b""):
    """A zip archive whose directory says that a file has more bytes than it has."""
    data = pickled({"w": tensor()})
    made = archived({"net/data.pkl": data, "net/data/0": contents or STORED["0"]}, packing)
    place = made.rindex(b"PK\x01\x02", 0, made.rindex(name.encode()))
    return made[: place + 24] + claimed.to_bytes(4, "little") + made[place + 28 :]


ARCHIVES = {
    "no archive": (b"PK\x03\x04 and more", "not a zip file"),
    "other files": (archived({"net/data": b""}), "that torch.save did not write"),
    "no files": (archived({}), "cannot be read as"),
    "a program": (archived({"net/data.pkl": b"N.", "net/constants.pkl": b""}), "TorchScript"),
    "a strange order": (zipped({}, STORED, byteorder="odd"), "neither little nor big"),
    "other packing": (zipped({}, STORED, packing=zipfile.ZIP_LZMA), "packed in a way"),
    "a file that claims more": (member("net/data/0", 2**31), "packed, or its files share"),
    "a packed file that claims less": (
        member("net/data/0", 24, zipfile.ZIP_DEFLATED, b"\0" * 10**6),
        "Bad CRC",
    ),
    "a storage that is a bomb": (
        zipped({"w": tensor(elements=10**6)}, {"0": b"\0" * 4 * 10**6}, packing=8),
        "packed, or its files share",
    ),
    "nothing": (b"", "cannot be read as"),
    "a page": (b"<!DOCTYPE html>" * 40, "cannot be read as"),
    "a plain pickle": (pickle.dumps({"w": [1.0]}), "a pickle that torch.save did not write"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_other_files_are_refused(name, tmp_path):
    contents, message = ARCHIVES[name]
    with pytest.raises(UserError, match=message):
        torch_file.read(written(tmp_path, contents))


class TestWithTorch:
    """The numbers are those of torch.load, bit for bit."""

    @pytest.fixture
    def torch(self):
        return pytest.importorskip("torch", reason="compares with torch.load")

    @pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "older"])
    @pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
    def test_types_strides_and_shared_storages(self, torch, dtype, is_zip, tmp_path):
        base = torch.randn(6, 5, 4, generator=torch.Generator().manual_seed(1))
        base = base.to(getattr(torch, dtype))
        marked = torch.nn.Parameter(base.clone())
        marked.note = "an attribute"
        state = {
            "whole": base,
            "turned": base.permute(2, 0, 1),
            "part": base[1:4, ::2, 1],
            "repeated": base[:1, :1, :1].expand(3, 1, 2),
            "scalar": base[5, 4, 3],
            "empty": base[:0],
            "parameter": torch.nn.Parameter(base[2]),
            "marked": marked,
        }
        path = tmp_path / "net.pt"
        torch.save({"state_dict": state}, path, _use_new_zipfile_serialization=is_zip)
        read = pytorch.read_tensors(path)
        wanted = torch.load(path, weights_only=True)["state_dict"]
        assert list(read) == list(wanted)
        for name, value in wanted.items():
            expected = value.detach().float().numpy()
            assert read[name].dtype == np.float32 and read[name].shape == expected.shape
            assert read[name].tobytes() == expected.tobytes(), name

    @pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
    def test_what_is_beside_a_state_dict_is_not_needed(self, torch, tmp_path):
        import collections

        network = torch.nn.Linear(3, 2)
        sparse = torch.eye(3).to_sparse()
        beside = {
            "epoch": 3,
            "best": torch.tensor(3),
            "optimizer": {
                "state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.ones(2)}},
                "param_groups": [{"lr": 0.1, "betas": (0.9, 0.999), "foreach": None}],
            },
            "scheduler": collections.Counter([10, 20]),
            "odd": [sparse, torch.float8_e4m3fn, torch.device("cpu"), {1, 2}, torch.Size([3])],
            "quantized": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
            "uint16": torch.zeros(3, dtype=torch.uint16),
        }
        torch.save({**beside, "state_dict": network.state_dict()}, tmp_path / "check.pth")
        read = pytorch.read_tensors(tmp_path / "check.pth")
        np.testing.assert_array_equal(read["weight"], network.weight.detach().numpy())

    def test_files_by_hand_are_files_of_torch(self, torch, tmp_path):
        """Otherwise the tests without torch would show nothing."""
        for form in set(FORMS) - {"pickle of protocol 4"}:
            found = torch.load(written(tmp_path, FORMS[form]), weights_only=True)
            found = found.get("model_state_dict", found)
            [value] = found.values()
            np.testing.assert_array_equal(value.detach().numpy(), NUMBERS)
