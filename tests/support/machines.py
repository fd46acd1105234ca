"""Machines that `--precision auto` is told to be on."""

import tensorflow as tf

from keras_alexnet.distributed.precision_choice import VARIABLE
from keras_alexnet.utils import machine, tensorflow_private

X86 = "processor\t: 0\nflags\t\t: fpu avx2 avx512f avx512_bf16 la57\nbugs\t\t: none\n"
AVX2 = "processor\t: 0\nflags\t\t: fpu avx avx2 fma\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd svebf16 i8mm bf16\n"


def set_machine(monkeypatch, folder, cpuinfo, onednn=True, gpus=()):
    """Patches what is seen of the machine.

    Args:
        monkeypatch: pytest's.
        folder: an empty folder.
        cpuinfo: the contents of /proc/cpuinfo, or None if there is no such file.
        onednn: whether oneDNN is on.
        gpus: the compute capability of each GPU, or None where it is not known.
    """
    path = folder / "cpuinfo"
    path.unlink(missing_ok=True)
    if cpuinfo is not None:
        path.write_text(cpuinfo)
    monkeypatch.delenv(VARIABLE, raising=False)  # of conftest.py
    monkeypatch.setattr(machine, "_CPUINFO", path)
    monkeypatch.setattr(tensorflow_private, "onednn_is_on", lambda: onednn)
    if gpus:
        listed = list(range(len(gpus)))
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda *_: listed)
        details = [{} if each is None else {"compute_capability": each} for each in gpus]
        monkeypatch.setattr(tf.config.experimental, "get_device_details", details.__getitem__)
