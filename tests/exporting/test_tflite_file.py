"""Reading a TFLite file's operators, whatever the file holds."""

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_alexnet import UserError
from keras_alexnet.exporting import tflite_file
from keras_alexnet.exporting.formats import tflite
from keras_alexnet.networks.spec import ImagePlan
from support.exports import transparent
from support.mutations import SEARCH, damaged, read_or_refused


@pytest.fixture(scope="module")
def contents():
    return tflite.convert(transparent(ImagePlan(4, 4, 0, 4)), "float32")


READERS = (
    tflite_file.operators,
    tflite_file.float_operators,
    tflite_file.check_builtin,
    tflite_file.check_signature,
)


@settings(SEARCH, max_examples=300)
@given(data=st.data())
def test_damaged_files_are_user_errors(contents, data):
    changed = data.draw(damaged(contents))
    for read in READERS:
        read_or_refused(lambda read=read: read(changed), bytes_at_most=100 * len(changed))


def test_operators_that_are_not_builtin_are_refused():
    @tf.function(input_signature=[tf.TensorSpec([1, 9, 9, 3], tf.float32)], autograph=False)
    def patches(image):
        sizes = [1, 3, 3, 1]
        return tf.image.extract_patches(image, sizes, sizes, [1, 1, 1, 1], padding="VALID")

    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [patches.get_concrete_function()], tf.Module()
    )
    converter.target_spec.supported_ops = [
        tf.lite.OpsSet.TFLITE_BUILTINS,
        tf.lite.OpsSet.SELECT_TF_OPS,
    ]
    with pytest.raises(UserError, match="Received: FlexExtractImagePatches. Replace"):
        tflite_file.check_builtin(converter.convert())


def test_operators_are_named_in_order(contents):
    names = tflite_file.operators(contents)
    assert names[0] == "CAST" and names[-1] == "SOFTMAX"
    assert tflite_file.float_operators(contents)[-1] == "SOFTMAX"
