"""What `keras-alexnet benchmark` measures: a module for each of the entries of `catalog`."""
