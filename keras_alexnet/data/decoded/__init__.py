"""Decoded images: many at once, and kept for the next run."""
