r"""Converts ImageNet's archives, or an image folder or archive, to shards of TFRecords.

    keras-alexnet prepare --source photos --out records/photos
    keras-alexnet prepare --source ~/downloads --out ~/records/imagenet --short_side 256
    keras-alexnet prepare --check --out ~/records/imagenet

If it is stopped or killed, run it again with the same flags to resume. To train on the shards, use
--dataset tfrecord --data_dir ~/records/imagenet.
"""

import argparse
from typing import Any

from keras_alexnet.cli import flags
from keras_alexnet.cli.running import load_tensorflow
from keras_alexnet.cli.streams import say
from keras_alexnet.data.config import PrepareConfig
from keras_alexnet.errors import UsageError


def add_flags(parser: flags.Parser) -> None:
    """Adds the flags of a preparation."""
    flags.add_config_flags(parser, PrepareConfig, {}, rest="preparation", optional=["source"])
    help_text = "Only check the hashes of all files in --out against its manifest."
    flags.add_flag(parser, "check", bool, help_text, default=False)


def run(arguments: argparse.Namespace) -> None:
    """Prepares, or checks what was prepared."""
    if arguments.check and arguments.source is not None:
        raise UsageError("--check looks only at --out. Leave --source out.")
    if not arguments.check and arguments.source is None:
        raise UsageError("--source is needed: a folder of archives or images, or an archive.")
    config = flags.config_of(PrepareConfig, arguments)
    load_tensorflow()
    if arguments.check:
        from keras_alexnet.data.manifest import verify_prepared

        manifest = verify_prepared(config.out)
        print(f"All {len(list(manifest.files()))} files match the manifest.")
    else:
        from keras_alexnet.data.prepare import prepare

        manifest = prepare(config)
    _print(manifest)


def _print(manifest: Any) -> None:
    say(f"dataset: {manifest.name}, {len(manifest.class_names)} classes")
    for name, part in manifest.parts.items():
        say(f"{name}: {part.images} images in {len(part.shards)} shards")
    print(f"skipped: {len(manifest.skipped)}")
