"""The command keras-alexnet: one module a subcommand, no TensorFlow before the flags are read.

A subcommand's module has `add_flags(parser)` and `run(arguments)`; the first paragraph of its
docstring and the examples below it are its `--help`.
"""
