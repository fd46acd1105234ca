"""The work of a process that counts when it is asked; without TensorFlow."""

import tempfile

from keras_alexnet.errors import UserError


def count(turns, *, start):
    """Answers twice, and then fails."""
    print("What a library prints is no answer.")
    turns.answer({"start": start})
    for number in range(start + 1, start + 3):
        turns.wait()
        turns.answer({"count": number})
    turns.wait()
    raise UserError(f"{start + 2} is enough")


def leave(turns):
    """Answers with a temporary folder that it has made, and waits."""
    turns.answer({"folder": tempfile.mkdtemp()})
    turns.wait()
