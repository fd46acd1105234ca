"""Keeps what converters and runtimes tell their own developers off the user's terminal."""

import contextlib
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet(*, shown_on_failure: bool = True) -> Iterator[None]:
    """Holds back what is printed to standard error, warned and logged.

    Some of it comes from C++ and goes past Python's `sys.stderr` and past TF_CPP_MIN_LOG_LEVEL.

    Args:
        shown_on_failure: whether to print it after all if the body fails.

    Example:
        >>> with quiet():
        ...     tf.saved_model.save(tf.Module(), "folder")
    """
    standard_error = os.dup(2)
    loggers = [logging.getLogger(name) for name in ("absl", "tensorflow", "tf2onnx")]
    levels = [logger.level for logger in loggers]
    with tempfile.TemporaryFile() as said, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.dup2(said.fileno(), 2)
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        except BaseException:
            if shown_on_failure:
                said.seek(0)
                os.write(standard_error, said.read())
            raise
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
            os.dup2(standard_error, 2)
            os.close(standard_error)
