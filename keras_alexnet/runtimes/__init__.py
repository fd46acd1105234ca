"""Runtimes of exported files."""
