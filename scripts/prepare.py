r"""Turns the ImageNet archives, an image folder or an archive of one into shards of TFRecords.

    python scripts/prepare.py --source photos --out records/photos
    python scripts/prepare.py --source ~/downloads --out ~/records/imagenet --short_side 256
    python scripts/prepare.py --check --out ~/records/imagenet
    python scripts/train.py --variant alexnet --dataset tfrecord --data_dir ~/records/imagenet

Killed or stopped, it goes on where it was when it is run again with the same flags.
"""

import _cli
from absl import flags

from keras_alexnet import PrepareConfig, UsageError, prepare, verify_prepared

flags.DEFINE_string(
    "source",
    None,
    "Folder that holds ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar, or an image folder, or "
    "a .tar, .tar.gz or .zip of one.",
)
flags.DEFINE_string("out", None, "Folder to write.")
flags.DEFINE_string("dataset_name", None, "Name of the data in results.")
flags.DEFINE_integer("short_side", None, "Shrink larger images to this shorter side, in pixels.")
flags.DEFINE_integer("seed", 0, "Of the order in which images are dealt to the shards.")
flags.DEFINE_integer("images_per_shard", 1024, "The most that a shard holds.")
flags.DEFINE_boolean("skip_corrupt", False, "Leave out and name images that cannot be decoded.")
flags.DEFINE_string(
    "validation_labels",
    None,
    "Text file with the WordNet id of ImageNet's validation image k on line k; by default the list "
    "that tensorflow-datasets brings.",
)
flags.DEFINE_integer("threads", None, "Threads that decode; by default one a processor.")
flags.DEFINE_boolean("check", False, "Only compare the hashes of all files in --out.")
_OPTIONS = (
    "dataset_name short_side seed images_per_shard skip_corrupt validation_labels threads"
).split()


def main() -> None:
    chosen = _cli.FLAGS
    if chosen.out is None:
        raise UsageError("--out is needed: the folder with the shards.")
    if chosen.check:
        if chosen.source is not None:
            raise UsageError("--check looks at --out alone. Leave --source out.")
        manifest = verify_prepared(chosen.out)
        print(f"All {len(list(manifest.files()))} files are as the manifest says.")
    else:
        if chosen.source is None:
            raise UsageError("--source is needed: a folder of archives or images, or an archive.")
        manifest = prepare(
            PrepareConfig(source=chosen.source, out=chosen.out, **_cli.values_of(_OPTIONS))
        )
    print(f"dataset: {manifest.name}, {len(manifest.class_names)} classes")
    for name, part in manifest.parts.items():
        print(f"{name}: {part.images} images in {len(part.shards)} shards")
    print(f"skipped: {len(manifest.skipped)}")


if __name__ == "__main__":
    _cli.run(main)
