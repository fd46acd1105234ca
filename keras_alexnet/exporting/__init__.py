"""From a trained network to the things that other programs run."""
