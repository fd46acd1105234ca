"""The networks: their numbers, layers and builder."""
