"""Batches of decoded images from indices, made in parallel and in order."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from keras_alexnet.data.images import EncodedImages, ImageArray
from keras_alexnet.data.splits import Split
from keras_alexnet.data.squares import Window, square
from keras_alexnet.networks.image_plan import ImagePlan


def source_of(split: Split, plan: ImagePlan) -> ImageArray | EncodedImages:
    """Returns the source of a split's pixels: memory if they fit, or else the decoder."""
    if isinstance(split.pixels, EncodedImages):
        return split.pixels.in_memory(*plan.square) or split.pixels
    return split.pixels


def is_encoded(split: Split, plan: ImagePlan) -> bool:
    """Returns whether a split's images are decoded for every batch."""
    return isinstance(source_of(split, plan), EncodedImages)


# (indices int64 `[n]`, draws) → the corners int32 `[n, 2]` of crops, bool `[n]`: which to mirror
Crops = Callable[[tf.Tensor, Any], tuple[tf.Tensor, tf.Tensor]]


def batches(
    indices: tf.data.Dataset,
    split: Split,
    plan: ImagePlan,
    batch_size: int,
    finish: Callable[[tf.Tensor, tf.Tensor, Any], tuple[tf.Tensor, tf.Tensor]],
    crops: Crops | None = None,
) -> tf.data.Dataset:
    """Gathers, decodes and finishes the images that a dataset of indices asks for.

    Args:
        indices: elements (int64 `[batch]` into the split, any structure of draws `[batch, ...]`).
        split: the images and labels.
        plan: says how large the squares are, and how they are made.
        batch_size: the size of all batches, except that an epoch's last one may be smaller.
        finish: (squares uint8 `[batch, size, size, 3]`, labels int32 `[batch]`, draws) → (images,
            labels). Images that the set leaves out are black and have the label -1.
        crops: what to compute of the squares, if the source is encoded; `finish` is then given
            crops of `plan.crop_size`.

    Returns:
        A dataset of what `finish` returns, in the order of `indices`.
    """
    source = source_of(split, plan)
    with tf.device("/CPU:0"):  # captured by reference, never written into a graph
        rows, labels = tf.constant(split.rows), tf.constant(_labels_of(split))

    def complete(index: tf.Tensor, draws: Any, squares: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return finish(squares, tf.gather(labels, index), draws)

    def gather_and_complete(index: tf.Tensor, draws: Any) -> tuple[tf.Tensor, tf.Tensor]:
        assert isinstance(source, ImageArray)
        images = tf.gather(source.tensor, tf.gather(rows, index))
        return complete(index, draws, square(images, *plan.square))

    # Converting functions by AutoGraph, which they do not need, would take seconds.
    plain = tf.autograph.experimental.do_not_convert
    parallel = {"num_parallel_calls": tf.data.AUTOTUNE, "deterministic": True}
    if isinstance(source, EncodedImages):
        decoded = _decoded(indices, source, rows, plan, batch_size, crops)
        dataset = decoded.map(plain(complete), **parallel)
    else:
        dataset = indices.map(plain(gather_and_complete), **parallel)
    options = tf.data.Options()
    # One process reads all of its data; the batches are those of the caller on any strategy.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    # Rewriting of the graph, which is on by default, would copy the captured pixels.
    options.experimental_optimization.apply_default_optimizations = False
    return dataset.prefetch(tf.data.AUTOTUNE).with_options(options)


def _labels_of(split: Split) -> np.ndarray:
    if not isinstance(split.pixels, EncodedImages):
        return split.labels
    return np.where(np.isin(split.rows, split.pixels.left_out), np.int32(-1), split.labels)


def _decoded(
    indices: tf.data.Dataset,
    source: EncodedImages,
    rows: tf.Tensor,
    plan: ImagePlan,
    batch_size: int,
    crops: Crops | None,
) -> tf.data.Dataset:
    """(indices, draws) → (indices, draws, squares), one image decoded per parallel call."""
    left_out, size = source.left_out, plan.crop_size if crops else plan.square_size

    def fill(index: tf.Tensor, draws: Any) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, Any, tuple]:
        # Short batches are filled up with -1, so that batches of one size can be put together
        # again after the decoder, which need not stop at the end of an epoch.
        missing = batch_size - tf.size(index)
        # The result is used, because TensorFlow would otherwise drop the call. If it were declared
        # stateful, op determinism would make every map of the pipeline run on one thread.
        row = tf.numpy_function(
            source.note_asked, [tf.gather(rows, index)], tf.int64, stateful=False
        )
        row = tf.ensure_shape(row, index.shape)

        def filled(values: tf.Tensor) -> tf.Tensor:
            return tf.pad(values, [[0, missing]] + [[0, 0]] * (values.shape.rank - 1))

        row = filled(row)
        chosen = crops(index, draws) if crops else ()
        draws, chosen = tf.nest.map_structure(filled, (draws, chosen))
        return filled(index + 1) - 1, row, source.fetched(row), draws, chosen

    def decode_one(
        index: tf.Tensor, row: tf.Tensor, fetched: tf.Tensor, draws: Any, chosen: tuple
    ) -> tuple[tf.Tensor, Any, tf.Tensor]:
        nothing = tf.zeros([size, size, 3], tf.uint8)
        absent = index < 0
        if left_out:
            absent |= tf.reduce_any(row == tf.constant(left_out, tf.int64))
        window = Window(chosen[0], size, chosen[1]) if chosen else None
        made = tf.cond(
            absent, lambda: nothing, lambda: source.square_of(fetched, *plan.square, window)
        )
        return index, draws, tf.ensure_shape(made, [size, size, 3])

    def cut(index: tf.Tensor, draws: Any, squares: tf.Tensor) -> tuple[tf.Tensor, Any, tf.Tensor]:
        if indices.element_spec[0].shape[0] == batch_size:
            return index, draws, squares  # no batch is short
        count = tf.reduce_sum(tf.cast(index >= 0, tf.int32))
        return tf.nest.map_structure(lambda values: values[:count], (index, draws, squares))

    # Converting the decoder by AutoGraph, which it does not need, would take a second.
    plain = tf.autograph.experimental.do_not_convert
    # One batch is fetched while another is decoded.
    dataset = indices.map(plain(fill)).prefetch(1).unbatch()
    dataset = dataset.map(
        plain(decode_one), num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    return dataset.batch(batch_size, drop_remainder=True).map(plain(cut))
