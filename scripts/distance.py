"""`python scripts/distance.py` is `keras-alexnet distance` in a checkout."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from keras_alexnet.cli.main import run_script

if __name__ == "__main__":
    run_script("distance")
