"""Files of PyTorch, written without torch; also such as torch would never write."""

import io
import pickle
import zipfile

import numpy as np

MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001
SYS_INFO = {
    "protocol_version": VERSION,
    "little_endian": True,
    "type_sizes": {"short": 2, "int": 4, "long": 4},
}


class Named:
    """The name of a function or class, which is not imported to be pickled."""

    def __init__(self, name):
        self.module, _, self.name = name.rpartition(".")


class Call:
    """A call in a pickle, whose result may be given a state."""

    def __init__(self, name, *arguments, state=None):
        self.function, self.arguments, self.state = Named(name), arguments, state


class Persistent:
    """What a pickle refers to outside of it."""

    def __init__(self, *reference):
        self.reference = reference


class Raw(bytes):
    """Operations of a pickle, as they are."""


class Pickler(pickle._Pickler):
    """Pickles these objects; with `python2`, texts are strings as Python 2 wrote them."""

    dispatch = dict(pickle._Pickler.dispatch)

    def __init__(self, buffer, protocol=2, python2=False):
        super().__init__(buffer, protocol)
        self.python2 = python2

    def save_named(self, value):
        self.write(f"c{value.module}\n{value.name}\n".encode())

    def save_call(self, value):
        self.save(value.function)
        self.save(value.arguments)
        self.write(b"R")
        if value.state is not None:
            self.save(value.state)
            self.write(b"b")

    def save_persistent(self, value):
        self.save(value.reference)
        self.write(b"Q")

    def save_text(self, value):
        if not self.python2:
            return super().save_str(value)
        self.write(b"U" + len(value).to_bytes(1, "little") + value.encode())

    dispatch[Named] = save_named
    dispatch[Call] = save_call
    dispatch[Persistent] = save_persistent
    dispatch[Raw] = lambda self, value: self.write(value)
    dispatch[str] = save_text


def pickled(value, **options) -> bytes:
    buffer = io.BytesIO()
    Pickler(buffer, **options).dump(value)
    return buffer.getvalue()


def tensor(
    key="0",
    elements=6,
    size=(2, 3),
    stride=(3, 1),
    *,
    offset=0,
    storage="torch.FloatStorage",
    rebuild="torch._utils._rebuild_tensor_v2",
    view=(),
):
    """A tensor of a storage; `view` is (None,) in the older form."""
    place = Persistent("storage", Named(storage), key, "cpu", elements, *view)
    hooks = () if rebuild.endswith("_tensor") else (False, Call("collections.OrderedDict"))
    return Call(rebuild, place, offset, size, stride, *hooks)


def zipped(
    value, storages, *, byteorder="little", folder="net", packing=zipfile.ZIP_STORED, **options
) -> bytes:
    """The zip form."""
    members = {"data.pkl": pickled(value, **options), "version": b"3\n"}
    if byteorder is not None:
        members["byteorder"] = byteorder.encode()
    members |= {f"data/{key}": contents for key, contents in storages.items()}
    return archived({f"{folder}/{name}": data for name, data in members.items()}, packing)


def archived(members, packing=zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packing) as archive:
        for name, contents in members.items():
            archive.writestr(name, contents)
    return buffer.getvalue()


def older(value, storages, *, item=4, **options) -> bytes:
    """The form before PyTorch 1.6."""
    parts = [MAGIC, VERSION, SYS_INFO, value, sorted(storages)]
    contents = b"".join(pickled(part, **options) for part in parts)
    for key in sorted(storages):
        contents += (len(storages[key]) // item).to_bytes(8, "little") + storages[key]
    return contents


NUMBERS = np.float32([[1, 2, 3], [4, 5, 6.5]])
STORED = {"0": NUMBERS.tobytes()}
