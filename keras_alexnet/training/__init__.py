"""Training of networks: recipes, the step, the loop, checkpoints, resuming."""
