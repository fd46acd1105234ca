"""The ranges of the arguments of a prediction."""

from keras_alexnet.utils.arguments import Range

TOP = Range(1, 100_000)  # a row of the CSV file has two cells for each
BATCH = Range(1, 65_536)  # images: those of AlexNet would take 40 GB
TIMEOUT = Range(above=0, most=1e6)  # seconds: 12 days
