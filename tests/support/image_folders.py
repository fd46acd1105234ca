"""Image folders whose classes differ by color."""

import numpy as np
import tensorflow as tf


def write_images(folder, classes, images_per_class, size=32, seed=0):
    """Writes noisy PNGs to folder/<class>/, each class in a different color."""
    generator = np.random.default_rng(seed)
    colors = generator.integers(40, 216, (len(classes), 3))
    for name, color in zip(classes, colors, strict=True):
        (folder / name).mkdir(parents=True)
        for number in range(images_per_class):
            noise = generator.normal(0, 30, (size, size, 3))
            pixels = np.clip(color + noise, 0, 255).astype(np.uint8)
            (folder / name / f"{number:03d}.png").write_bytes(tf.io.encode_png(pixels).numpy())


def write_names(folder, *names):
    """Writes a PNG of its own to each name below a folder, and returns the folder."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.full((4, 4, 3), number % 256, np.uint8)
        path.write_bytes(tf.io.encode_png(pixels).numpy())
    return folder
