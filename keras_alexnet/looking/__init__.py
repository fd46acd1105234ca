"""Looking inside a network, with the pictures of the 2012 paper; one call makes one picture.

`filters` is the paper's Figure 3, `neighbours` and `likeliest` are Figure 4, `curves` is Figure 1;
`activations` shows what a layer makes of an image.
"""

from keras_alexnet.looking.activations import activations
from keras_alexnet.looking.curves import curves
from keras_alexnet.looking.filters import filters
from keras_alexnet.looking.likeliest import likeliest
from keras_alexnet.looking.neighbours import neighbours

__all__ = ["activations", "curves", "filters", "likeliest", "neighbours"]
