"""Predictions from a network: a file on this machine, or one behind a server."""
