"""Augmentations with more code than the others: RandAugment and random erasing."""
