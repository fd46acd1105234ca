r"""Exports a trained network for TF Serving, LiteRT and ONNX Runtime, checked against Keras.

    keras-alexnet export --model runs/mine --out saved_models/mine
    keras-alexnet export --model runs/mine --out saved_models/mine \
        --formats saved_model,tflite,onnx --quantization float32,float16,dynamic,int8
    keras-alexnet export --model cifar_v2 --out saved_models/v2 --formats web --layers conv1,conv2
"""

import argparse

from keras_alexnet.cli import flags
from keras_alexnet.cli.running import load_tensorflow
from keras_alexnet.cli.streams import say
from keras_alexnet.exporting.config import ExportConfig

_GROUPS = {
    "network": ["model", "variant"],
    "what to write": [
        "out",
        "formats",
        "quantization",
        "precision",
        "version",
        "input_dtype",
        "record",
    ],
    "the page in the browser": ["layers", "web_runtime"],
    "data": [
        *("dataset", "data_dir", "splits", "labels_csv", "dataset_name", "skip_corrupt"),
        *("max_image_pixels", "image_cache", "calibration_images", "seed"),
    ],
}


def add_flags(parser: flags.Parser) -> None:
    """Adds the flags of an export."""
    flags.add_config_flags(parser, ExportConfig, _GROUPS, rest="comparison with Keras")


def run(arguments: argparse.Namespace) -> None:
    """Exports, and prints what was written."""
    config = flags.config_of(ExportConfig, arguments)
    load_tensorflow()
    from keras_alexnet.exporting.export import export

    report = export(config)
    for name, facts in report["files"].items():
        say(f"{name}: {facts['file']}, {facts['bytes']:,} bytes")
        for figure in ("relative_difference", "top1_agreement", "top1"):
            print(f"  {figure}: {facts['agreement'][figure]}")
        for threads, seconds in facts.get("latency_seconds", {}).items():
            print(f"  milliseconds with {threads} thread(s): {1000 * seconds:.2f}")
