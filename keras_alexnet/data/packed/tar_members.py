"""The members of a plain tar archive, found several times faster than by `tarfile`."""

import mmap
import tarfile
from typing import NamedTuple

_BLOCK = tarfile.BLOCKSIZE
_END = tarfile.NUL * _BLOCK


class Members(NamedTuple):
    """Regular files in a larger file: their names, and where their contents are, in bytes."""

    names: list[str]
    offsets: list[int]
    sizes: list[int]


def plain_members(data: bytes | mmap.mmap) -> Members | None:
    """Returns the files of a tar archive that holds only files and folders with plain headers.

    Args:
        data: the bytes of the uncompressed archive.

    Returns:
        None for anything else, such as links, long names or damage; `tarfile` knows these.
    """
    found, start = Members([], [], []), 0
    while (header := bytes(data[start : start + _BLOCK])) != _END:
        kind, size = header[156:157], _number(header[124:136])
        # A prefix has other meanings in GNU's form, and old headers say folder by the name.
        plain = header[257:263] == b"ustar\0" or (header[257:263] == b"ustar " and not header[345])
        if kind not in (b"0", b"5") or size is None or not plain or not _is_whole(header):
            return None
        if kind == b"0":
            name, prefix = (field.partition(b"\0")[0] for field in (header[:100], header[345:500]))
            if name.endswith(b"/"):
                return None
            path = prefix + b"/" + name if prefix else name
            found.names.append(path.decode("utf-8", "surrogateescape"))
            found.offsets.append(start + _BLOCK)
            found.sizes.append(size)
            start += -(-size // _BLOCK) * _BLOCK
        elif size:
            return None
        start += _BLOCK
        if start + _BLOCK > len(data):  # what follows must at least be the end
            return None
    return found


def _number(field: bytes) -> int | None:
    digits = field.strip(b" \0")
    return int(digits, 8) if digits and not digits.strip(b"01234567") else None


def _is_whole(header: bytes) -> bool:
    # The checksum counts its own place as blanks.
    return sum(header) - sum(header[148:156]) + 8 * ord(" ") == _number(header[148:156])
