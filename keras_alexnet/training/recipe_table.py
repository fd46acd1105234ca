"""The table of all recipes: data only."""

import dataclasses
from typing import Any

from keras_alexnet.training.recipe import Recipe

_PAPER = Recipe(
    name="paper",
    note="Section 5 of the 2012 paper: batch 128, momentum 0.9, decay 0.0005 inside the momentum, "
    "rate 0.01 divided by 10 when the validation error stops improving, at most three times. "
    "The patience of 5 epochs is ours; the paper dropped the rate by hand. It tested on ten views, "
    "which is --views 10. It has no warm-up, as the paper had none: with few classes, alexnet, "
    "alexnet_two_tower, alexnet_2012 and cifar_resized can stay at chance with it, which the run "
    "then says; a lower --learning_rate and --clip_norm 1 help, as in the default recipe.",
    epochs=90,
    learning_rate=0.01,
    weight_decay=5e-4,
    schedule="plateau",
    augment=("crop", "flip", "color_noise(paper)"),
)


_DOCUMENT = Recipe(
    name="document",
    note="",
    momentum=0.0,
    augment=(),
    validation_fraction=0.0,
    keep="last",
)


_REPRODUCTION_NOTES = dataclasses.replace(
    _DOCUMENT,
    note="The CIFAR-10 reproduction notes of 2020 give only the batch of 100; "
    "SGD 0.01, momentum 0.9, 20 epochs and the flip are ours.",
    global_batch_size=100,
    momentum=0.9,
    augment=("flip",),
)


_FEWEST_STEPS = 600  # of a default recipe; on few images, a run has more epochs


_IMAGENET_DEFAULT = Recipe(
    name="default",
    note="One-cycle SGD with the paper's decay. No full ImageNet run backs it yet. The rate rises "
    "for a few steps, not for a share of them, so that a long run learns as soon as a short one: "
    "with a fifth of 60 epochs, alexnet_owt was at chance after three epochs of shapes.",
    epochs=60,
    learning_rate=0.02,
    weight_decay=5e-4,
    schedule="one_cycle",
    one_cycle_rise=0.0,
    warmup_steps=100,
    min_steps=_FEWEST_STEPS,
)


# For initial weights of PyTorch and Caffe, whose loss is flat at the start, and then steep.
_FLAT_DEFAULT = dataclasses.replace(
    _IMAGENET_DEFAULT,
    note=_IMAGENET_DEFAULT.note + " On shapes at 99 pixels without clipping, alexnet_owt leaves "
    "chance and is there again after two epochs with three of five seeds, and alexnet_caffe ended "
    "in NaN with one of five; with clipping at 1, all five of alexnet_owt classify 37 to 51 % of "
    "the validation images then, and of alexnet_caffe 57 to 73 %. Not clipped, alexnet_owt ends at "
    "chance with a rate of 0.03, and is as unsteady with 0.01.",
    warmup_steps=20,
    clip_norm=1.0,
)


# For N(0, 0.01), biases of 1 and pixels of ±128, whose loss is steep in one direction at the start.
_STEEP_DEFAULT = dataclasses.replace(
    _IMAGENET_DEFAULT,
    note=_IMAGENET_DEFAULT.note + " With few classes, the loss of these initial weights is steep "
    "at the start, because all units before the logits are near 1 for every image. For alexnet and "
    "ten classes, its largest curvature is 2130 at 64 pixels, 2410 at 99 and 3930 at 224: rates "
    "above 0.0018, 0.0016 and 0.001 overshoot there. On shapes at 99 pixels, three epochs with a "
    "rate of 0.02 end at chance with all units dead, 0.005 gives 61.5 %, 0.02 with clipping at 1 "
    "gives 50 %, and 0.004 with clipping at 5 stays at a loss of 2.8 for an epoch. With 0.01, 0.2 "
    "times that at fc7 and 0.02 times at logits, two epochs of seed 0 end at a loss of 1.3, and "
    "those of seed 1 (biases at 0.01) were at 1.65 after 120 of 142 steps; with clipping at 5, two "
    "seeds were at 2.5 after 100. So these two rates are lower for few classes. With a rise of 50 "
    "steps, five seeds of alexnet_two_tower classify 33 to 49 % of the validation images after two "
    "epochs; with 100, 15 to 48 %, of which the worst has 22 % with half the rate, and stays at "
    "chance with clipping at 1.",
    learning_rate=0.01,
    warmup_steps=50,
    layer_reference_classes={"fc7": 50, "logits": 500},
)


_CIFAR_DEFAULT = Recipe(
    name="default",
    note="One-cycle SGD with flips and pad-4 crops.",
    learning_rate=0.05,
    weight_decay=5e-4,
    schedule="one_cycle",
    min_steps=_FEWEST_STEPS,
)


_MUON = Recipe(
    name="default",
    note="Muon for the convolutions and one-cycle Nesterov momentum for all else, with mirrored "
    "images and crops that reflect the border. Tuned on 5,000 of the training images of "
    "cifar10-jpeg: two passes give what three passes of SGD do not.",
    min_steps=_FEWEST_STEPS,
    global_batch_size=64,
    optimizer="muon",
    nesterov=True,
    learning_rate=0.05,
    muon_rate=0.03,
    weight_decay=5e-4,
    schedule="one_cycle",
    augment=("crop(reflect)", "flip(alternating)"),
)


# The decay of an orthogonal step is decoupled, so that it has to be about its rate to matter.
_DECOUPLED = 100.0
_CONVOLUTIONS_2_TO_5 = {f"conv{number}": _DECOUPLED for number in (2, 3, 4, 5)}
_CONVOLUTIONS_1_AND_2 = {name: _DECOUPLED for name in ("conv1", "conv2")}
_CONVOLUTIONS_2_AND_3 = {name: _DECOUPLED for name in ("conv2", "conv3")}
_CONVOLUTION_2_AND_LOCALS = {name: _DECOUPLED for name in ("conv2", "local3", "local4")}


_FAST = dataclasses.replace(
    _MUON,
    name="fast",
    note="Two passes, for the least time from the command to a result; --epochs 4 or 8 for more. "
    "All images are trained on. No crops, which pay off in longer runs. On the test images of "
    "cifar10-jpeg in one view, two passes end at 74.9 %, four at 78.2 % and eight at 80.7 % (means "
    "of five seeds).",
    epochs=2,
    label_smoothing=0.1,
    layer_decay=_CONVOLUTIONS_1_AND_2,
    augment=("flip(alternating)",),
    validation_fraction=0.0,
    keep="last",
)


FINE_TUNE = Recipe(
    name="fine_tune",
    note="Ours: ten epochs of one-cycle SGD at a small rate, from trained weights. The rate is ten "
    "times as high at the logits, which start from scratch if the classes differ. --freeze_until "
    "trains fewer layers.",
    epochs=10,
    learning_rate=1e-3,
    weight_decay=5e-4,
    schedule="one_cycle",
    warmup_steps=50,
    min_steps=200,
    layer_rates={"logits": 10.0},
)


IMAGENET = (_FLAT_DEFAULT, _PAPER)


_STEEP = (_STEEP_DEFAULT, _PAPER)


_PROGRAM_2012 = dataclasses.replace(
    _PAPER,
    name="document",
    note="The log in layer-params-145-2010.cfg, of the run of 37.47/17.00 on ILSVRC-2010: rate "
    "0.01 divided by 10 at epochs 23, 51 and 78; color noise, in the program's own form, off at "
    "epoch 68, where conv1's own rate was divided by 10 as well; conv1 frozen from epoch 72; ended "
    "at epoch 93. (On ILSVRC-2012, layer-params-145.cfg: 25, 51, 79; 67; 72; 91.) The drops "
    "changed the rates of weights only, so those of biases stay at 0.02, as the second file has "
    "them at its end; the first ends with 0.002 and does not say since when. The program drew one "
    "crop and flip for every 32 images; here each image has its own.",
    epochs=93,
    bias_rate=2.0,
    schedule="drops",
    drop_epochs=(23, 51, 78),
    drops_divide="kernels",
    layer_drops={"conv1": (68,)},
    augment=("crop", "flip", "color_noise(2012,until=68)"),
    freeze_until="conv2",
    freeze_from_epoch=72,
    validation_fraction=0.0,
    keep="last",
    views=10,
)


_CAFFE = Recipe(
    name="document",
    note="Caffe's solver: rate 0.01 divided by 10 every 100,000 of 450,000 iterations of 256 "
    "images, biases at twice the rate and without decay, no color noise. The drops are given in "
    "epochs of 5005 steps, those of ILSVRC-2012. With --max_steps 450000, the last of the 90 "
    "epochs ends where Caffe's training did.",
    epochs=90,
    global_batch_size=256,
    learning_rate=0.01,
    weight_decay=5e-4,
    bias_rate=2.0,
    schedule="drops",
    drop_epochs=(19.98, 39.96, 59.94, 79.92),
    validation_fraction=0.0,
    keep="last",
)


# The layer-parameter files of cuda-convnet. Their rates are for the mean of a batch's gradients:
# the sum over the images is multiplied by epsW / numCases (Weights::update in weights.cuh), and
# their decay, wc, is inside the momentum, multiplied by epsW but not by the number of images.
_CUDA_CONVNET = Recipe(
    name="document",
    note="",
    learning_rate=0.001,
    weight_decay=0.004,
    bias_rate=2.0,
    schedule="drops",
    validation_fraction=0.0,
    keep="last",
    input_size=24,
    views=10,
)


_FOUR_FIFTHS = (
    "In the source, validation ended the training on four fifths of the images. To do the same, "
    "run with --validation_fraction 0.2 --epochs {epochs}, then resume on all images with --resume "
    "--validation_fraction 0 --epochs {all_epochs} --allow_change=validation_fraction,epochs. "
)


_CROPS = "Random 24x24 crops and mirror images, tested on ten views."


def _cuda_convnet(document: Recipe, **of_default: Any) -> tuple[Recipe, ...]:
    """A network's recipes, given that of its layer-parameter file and its part of the default."""
    # The first layer sees pixels of ±128 and starts from weights of 1e-4.
    default = dataclasses.replace(
        _MUON,
        epochs=24,
        learning_rate=0.002,
        muon_rate=0.015,
        layer_rates={"conv1": 0.03},
        label_smoothing=0.1,
    )
    return dataclasses.replace(default, **of_default), _PAPER, document


RECIPES = {
    "cifar_v1": (
        dataclasses.replace(
            _MUON,
            note=_MUON.note + " That was for cifar_v2, whose rates these are. From PyTorch's "
            "initial weights, plain SGD stays at chance for a long time; here the loss leaves 2.30 "
            "after 120 steps. Smoothed labels and the decay of the convolutions are worth more "
            "than epochs. Sixteen end at 84.0 % on the test images in one view, twenty at 85.0 % "
            "(mean of three seeds).",
            epochs=20,
            global_batch_size=128,
            label_smoothing=0.1,
            layer_decay=_CONVOLUTIONS_2_TO_5,
        ),
        _PAPER,
        _REPRODUCTION_NOTES,
    ),
    "cifar_v2": (
        dataclasses.replace(
            _MUON,
            note=_MUON.note + " Twenty-four epochs end at 82.6 % on the test images in one view, "
            "36 at 83.4 % (means of five seeds).",
            epochs=36,
            label_smoothing=0.1,
            layer_decay=_CONVOLUTIONS_1_AND_2,
        ),
        _PAPER,
        _FAST,
        dataclasses.replace(
            _DOCUMENT,
            note="The lesson's own training: SGD 0.1, batch 64, 20 epochs, no augmentation.",
            global_batch_size=64,
            learning_rate=0.1,
        ),
    ),
    "cifar_v3": (
        dataclasses.replace(
            _MUON,
            note=_MUON.note + " That was for cifar_v2. Its rates are too high here: the training "
            "top-1 fell from 71 % in epoch 3 to 66 % in epoch 6, and 24 epochs with them ended at "
            "88.4 % on the test images in one view. These 26 end at 89.9 %. With the decay of the "
            "convolutions, it learns and generalizes better from the first epochs on.",
            epochs=26,
            learning_rate=0.02,
            muon_rate=0.012,
            augment=(*_MUON.augment, "cutout(8)"),
            label_smoothing=0.1,
            layer_decay=_CONVOLUTIONS_2_TO_5,
        ),
        _PAPER,
        dataclasses.replace(
            _DOCUMENT,
            note="The linked repository's Adam 0.001, batch 128, flip and 100 epochs. The result "
            "on record is of 20 epochs, with the epsilon of Keras's Adam.",
            epochs=100,
            optimizer="adam",
            learning_rate=0.001,
            augment=("flip",),
        ),
    ),
    "cifar_resized": (
        dataclasses.replace(
            _CIFAR_DEFAULT,
            learning_rate=0.01,
            layer_reference_classes={"fc7": 50, "logits": 500},
            one_cycle_rise=0.0,
            warmup_steps=100,
            note="One-cycle SGD with flips and pad-4 crops, and the rates of alexnet. One epoch of "
            "cifar10-jpeg ends at 52.1 % of the test images, two end at 62.1 %. No full run backs "
            "it yet.",
        ),
        _PAPER,
        _REPRODUCTION_NOTES,
    ),
    "alexnet": _STEEP,
    "alexnet_two_tower": _STEEP,
    "alexnet_2012": (*_STEEP, _PROGRAM_2012),
    "alexnet_caffe": (*IMAGENET, _CAFFE),
    "cuda_convnet_11pct": _cuda_convnet(
        dataclasses.replace(
            _CUDA_CONVNET,
            note="layer-params-conv-local-11pct.cfg: 350 epochs on four fifths of the images, 150 "
            "on all, 10 at a tenth of the rate, 10 at a hundredth. "
            + _FOUR_FIFTHS.format(epochs=350, all_epochs=520)
            + _CROPS
            + " The file names epsW for the drops, so the rates of biases stay.",
            epochs=520,
            drop_epochs=(500, 510),
            drops_divide="kernels",
            layer_decay={"conv1": 0.0, "conv2": 0.0, "logits": 2.5},
        ),
        note=_MUON.note + " Smoothed labels and a decay of conv2 and the locally connected layers "
        "are worth more than epochs: on the test images in one view, twelve epochs end at "
        "84.2 %, and at 81.9 % without; 24 at 85.9 %. These had 1.5 times Muon's rate; with its "
        "own, 28 end at 86.3 %, with 92 % of the augmented training images. In twice the epochs, "
        "with squares cut out of the images, it ends at 86.6 %; in four times as many, with twice "
        "the decay of the locally connected layers, at 86.6 % again.",
        epochs=56,
        muon_rate=0.01,
        augment=(*_MUON.augment, "cutout(8)"),
        layer_decay=_CONVOLUTION_2_AND_LOCALS,
    ),
    "cuda_convnet_13pct": _cuda_convnet(
        dataclasses.replace(
            _CUDA_CONVNET,
            note="layer-params-conv-local-13pct.cfg. The epochs are from cuda-convnet's page on "
            "its method: 100 on four fifths of the images, 40 on all, 10 at a tenth of the rate, "
            "10 at a hundredth. "
            + _FOUR_FIFTHS.format(epochs=100, all_epochs=160)
            + _CROPS
            + " Neither says whether the drops divide the rates of biases; here they do.",
            epochs=160,
            drop_epochs=(140, 150),
            layer_decay={"conv1": 0.0, "conv2": 0.0},
        ),
        note=_MUON.note + " Smoothed labels and the decay of conv2 and the locally connected "
        "layers are those of cuda_convnet_11pct, and so is Muon's rate. Twenty epochs with 1.5 "
        "times that rate end at 85.1 % on the test images in one view, and these 40 at 86.5 %.",
        epochs=40,
        muon_rate=0.01,
        layer_decay=_CONVOLUTION_2_AND_LOCALS,
    ),
    "cuda_convnet_18pct": _cuda_convnet(
        dataclasses.replace(
            _CUDA_CONVNET,
            note="layer-params-18pct.cfg: all rates divided by 10 after 120 epochs and again after "
            "10 more. The 10 epochs after that are ours. " + _CROPS,
            epochs=140,
            drop_epochs=(120, 130),
            layer_decay={"logits": 250.0},
        ),
        note=_MUON.note + " Smoothed labels and the decay of conv2 and conv3 are those of "
        "cuda_convnet_11pct. On the test images in one view, 20 epochs end at 82.7 %, and 32 at "
        "83.2 % (mean of three seeds).",
        epochs=32,
        layer_decay=_CONVOLUTIONS_2_AND_3,
    ),
    "cuda_convnet_80sec": _cuda_convnet(
        dataclasses.replace(
            _CUDA_CONVNET,
            note="layer-params-80sec.cfg: the learning rate divided by 10 after 8 epochs. The 2 "
            "epochs after that are ours. " + _CROPS,
            epochs=10,
            drop_epochs=(8,),
            layer_decay={"fc64": 7.5, "logits": 7.5},
        ),
        note=_MUON.note + " Smoothed labels and the decay of conv2 and conv3 are those of "
        "cuda_convnet_11pct. It ends at 81.3 % on the test images in one view (mean of three "
        "seeds).",
        layer_decay=_CONVOLUTIONS_2_AND_3,
    ),
}
