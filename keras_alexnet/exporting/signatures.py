"""Serving signatures: the TensorFlow functions of a network for inference."""

import tensorflow as tf

from keras_alexnet.data import decode, views
from keras_alexnet.networks.image_plan import ImagePlan
from keras_alexnet.trained import TOP, TrainedNetwork


def pixels(network: TrainedNetwork, dtype: str) -> tf.TensorSpec:
    """Returns the spec of the input `image`: pixels 0–255, `[N, H, W, 3]`."""
    return tf.TensorSpec([None, *network.input_shape], dtype, "image")


def probabilities(network: TrainedNetwork, image: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns `logits` and `probabilities`, float32 `[N, classes]`, of pixels of any type."""
    logits = network.model(tf.cast(image, tf.float32), training=False)
    return {"logits": logits, "probabilities": tf.nn.softmax(logits)}


def signatures(
    network: TrainedNetwork, input_dtype: str
) -> dict[str, tf.types.experimental.GenericFunction]:
    """Returns the signatures of a SavedModel: `serving_default`, `image_bytes` and `features`.

    Args:
        network: the network.
        input_dtype: "uint8" or "float32", the type of the pixels in `image`.
    """
    declared = pixels(network, input_dtype)
    hidden = network.features

    def classified(image: tf.Tensor) -> dict[str, tf.Tensor]:
        image = _not_empty(image)
        outputs = probabilities(network, image)
        top = tf.math.top_k(outputs["probabilities"], min(TOP, len(network.labels)))
        # A table would have to be initialized, which OpenVINO does not do.
        classes = tf.gather(tf.constant(network.labels), top.indices)
        return {**outputs, "classes": classes, "scores": top.values}

    @tf.function(input_signature=[declared], autograph=False)
    def serving_default(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return classified(_checked(image, declared))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")], autograph=False)
    def image_bytes(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        return classified(inputs_from_bytes(image_bytes, network.plan))

    @tf.function(input_signature=[declared], autograph=False)
    def features(image: tf.Tensor) -> dict[str, tf.Tensor]:
        image = _not_empty(_checked(image, declared))
        outputs = hidden(tf.cast(image, tf.float32), training=False)
        return {"features": tf.cast(outputs, tf.float32)}

    return {each.__name__: each for each in (serving_default, image_bytes, features)}


def inputs_from_bytes(contents: tf.Tensor, plan: ImagePlan) -> tf.Tensor:
    """Converts encoded JPEGs and PNGs to inputs, as in evaluation, without Python in the graph.

    Images with more than `MAX_IMAGE_PIXELS` are refused.

    Args:
        contents: string [N].
        plan: how an image becomes an input.

    Returns:
        uint8 `[N, s, s, 3]`.
    """
    squares = tf.map_fn(
        lambda image: decode.decode_square(image, *plan.square, python_free=True),
        contents,
        fn_output_signature=tf.TensorSpec([plan.square_size, plan.square_size, 3], tf.uint8),
    )
    return views.center_view(squares, plan)


def _not_empty(image: tf.Tensor) -> tf.Tensor:
    # On CPUs, convolutions of an empty batch fail with a misleading message.
    not_empty = tf.Assert(
        tf.shape(image)[0] > 0, ["The batch is empty: at least one image is needed."]
    )
    with tf.control_dependencies([not_empty]):
        return tf.identity(image)


def _checked(image: tf.Tensor, declared: tf.TensorSpec) -> tf.Tensor:
    # Servers pass on whatever they are sent. The placeholder hides the shape that the signature
    # declares: without it, TensorFlow would consider the check passed and leave it out.
    received = tf.raw_ops.PlaceholderWithDefault(input=image, shape=tf.TensorShape(None))
    return tf.ensure_shape(received, declared.shape)
