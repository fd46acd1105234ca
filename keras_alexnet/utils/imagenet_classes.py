"""The 1000 classes of ImageNet (ILSVRC-2012): WordNet ids and names, in their order."""

import functools
import importlib.resources


@functools.cache
def imagenet_labels() -> list[tuple[str, str]]:
    """Returns (WordNet id, name) of each of the 1000 ImageNet classes.

    Example:
        >>> imagenet_labels()[1]
        ('n01443537', 'goldfish')
    """
    text = importlib.resources.files("keras_alexnet").joinpath("imagenet_labels.txt").read_text()
    pairs = (line.split() for line in text.splitlines())
    return [(wordnet_id, name) for wordnet_id, name in pairs]


@functools.cache
def imagenet_words() -> dict[str, str]:
    """Returns WordNet id → name with blanks, to show to people.

    Example:
        >>> imagenet_words()["n01484850"]
        'great white shark'
    """
    return {wordnet_id: name.replace("_", " ") for wordnet_id, name in imagenet_labels()}
