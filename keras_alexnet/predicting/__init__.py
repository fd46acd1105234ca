"""Predictions from a network, wherever it runs."""
