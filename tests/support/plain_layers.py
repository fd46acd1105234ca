"""Layers of the 2012 program and cuda-convnet as plain numpy loops, from their formulas."""

import numpy as np


def plain_windows(side, size, stride):
    """(start, end) of each window, with the counts of Caffe, PyTorch and cuda-convnet."""
    starts, start = [0], stride
    while starts[-1] + size < side and start < side:
        starts.append(start)
        start += stride
    return [(start, min(start + size, side)) for start in starts]


def plain_pool(maps, size, stride, reduce):
    rows = plain_windows(maps.shape[1], size, stride)
    columns = plain_windows(maps.shape[2], size, stride)
    return np.stack(
        [
            np.stack([reduce(maps[:, top:end, left:last], (1, 2)) for left, last in columns], 1)
            for top, end in rows
        ],
        1,
    )


def plain_same_map_norm(maps, size, bias, alpha, beta):
    outputs, reach = np.zeros_like(maps), size // 2
    for y in range(maps.shape[1]):
        for x in range(maps.shape[2]):
            rows = slice(max(y - reach, 0), y + reach + 1)
            columns = slice(max(x - reach, 0), x + reach + 1)
            sums = (maps[:, rows, columns] ** 2).sum((1, 2))
            outputs[:, y, x] = maps[:, y, x] / (bias + alpha * sums) ** beta
    return outputs


def plain_lrn(maps, groups, radius, bias, alpha, beta):
    part = maps.shape[-1] // groups
    outputs = np.zeros_like(maps)
    for channel in range(maps.shape[-1]):
        group = channel // part * part
        first, last = max(channel - radius, group), min(channel + radius + 1, group + part)
        sums = (maps[..., first:last] ** 2).sum(-1)
        outputs[..., channel] = maps[..., channel] / (bias + alpha * sums) ** beta
    return outputs


def plain_local(maps, kernel, bias, zeros):
    maps = np.pad(maps, [(0, 0), zeros, zeros, (0, 0)])
    rows, columns, side, *_, filters = kernel.shape
    outputs = np.zeros((len(maps), rows, columns, filters))
    for y in range(rows):
        for x in range(columns):
            window = maps[:, y : y + side, x : x + side]
            outputs[:, y, x] = np.einsum("bijc,ijcf->bf", window, kernel[y, x]) + bias[y, x]
    return outputs
