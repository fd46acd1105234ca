"""Trains for one step, in a process of its own, and ends."""

import os
import sys
import tempfile
from collections.abc import Sequence


def main(arguments: Sequence[str]) -> None:
    """Trains a network for a step on images in a folder or archive, or on made up ones.

    Args:
        arguments: the name of the network, and the folder or archive if there is one.
    """
    import keras

    from keras_alexnet.training.config import TrainConfig
    from keras_alexnet.training.train import train

    class End(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: object = None) -> None:
            os._exit(0)

    variant, *data_dir = arguments
    with tempfile.TemporaryDirectory() as folder:
        config = TrainConfig(
            variant=variant,
            workdir=os.path.join(folder, "run"),
            num_devices=1,
            dataset="image_folder" if data_dir else "shapes",
            data_dir=data_dir[0] if data_dir else None,
        )
        train(config, [End()])
    sys.exit("No step was trained.")


if __name__ == "__main__":
    main(sys.argv[1:])
