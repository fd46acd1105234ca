"""Strategies of hypothesis for the contents of damaged files."""

import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import strategies as st

from keras_alexnet import UserError

# Lengths and offsets that lead out of a file, to its ends, or back.
_NUMBERS = [0, 1, 2, 3, 4, 8, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**32 - 4, 2**32 - 100]


def damaged(contents: bytes) -> st.SearchStrategy[bytes]:
    """Arbitrary bytes, and a valid file that is cut off or has wrong bytes and wrong numbers."""
    return st.one_of(st.binary(max_size=300), _cut_off(contents), _changed(contents))


def _cut_off(contents: bytes) -> st.SearchStrategy[bytes]:
    return st.integers(0, len(contents) - 1).map(lambda length: contents[:length])


def _changed(contents: bytes) -> st.SearchStrategy[bytes]:
    numbers = st.one_of(st.sampled_from(_NUMBERS), st.integers(0, len(contents)))
    change = st.tuples(
        st.integers(0, len(contents) - 4),
        st.one_of(
            st.binary(min_size=1, max_size=1), numbers.map(lambda each: each.to_bytes(4, "little"))
        ),
    )

    def changed(changes):
        whole = bytearray(contents)
        for place, value in changes:
            whole[place : place + len(value)] = value
        return bytes(whole)

    return st.lists(change, min_size=1, max_size=5).map(changed)


def check_only_user_errors(read: Callable[[bytes], object], contents: bytes) -> None:
    """Asserts that reading raises nothing but a `UserError`, and takes memory as the file's size
    suggests."""
    tracemalloc.start()
    try:
        read(contents)
    except UserError as error:
        assert "again" in str(error) or "Received" in str(error) or "full" in str(error)
    finally:
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    if most > 100 * len(contents) + 500_000:
        pytest.fail(f"{most} bytes of memory for a file of {len(contents)} bytes")
