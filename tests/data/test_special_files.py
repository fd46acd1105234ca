"""Pipes, sockets, devices and folders in the place of images are errors, and nothing waits."""

import os
import socket

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import keras_alexnet as ka
from keras_alexnet import run_folder
from keras_alexnet.data import failures, memory_budget
from keras_alexnet.data.image_files import ImageFiles
from keras_alexnet.data.pipeline import eval_batches
from keras_alexnet.data.records import index_records
from keras_alexnet.data.splits import Split
from keras_alexnet.errors import UserError
from keras_alexnet.predicting.images import input_images

KINDS = ["pipe", "socket", "folder", "device", "link to a pipe"]


def put(kind: str, path) -> None:
    if kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "socket":
        here = os.getcwd()
        os.chdir(path.parent)  # the path of a socket must be short
        try:
            with socket.socket(socket.AF_UNIX) as one:
                one.bind(path.name)
        finally:
            os.chdir(here)
    else:
        pipe = path if kind == "pipe" else path.with_name("the pipe")
        os.mkfifo(pipe)
        if pipe != path:
            path.symlink_to(pipe)


def files_with(kind: str, tmp_path) -> ImageFiles:
    names = [f"{number}.png" for number in range(5)]
    for name in names:
        Image.fromarray(np.zeros([8, 8, 3], np.uint8)).save(tmp_path / name)
    (tmp_path / names[2]).unlink()
    put(kind, tmp_path / names[2])
    return ImageFiles(tmp_path, names)


@pytest.mark.parametrize("budget", [memory_budget.BYTES, 0], ids=["memory", "streamed"])
def test_pipelines_name_them(tmp_path, budget, monkeypatch):
    files = files_with("pipe", tmp_path)
    monkeypatch.setattr(memory_budget, "BYTES", budget)
    split = Split.of(files, np.zeros(5, np.int32))
    with pytest.raises(UserError, match=r"1 of 5 images cannot be read: 2.png \(it is not a reg"):
        list(failures.explained(eval_batches(split, "cifar_v1", batch_size=2), split))
    assert list(files.damaged(np.arange(5))) == [2]
    files.leave_out([2])
    [(pixels, labels)] = eval_batches(split, "cifar_v1", batch_size=5)
    assert pixels.shape[0] == 5 and labels.numpy().tolist() == [0, 0, -1, 0, 0]


@pytest.mark.parametrize("kind", KINDS)
def test_reading(kind, tmp_path):
    files = files_with(kind, tmp_path)
    with pytest.raises(OSError):
        files.read(2)
    with pytest.raises(tf.errors.InvalidArgumentError, match="it is not a regular file"):
        files.contents(tf.constant(2, tf.int64))
    [image] = input_images([files.path(2)]) if not files.path(2).is_dir() else [None]
    if image is not None:
        with pytest.raises(OSError):
            image.read()


def test_missing_files_are_missing(tmp_path):
    files = ImageFiles(tmp_path, ["none.png"])
    with pytest.raises(tf.errors.NotFoundError):
        files.contents(tf.constant(0, tf.int64))


def test_a_pipe_of_records(tmp_path):
    os.mkfifo(tmp_path / "x.tfrecord")
    with pytest.raises(UserError, match="it is not a regular file"):
        index_records([tmp_path / "x.tfrecord"])


def test_prediction_of_a_pipe(tmp_path):
    run_folder.save(tmp_path / "run", ka.build("cifar_v2", num_classes=2, seed=0), ["a", "b"])
    os.mkfifo(tmp_path / "f.jpg")
    [found] = ka.predict(tmp_path / "run", tmp_path / "f.jpg")
    assert found.error == "it is not a regular file"
