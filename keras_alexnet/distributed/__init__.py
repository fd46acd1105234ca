"""Devices, precision, workers."""
