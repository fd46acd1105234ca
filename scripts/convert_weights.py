r"""Turns weights of PyTorch or Caffe into a model file, or a model into weights for PyTorch.

    python scripts/convert_weights.py --from torchvision --weights alexnet-owt-7be5be79.pth \
        --labels imagenet --check photo.jpg --out owt/model.keras
    python scripts/convert_weights.py --from caffe --weights bvlc_alexnet.caffemodel \
        --mean ilsvrc_2012_mean.npy --labels imagenet --out caffe/model.keras
    python scripts/convert_weights.py --to torch --weights runs/mine --out mine.safetensors
"""

import _cli
from absl import flags

from keras_alexnet import UsageError, convert

flags.DEFINE_enum(
    "from", None, list(convert.SOURCES), "Whose weights; pytorch is for the documents' networks."
)
flags.DEFINE_enum("to", "keras", ["keras", "torch"], "What to write.")
flags.DEFINE_string(
    "weights",
    None,
    "PyTorch's state dict, .safetensors or (with torch installed) .pth; a .caffemodel; with --to "
    "torch a run's folder or a .keras file.",
)
flags.DEFINE_string("out", None, "File to write: .keras, or .safetensors with --to torch.")
flags.DEFINE_string(
    "variant", None, "The network; by default alexnet_owt for torchvision, alexnet_caffe for Caffe."
)
flags.DEFINE_string("mean", None, "Caffe's mean: a .binaryproto or .npy file.")
flags.DEFINE_string(
    "labels", None, "Text file with a class a line, or imagenet; goes to labels.txt beside --out."
)
flags.DEFINE_string(
    "sha256", None, "What the file's SHA-256 must be, or its first 8 digits or more."
)
flags.DEFINE_string("check", None, "Image whose likeliest classes are printed, before and after.")
flags.DEFINE_string(
    "names", None, "With --to torch: whose module names, torchvision or document (alexnet_owt)."
)
_INWARD = ("mean", "labels", "sha256", "check")


def main() -> None:
    chosen = _cli.FLAGS
    for name in ("weights", "out"):
        if not chosen[name].value:
            raise UsageError(f"--{name} is needed.")
    for name in ("variant", "names", *_INWARD):
        if chosen[name].value == "":
            raise UsageError(f"--{name} is empty. Give it a value or leave it out.")
    if chosen.to == "torch":
        _write_for_torch(chosen)
    else:
        _convert(chosen)


def _convert(chosen) -> None:
    if not chosen["from"].value:
        raise UsageError(f"--from is needed: {', '.join(convert.SOURCES)}.")
    if chosen.names:
        raise UsageError("--names goes with --to torch. Leave it out.")
    loaded, checked = convert.convert(
        chosen.weights,
        chosen.out,
        source=chosen["from"].value,
        variant=chosen.variant,
        **_cli.values_of(_INWARD),
    )
    print(f"{loaded.path}: SHA-256 {loaded.sha256}")
    print(f"filled: {', '.join(loaded.layers)}")
    if checked:
        _print_top("before, by the converted file's own framework", checked.before)
        _print_top("after, by the converted network", checked.after)
        if checked.framework:
            print(f"logits: within {checked.relative_difference:.1e} of {checked.framework}'s")
    print(f"written: {chosen.out}")


def _print_top(when, top) -> None:
    print(f"{when}:")
    if top is None:
        print("  not installed here: torch for PyTorch's weights, opencv-python<5 for Caffe's")
        return
    for name, score in zip(top.classes, top.scores, strict=True):
        print(f"  {100 * score:5.1f} %  {name}")


def _write_for_torch(chosen) -> None:
    for name in ("from", *_INWARD):
        if chosen[name].value:
            raise UsageError(f"--{name} does not go with --to torch. Leave it out.")
    tensors = convert.to_torch(
        chosen.weights, chosen.out, variant=chosen.variant, names=chosen.names
    )
    for name, shape in tensors.items():
        print(f"{name}: {'x'.join(map(str, shape))}")
    print(f"written: {chosen.out}")


if __name__ == "__main__":
    _cli.run(main)
