"""What TensorFlow and servers say, made fit for messages."""

import re
import reprlib

from keras_alexnet.errors import UserError
from keras_alexnet.utils.text import printable

_TEXT_LENGTH = 500  # of what a server says, in a message
_PARSED_LENGTH = 10**5  # of an error, in which the line that says what is wrong is looked for


def reason(text: str) -> str:
    """Returns the line of a TensorFlow error that says what is wrong, without names of nodes.

    Example:
        >>> reason("{{function_node f}} Invalid PNG data, size 60\\n\\t [[{{node map/DecodePng}}]]")
        'Invalid PNG data, size 60'
    """
    text = text[:_PARSED_LENGTH]
    without_nodes = re.sub(r"\{\{.*?\}\}", "", text.split("[[")[0].split(" [Op:")[0])
    lines = [line.strip() for line in without_nodes.splitlines()]
    found = next((line for line in reversed(lines) if line), text.strip() or "no reason given")
    return shortened(found)


def shortened(text: str) -> str:
    """Returns the beginning of what a server says, made safe to print."""
    return printable(text, _TEXT_LENGTH)


def unknown_answer(address: object, answer: object) -> UserError:
    """Returns the error for an answer that is not one of TensorFlow Serving's."""
    said = shortened(answer if isinstance(answer, str) else reprlib.repr(answer))
    return UserError(
        f"{address} gave an answer that does not have the form of TensorFlow Serving's: {said} Is "
        "that the address of a TensorFlow Serving server?"
    )
