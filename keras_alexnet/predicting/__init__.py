"""Predictions of a network in a file on this machine or on a server."""
