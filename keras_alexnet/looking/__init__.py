"""Looking inside a network, with the pictures of the 2012 paper; one call makes one picture.

`filters` is the paper's Figure 3, `neighbours` and `likeliest` are Figure 4, `curves` is Figure 1;
`activations` shows what a layer makes of an image.
"""

from keras_alexnet.looking.first_layer import filters
from keras_alexnet.looking.layer_maps import activations
from keras_alexnet.looking.nearest import neighbours
from keras_alexnet.looking.run_curves import curves
from keras_alexnet.looking.top_labels import likeliest

__all__ = ["activations", "curves", "filters", "likeliest", "neighbours"]
