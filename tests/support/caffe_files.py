"""Writing of Caffe's binary files byte by byte, in the old and the new format."""

import struct

import numpy as np

_OLD_KINDS = {"Convolution": 4, "InnerProduct": 14, "LRN": 15, "Pooling": 17, "ReLU": 18}


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def number(field, value):
    return varint(field << 3) + varint(value)


def real(field, value):
    return varint(field << 3 | 5) + struct.pack("<f", value)


def counted(field, contents):
    contents = contents.encode() if isinstance(contents, str) else contents
    return varint(field << 3 | 2) + varint(len(contents)) + contents


def blob(array, *, old=False, double=False, packed=True):
    """A blob; an old one has four dimensions, the first of them 1."""
    array = np.asarray(array)
    if old:
        shape = (1,) * (4 - array.ndim) + array.shape
        described = b"".join(number(field, size) for field, size in enumerate(shape, start=1))
    else:
        described = counted(7, counted(1, b"".join(map(varint, array.shape))))
    if not packed:
        return described + b"".join(real(5, value) for value in array.ravel())
    data = array.astype("<f8" if double else "<f4").tobytes()
    return described + counted(8 if double else 5, data)


def layer(name, kind, arrays=(), *, old=False, lrn=None, **options):
    """A layer with its blobs; `lrn` is local_size, alpha, beta and k."""
    parameters = b""
    if lrn is not None:
        size, alpha, beta, k = lrn
        parameters = number(1, size) + real(2, alpha) + real(3, beta) + real(5, k)
        parameters = counted(18 if old else 118, parameters)
    blobs = [counted(6 if old else 7, blob(array, old=old, **options)) for array in arrays]
    if old:
        described = counted(4, name) + number(5, _OLD_KINDS[kind])
    else:
        described = counted(1, name) + counted(2, kind)
    return described + b"".join(blobs) + parameters


def net(layers, *, old=False):
    """A whole file of layers."""
    return counted(1, "a network") + b"".join(counted(2 if old else 100, each) for each in layers)
