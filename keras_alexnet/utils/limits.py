"""The ranges that several settings share."""

from keras_alexnet.utils.values import Range

LARGEST_BATCH = 65_536  # images: those of AlexNet would take 40 GB

BATCH = Range(1, LARGEST_BATCH)
TOP = Range(1, 100_000)  # a row of the CSV file has two cells for each
TIMEOUT = Range(above=0, most=1e6)  # seconds: 12 days
PIXELS = Range(1, 2**40)  # of an image
