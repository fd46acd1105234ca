"""Activations of a network's layers for many images, in memory and in files."""
