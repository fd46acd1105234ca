r"""Trains a network and leaves model, figures and pictures in a folder.

    python scripts/train.py --variant cifar_v1
    python scripts/train.py --variant cifar_v2 --recipe document --dataset image_folder \
        --data_dir cifar10-jpeg.tar.gz --record saved_models/results.csv
"""

import _cli

from keras_alexnet import TrainConfig, train
from keras_alexnet.training.config import FLAG_FIELDS, RECIPE_FLAG_FIELDS

RUN_FLAGS = _cli.define_flags(FLAG_FIELDS)
RECIPE_FLAGS = _cli.define_flags(RECIPE_FLAG_FIELDS, optional=True)


def main() -> None:
    given = {k: v for k, v in _cli.values_of(RECIPE_FLAGS).items() if v is not None}
    results = train(TrainConfig(**_cli.values_of(RUN_FLAGS), overrides=given))
    for name in ("dataset", "test_loss", "test_top1", "test_top5", "seconds", "workdir"):
        print(f"{name}: {results[name]}")


if __name__ == "__main__":
    _cli.run(main)
