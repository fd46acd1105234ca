"""Perceptual distance of images: LPIPS version 0.1 on AlexNet."""
