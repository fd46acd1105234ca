"""Damaged files for hypothesis, and the check that readers handle them in little memory."""

import tracemalloc

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from keras_alexnet.errors import UserError

# Many damaged files are tried in one folder.
SEARCH = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
FIXED_BYTES = 8 * 2**20  # what a reader may use, however small the file is


def read_or_refused(read, bytes_at_most: int):
    """What `read` returns, or None if it raises a UserError."""
    most = bytes_at_most + FIXED_BYTES
    result, peak = _measured(read)
    if peak > most:  # of a thread that another test left, perhaps; a reader's own need comes again
        result, peak = _measured(read)
    assert peak <= most, f"{peak} bytes of memory"
    return result


def _measured(read):
    """What `read` returned, None for a UserError, and the most memory meanwhile, in bytes."""
    tracemalloc.start()
    try:
        return read(), tracemalloc.get_traced_memory()[1]
    except UserError:
        return None, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@st.composite
def damaged(draw, valid: bytes) -> bytes:
    """Contents of a file with some bytes changed, removed or inserted, or all arbitrary."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=300))
    contents = bytearray(valid)
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(contents)))
        length = draw(st.integers(0, 4))
        new = draw(st.sampled_from([b"", b"\xff" * 12, b"\0" * 8]) | st.binary(max_size=9))
        if draw(st.booleans()):
            length = len(new)
        contents[start : start + length] = new
    if draw(st.integers(0, 4)) == 0:
        del contents[draw(st.integers(0, len(contents))) :]
    return bytes(contents)


_SIZES = [b"\x80" + b"\xff" * 11, b"\xff" * 12, b"\x80" + bytes(5) + b"\xff" * 6, b"7" * 11 + b"\0"]


@st.composite
def damaged_tar(draw, valid: bytes) -> bytes:
    """A tar archive in which a header is damaged, but has a correct checksum."""
    if draw(st.booleans()):
        return draw(damaged(valid))
    contents = bytearray(valid)
    for _ in range(draw(st.integers(1, 2))):
        start = draw(st.integers(0, len(contents) // 512 - 1)) * 512
        header = contents[start : start + 512]
        if draw(st.booleans()):
            header[124:136] = draw(st.sampled_from(_SIZES) | st.binary(min_size=12, max_size=12))
        if draw(st.booleans()):
            header[156] = draw(st.sampled_from(b"012345678LKgxSXD"))  # the type of the member
        if draw(st.booleans()):
            place = draw(st.integers(0, 499))
            new = draw(st.binary(min_size=1, max_size=12))
            header[place : place + len(new)] = new
        header[148:156] = b" " * 8
        header[148:155] = b"%06o\0" % sum(header[:512])
        contents[start : start + 512] = header[:512]
    return bytes(contents)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@st.composite
def damaged_json(draw, value):
    """A JSON value in which a part is replaced or missing."""
    if isinstance(value, dict | list) and value and draw(st.integers(0, 5)):
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = draw(st.sampled_from(keys))
        copy = value.copy()
        if draw(st.integers(0, 9)):
            copy[key] = draw(damaged_json(value[key]))
        else:
            del copy[key]
        return copy
    return draw(JSON)
