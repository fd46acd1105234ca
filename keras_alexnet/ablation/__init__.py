"""Ablation studies: a network and versions of it, trained with several seeds and compared."""
