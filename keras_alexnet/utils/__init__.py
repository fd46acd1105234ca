"""Helpers for files, arguments, terminal, machine, provenance and private TensorFlow names."""
