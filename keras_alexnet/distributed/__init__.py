"""The devices, the precision and the workers of a run."""
