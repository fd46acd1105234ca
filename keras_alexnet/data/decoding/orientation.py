"""Reading cameras' EXIF orientation, and turning images, as TensorFlow graph operations.

The same operations run in pipelines and in saved graphs, which have no Python.
"""

import functools

import tensorflow as tf

UPRIGHT = 1
_SEARCHED_BYTES = 2**16  # at the beginning of a JPEG, where EXIF is the first or second segment
_SEARCHED_SEGMENTS = 64
_START_OF_EXIF = b"Exif\0\0"
_MOST_EXIF_BYTES = 2**16  # as much as a segment of a JPEG can hold

_ORIENTATION_TAG = 0x0112
_SHORT, _LONG = 3, 4  # types of numbers: 16 and 32 bits

# Functions of their own are traced once, and not for every pipeline again; but calling one takes
# time, so what is done for every image is in none.
_IMAGE, _NUMBER = tf.TensorSpec([None, None, None], tf.uint8), tf.TensorSpec([], tf.int32)
_of_string = functools.partial(
    tf.function, input_signature=[tf.TensorSpec([], tf.string)], autograph=False
)


def turned(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Turns and mirrors an image as its EXIF orientation says.

    Args:
        image: uint8 `[height, width, channels]`.
        orientation: int32 scalar, 1–8; 1 is upright.

    Returns:
        `[height, width, channels]`, or `[width, height, channels]` for orientations 5–8.

    Example:
        >>> turned(tf.zeros([2, 3, 3], tf.uint8), tf.constant(6)).shape
        TensorShape([3, 2, 3])
    """
    return tf.cond(orientation == UPRIGHT, lambda: image, lambda: _changed(image, orientation))


def of_jpeg(contents: tf.Tensor) -> tf.Tensor:
    """Returns the EXIF orientation of a JPEG: string scalar → int32 scalar, 1–8.

    It is 1 if there is none or the EXIF data are damaged. EXIF is looked for in the application
    segments and comments at the beginning of the file, up to 64 kB.

    Example:
        >>> of_jpeg(tf.io.encode_jpeg(tf.zeros([4, 5, 3], tf.uint8))).numpy()
        np.int32(1)
    """
    # Most files are plain: a JFIF segment of 16 bytes, and then the tables.
    start = tf.strings.join([tf.strings.substr(contents, 0, 22), bytes(22)])
    has_jfif = tf.strings.substr(start, 2, 4) == b"\xff\xe0\0\x10"
    plain = has_jfif & (tf.strings.substr(start, 20, 2) == b"\xff\xdb")
    return tf.cond(plain, lambda: tf.constant(UPRIGHT), lambda: _in_segments(contents))


@_of_string
def of_png(contents: tf.Tensor) -> tf.Tensor:
    """Returns the orientation in the eXIf chunk of a PNG: string scalar → int32 scalar, 1–8.

    It is 1 if there is none or the EXIF data are damaged.

    Example:
        >>> of_png(tf.io.encode_png(tf.zeros([4, 5, 3], tf.uint8))).numpy()
        np.int32(1)
    """
    after = tf.strings.regex_replace(contents, r"^\C*?eXIf", "", replace_global=False)
    # An unchanged PNG has no such chunk, and does not begin as EXIF does.
    return _in_exif(tf.strings.substr(after, 0, _MOST_EXIF_BYTES))


@functools.partial(tf.function, input_signature=[_IMAGE, _NUMBER], autograph=False)
def _changed(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:

    def transposed() -> tf.Tensor:
        # Not tf.transpose: without AVX-512, oneDNN logs an error where that gets 8-bit integers.
        height, width, channels = tf.unstack(tf.shape(image))
        places = tf.range(width)[:, None] + width * tf.range(height)
        return tf.gather(tf.reshape(image, [-1, channels]), places)

    on_its_side = tf.cond(orientation >= 5, transposed, lambda: image)
    upside_down = tf.reduce_any(orientation == [3, 4, 7, 8])
    mirrored = tf.reduce_any(orientation == [2, 3, 6, 7])
    return tf.raw_ops.Reverse(tensor=on_its_side, dims=[upside_down, mirrored, False])


def _bytes(text: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.io.decode_raw(text, tf.uint8), tf.int32)


@_of_string
def _in_segments(contents: tf.Tensor) -> tf.Tensor:
    head = tf.strings.join([tf.strings.substr(contents, 0, _SEARCHED_BYTES), bytes(16)])
    last = tf.strings.length(head) - 16

    # A segment begins with FF, its kind and its length: two bytes, which count themselves.
    def is_passed(start: tf.Tensor) -> tf.Tensor:
        segment = _bytes(tf.strings.substr(head, start, 2))
        is_exif = tf.strings.substr(head, start + 4, len(_START_OF_EXIF)) == _START_OF_EXIF
        return (segment[0] == 0xFF) & (segment[1] >= 0xE0) & ~((segment[1] == 0xE1) & is_exif)

    def after(start: tf.Tensor) -> tf.Tensor:
        segment = _bytes(tf.strings.substr(head, start, 4))
        is_filling = segment[1] == 0xFF  # any number of FF may precede a segment
        size = tf.where(is_filling, 1, 2 + 256 * segment[2] + segment[3])
        return tf.minimum(start + size, last)

    [start] = tf.while_loop(
        is_passed,
        lambda start: [after(start)],
        [tf.constant(2)],
        maximum_iterations=_SEARCHED_SEGMENTS,
    )
    # The EXIF data of the segment, or what does not look like them.
    header = _bytes(tf.strings.substr(head, start, 4))
    size = tf.maximum(256 * header[2] + header[3] - 8, 0)
    return _in_exif(tf.strings.substr(head, start + 10, size))


@_of_string
def _in_exif(exif: tf.Tensor) -> tf.Tensor:
    """The orientation in EXIF data: byte order, 42, place of the directory, entries of 12 bytes."""
    values = _bytes(tf.strings.join([exif, bytes(12)]))
    little = tf.reduce_all(values[:4] == [0x49, 0x49, 42, 0])
    is_exif = little | tf.reduce_all(values[:4] == [0x4D, 0x4D, 0, 42])

    def number(values: tf.Tensor, start: int | tf.Tensor, size: int) -> tf.Tensor:
        weights = [256**place for place in range(size)]
        weights = tf.where(little, weights, weights[::-1])
        digits = tf.cast(values[..., start : start + size], tf.int64)
        return tf.reduce_sum(digits * tf.cast(weights, tf.int64), axis=-1)

    def in_directory() -> tf.Tensor:
        end = tf.strings.length(exif)
        start = tf.cast(tf.minimum(number(values, 4, 4), tf.cast(end, tf.int64)), tf.int32)
        stated = tf.cast(number(values, start, 2), tf.int32)
        count = tf.maximum(tf.minimum(stated, (end - start - 2) // 12), 0)
        entries = tf.reshape(values[start + 2 : start + 2 + 12 * count], [count, 12])
        tag, kind, amount = number(entries, 0, 2), number(entries, 2, 2), number(entries, 4, 4)
        found = tf.where(kind == _SHORT, number(entries, 8, 2), number(entries, 8, 4))
        good = (tag == _ORIENTATION_TAG) & (amount == 1) & (found >= 1) & (found <= 8)
        good &= (kind == _SHORT) | (kind == _LONG)
        found = tf.cast(tf.boolean_mask(found, good), tf.int32)
        return tf.concat([[UPRIGHT], found], 0)[-1]

    return tf.cond(is_exif, in_directory, lambda: tf.constant(UPRIGHT))
