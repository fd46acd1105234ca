"""`python -m keras_alexnet` is the command keras-alexnet."""

import sys

from keras_alexnet.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
