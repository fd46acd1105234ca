"""Prints a network's layers: kernels, output shapes, parameters, MACs, memory, and totals.

python scripts/summary.py --variant alexnet
python scripts/summary.py --variant cifar_v2 --batch_size 64 --json summary.json
"""

import _cli
from absl import flags

from keras_alexnet import UsageError, build, list_variants
from keras_alexnet.networks.summary import layer_table
from keras_alexnet.utils import files

flags.DEFINE_string("variant", None, f"The network: {', '.join(list_variants())}.")
flags.DEFINE_integer("num_classes", None, "Number of classes; by default the network's own.")
flags.DEFINE_integer("input_size", None, "Height and width of the images; by default its own.")
flags.DEFINE_integer("batch_size", 1, "Images in the batch whose activations are counted.")
flags.DEFINE_string("json", None, "File to write the table to as well.")


def main() -> None:
    chosen = _cli.FLAGS
    if chosen.variant is None:
        raise UsageError(f"--variant is needed: {', '.join(list_variants())}.")
    size = chosen.input_size
    shape = None if size is None else (size, size, 3)
    model = build(chosen.variant, num_classes=chosen.num_classes, input_shape=shape)
    table = layer_table(model, chosen.batch_size)
    print(table.as_text())
    if chosen.json is not None:
        files.write_json(chosen.json, table.as_dict())


if __name__ == "__main__":
    _cli.run(main)
