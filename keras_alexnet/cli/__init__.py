"""The command `keras-alexnet`: one module for each subcommand.

A subcommand's module has `add_flags(parser)` and `run(arguments)`, and its docstring is the
description in its `--help`. TensorFlow is imported only after the flags have been read.
"""
