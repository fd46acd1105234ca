"""The parts of a model card: where a network is from, what was measured, how to use it."""
