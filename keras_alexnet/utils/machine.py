"""Processors and processes of this machine, on every operating system."""

import os
import pathlib
import re
import shutil
import sys
import threading
import time


def processors() -> list[int]:
    """Returns the numbers of the processors that this process may use.

    On Linux these are the ones that a container or taskset allows; elsewhere, all of the machine's.

    Example:
        >>> len(processors()) >= 1
        True
    """
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


_CPUINFO = pathlib.Path("/proc/cpuinfo")
_BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}  # the last is ARM's


def has_bfloat16() -> bool | None:
    """Returns whether the processor has instructions that compute in bfloat16; None if unknown.

    Linux lists them, for x86 and for ARM. Instructions that only convert, as avx_ne_convert, do not
    count.

    Example:
        >>> has_bfloat16() in (True, False, None)
        True
    """
    try:
        listed = re.search(r"^(?:flags|Features)\s*:(.*)$", _CPUINFO.read_text(), re.MULTILINE)
    except OSError:
        return None
    return None if listed is None else not _BFLOAT16.isdisjoint(listed[1].split())


def peak_memory() -> int | None:
    """Returns the most memory that this process has held so far, in bytes; None on Windows.

    Example:
        >>> peak_memory() > 10**6
        True
    """
    try:
        import resource
    except ImportError:
        return None
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else largest * 1024


def resident_memory() -> int | None:
    """Returns the memory that this process holds now, in bytes; None where Linux is not.

    Example:
        >>> resident_memory() is None or resident_memory() > 10**6
        True
    """
    try:
        pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def is_running(process_id: int) -> bool:
    """Returns whether a process with that ID is running on this machine.

    On Windows, where asking would stop the process, the answer is always True.

    Example:
        >>> import os
        >>> is_running(os.getpid())
        True
    """
    if os.name == "nt":
        return True
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it belongs to another user
        return True
    return True


def environment_of_child() -> dict[str, str]:
    """Returns the environment for a process that imports this package, wherever it was found.

    Example:
        >>> "PYTHONPATH" in environment_of_child()
        True
    """
    checkout = str(pathlib.Path(__file__).resolve().parents[2])
    path = [checkout, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}


def end_with_parent(
    parent: int, seconds: float = 1.0, folder: str | os.PathLike | None = None
) -> None:
    """Ends this process, soon after the one that started it has ended in any way.

    Args:
        parent: the ID of the process that started this one.
        seconds: the time between two looks.
        folder: a folder to remove then, which the other process can no longer remove.

    Example:
        >>> end_with_parent(os.getppid())
    """

    def watch() -> None:
        while os.getppid() == parent:  # an orphan gets a different parent
            time.sleep(seconds)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)

    if os.name != "nt":  # where orphans keep the number of their parent
        threading.Thread(target=watch, daemon=True).start()
