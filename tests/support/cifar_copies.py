"""Small copies of CIFAR in its published formats."""

import io
import pathlib
import pickle
import tarfile

import numpy as np

from keras_alexnet.data.readers import cifar

TRAIN, TEST = 50, 10


class Python2Pickler(pickle._Pickler):
    """Pickles bytes as Python 2 pickled its strings, as in the official files."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_bytes(self, value):
        self.write(pickle.BINSTRING + len(value).to_bytes(4, "little") + value)
        self.memoize(value)

    dispatch[bytes] = save_bytes


def python2_pickle(value) -> bytes:
    buffer = io.BytesIO()
    Python2Pickler(buffer, protocol=2).dump(value)
    return buffer.getvalue().replace(b"numpy._core", b"numpy.core")


def content(name: str):
    """Training images and labels, test images and labels, class names."""
    classes = 10 if name != "cifar100" else 100
    random = np.random.default_rng(0)
    arrays = []
    for count in (TRAIN, TEST):
        arrays.append(random.integers(0, 256, (count, 32, 32, 3), np.uint8))
        arrays.append(random.integers(0, classes, count))
    return *arrays, [f"{name} class {i}" for i in range(classes)]


def official_files(name: str, form: str) -> dict[str, bytes]:
    train_images, train_labels, test_images, test_labels, class_names = content(name)
    planes = [i.transpose(0, 3, 1, 2).reshape(len(i), -1) for i in (train_images, test_images)]
    parts = 5 if name == "cifar10" else 1
    batches = [
        *zip(np.split(planes[0], parts), np.split(train_labels, parts), strict=True),
        (planes[1], test_labels),
    ]
    version = cifar.VERSIONS[name][0 if form == "python" else 1]
    files = {}
    for file, (data, labels) in zip(version.train + version.test, batches, strict=True):
        if form == "python":
            batch = {b"data": data, version.labels_key: labels.tolist(), b"batch_label": b"x"}
            files[file] = python2_pickle(batch)
        else:
            columns = [labels] if name == "cifar10" else [labels // 5, labels]
            files[file] = np.column_stack([*columns, data]).astype(np.uint8).tobytes()
    if form == "python":
        names = [class_name.replace(" ", "_").encode() for class_name in class_names]
        files[version.class_names] = python2_pickle({version.names_key: names})
    else:
        lines = "\n".join(class_name.replace(" ", "_") for class_name in class_names)
        files[version.class_names] = (lines + "\n\n").encode()
    return files


def version_of(name, form):
    return cifar.VERSIONS[name][0 if form == "python" else 1]


def put(folder: pathlib.Path, files: dict[str, bytes]) -> pathlib.Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, contents in files.items():
        (folder / name).write_bytes(contents)
    return folder


def packed(archive: pathlib.Path, folder: str, files: dict[str, bytes]) -> pathlib.Path:
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "w:gz") as target:
        for name, contents in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(contents)
            target.addfile(member, io.BytesIO(contents))
    return archive


def check_content(data, name):
    train_images, train_labels, test_images, test_labels, class_names = content(name)
    assert np.array_equal(data.train.pixels.images, train_images)
    assert np.array_equal(data.test.pixels.images, test_images)
    assert np.array_equal(data.train.labels, train_labels) and data.train.labels.dtype == np.int32
    assert np.array_equal(data.test.labels, test_labels)
    assert [c.replace("_", " ") for c in data.class_names] == class_names
    assert data.name == name and data.note is None and data.sha256_of == "images and labels"
