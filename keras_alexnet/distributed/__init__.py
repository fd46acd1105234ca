"""Devices, precision, and the workers of a run."""
