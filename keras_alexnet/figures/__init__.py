"""Looking inside a network, with the pictures of the 2012 paper; one call makes one picture.

`filters` is the paper's Figure 3, `neighbors` and `likeliest` are Figure 4, `curves` is Figure 1;
`activations` shows what a layer makes of an image.
"""

from keras_alexnet.figures.activations import activations
from keras_alexnet.figures.curves import curves
from keras_alexnet.figures.filters import filters
from keras_alexnet.figures.likeliest import likeliest
from keras_alexnet.figures.neighbors import neighbors

__all__ = ["activations", "curves", "filters", "likeliest", "neighbors"]
