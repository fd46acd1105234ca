"""DataSpec and PrepareConfig: which data set to read, and what to prepare."""

import dataclasses
import os

from keras_alexnet.networks.spec import LARGEST_SIDE
from keras_alexnet.utils.arguments import Config, normalize, setting

# Half a GiB of RGB pixels. Pillow, and TensorFlow for JPEGs, decode no more either.
MAX_IMAGE_PIXELS = 2**29 // 3

_MAX_IMAGE_PIXELS_HELP = (
    "Largest number of pixels of an image that is decoded; larger images count as unreadable."
)


@dataclasses.dataclass(frozen=True)
class DataSpec(Config):
    """Names a data set: which one, where it is, and what results call it.

    The configs of training, evaluation and export are `DataSpec`s with more fields. All configs
    take paths as text or `os.PathLike`, expand `~` in them, and take numpy's numbers.

    Raises:
        UsageError: if a field cannot have its value.

    Example:
        >>> DataSpec("image_folder", data_dir="photos").dataset
        'image_folder'
    """

    dataset: str | None = setting(
        None,
        "Name of a data set; by default cifar10 if there is a copy or it can be downloaded, and if "
        "not, shapes.",
    )
    data_dir: str | os.PathLike | None = setting(None, "Folder or archive that holds the data.")
    dataset_name: str | None = setting(None, "Name of the data in results.")
    skip_corrupt: bool = setting(
        False, "Leave out and count images that cannot be read, instead of stopping at them."
    )
    splits: str | None = setting(
        None,
        "For image_folder: the folders in --data_dir that are splits, such as "
        "train=Training,test=Testing; none means that all folders there are classes. By default "
        "recognized by their usual names.",
    )
    labels_csv: str | os.PathLike | None = setting(
        None,
        "For image_folder: file with lines of file name,label or file name,label,split, for images "
        "in no class folders; by default labels.csv in --data_dir, if there are none.",
    )
    max_image_pixels: int = setting(MAX_IMAGE_PIXELS, _MAX_IMAGE_PIXELS_HELP, least=1)
    image_cache: bool = setting(
        True, "Keep decoded images of image folders and archives in the cache, for the next run."
    )

    def __post_init__(self) -> None:
        normalize(self)

    @property
    def data(self) -> "DataSpec":
        """Returns only the fields that name the data."""
        names = [field.name for field in dataclasses.fields(DataSpec)]
        return DataSpec(**{name: getattr(self, name) for name in names})


@dataclasses.dataclass(frozen=True, kw_only=True)
class PrepareConfig(Config):
    """What to prepare: images that become shards of TFRecords.

    Raises:
        UsageError: if a field cannot have its value.

    Example:
        >>> PrepareConfig(source="photos.zip", out="records/photos").images_per_shard
        1024
    """

    source: str | os.PathLike = setting(
        None,
        "Folder that holds ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar, or an image "
        "folder, or a .tar, .tar.gz or .zip of one.",
    )
    out: str | os.PathLike = setting(
        None, "Folder to write: new, empty, or from an earlier preparation with the same settings."
    )
    dataset_name: str | None = setting(
        None,
        "Name of the data in results; by default imagenet2012 or the source's stem, followed by "
        "-short256 if images are shrunk to 256 pixels.",
    )
    short_side: int | None = setting(
        None,
        "Shrink images whose shorter side is longer to this many pixels and encode them as JPEG "
        "of quality 95 without chroma subsampling; others keep their bytes.",
        least=1,
        most=LARGEST_SIDE,
    )
    seed: int = setting(0, "Fixes which images each shard holds, and in which order.", least=0)
    images_per_shard: int = setting(1024, "Largest number of images in a shard.", least=1)
    skip_corrupt: bool = setting(
        False, "Leave out images that cannot be decoded, and name them in the manifest."
    )
    max_image_pixels: int = setting(MAX_IMAGE_PIXELS, _MAX_IMAGE_PIXELS_HELP, least=1)
    validation_labels: str | os.PathLike | None = setting(
        None,
        "Text file with the WordNet id of ImageNet's validation image k on line k; by default the "
        "list in tensorflow-datasets.",
    )
    splits: str | None = setting(
        None,
        "For image folders: the folders in --source that are splits, such as "
        "train=Training,test=Testing; none means that all folders there are classes. By default "
        "recognized by their usual names.",
    )
    labels_csv: str | os.PathLike | None = setting(
        None,
        "For image folders: file with lines of file name,label or file name,label,split, for "
        "images in no class folders; by default labels.csv in --source, if there are none.",
    )
    threads: int | None = setting(
        None, "Threads that decode; by default one per processor.", least=1, most=1024
    )

    def __post_init__(self) -> None:
        normalize(self)
