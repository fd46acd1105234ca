"""From a trained network to the files that other programs run."""
