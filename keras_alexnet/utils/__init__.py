"""Helpers for files, JSON, signals, arguments, terminal, machine, and TensorFlow's internals."""
