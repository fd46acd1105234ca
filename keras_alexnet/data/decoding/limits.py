"""The sizes that files state, which are checked before anything is decoded."""

import tensorflow as tf

RAISE_IT = ", or raise --max_image_pixels (max_image_pixels=)"


def too_large(height: int | str, width: int | str, most: int, advice: str = RAISE_IT) -> str:
    """Returns the message about an image that has too many pixels.

    Example:
        >>> too_large(20_000, 30_000, 10**8, advice="")
        'it has 20000 x 30000 pixels, more than the limit of 100,000,000: make it smaller'
    """
    limit = f"more than the limit of {most:,}"
    return f"it has {height} x {width} pixels, {limit}: make it smaller{advice}"


def checked_size(
    contents: tf.Tensor, sides: tf.Tensor, most: int, advice: str = RAISE_IT
) -> tf.Tensor:
    """Returns the encoded image, unless its size is too large.

    Args:
        contents: string scalar, the encoded file.
        sides: int32 `[2]`, height and width that it states.
        most: the largest number of pixels to decode.
        advice: the end of the message.

    Raises:
        tf.errors.InvalidArgumentError: it has more pixels.

    Example:
        >>> checked_size(tf.constant(b"a file"), tf.constant([4, 5]), 20).numpy()
        b'a file'
    """
    fits = tf.reduce_prod(tf.cast(sides, tf.int64)) <= most
    start, middle, end = too_large("{}", "{}", most, advice).split("{}")
    message = [start.strip(), sides[0], middle.strip(), sides[1], end.strip()]
    # Unlike `tf.Assert`, it says the same eagerly as in a graph.
    checked = tf.raw_ops.Assert(condition=fits, data=message)
    with tf.control_dependencies([checked] if checked is not None else []):
        return tf.identity(contents)


def png_sides(contents: tf.Tensor) -> tf.Tensor:
    """Returns the height and width that a PNG states: string scalar → int32 `[2]`.

    Example:
        >>> png_sides(tf.io.encode_png(tf.zeros([4, 5, 3], tf.uint8))).numpy()
        array([4, 5], dtype=int32)
    """
    header = tf.strings.join([tf.strings.substr(contents, 0, 24), bytes(24)])
    sides = tf.io.decode_raw(tf.strings.substr(header, 16, 8), tf.int32, little_endian=False)
    return tf.ensure_shape(sides, [2])[::-1]
