r"""Exports a trained network for TF Serving, LiteRT and ONNX Runtime, checked against Keras.

    python scripts/export.py --model runs/mine --out saved_models/mine
    python scripts/export.py --model runs/mine --out saved_models/mine \
        --formats saved_model,tflite,onnx --quantization float32,float16,dynamic,int8
"""

import dataclasses

import _cli

from keras_alexnet import ExportConfig, export

FLAGS = _cli.define_flags(dataclasses.fields(ExportConfig))


def main() -> None:
    report = export(ExportConfig(**_cli.values_of(FLAGS)))
    for name, facts in report["files"].items():
        print(f"{name}: {facts['file']}, {facts['bytes']:,} bytes")
        for figure in ("relative_difference", "top1_agreement", "top1"):
            print(f"  {figure}: {facts['agreement'][figure]}")
        for threads, seconds in facts.get("latency_seconds", {}).items():
            print(f"  milliseconds with {threads} thread(s): {1000 * seconds:.2f}")


if __name__ == "__main__":
    _cli.run(main)
