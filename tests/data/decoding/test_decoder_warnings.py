"""JPEGs that the decoder only warns of are found, by name, and nothing else is lost."""

import io
import os

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_alexnet.data import failures
from keras_alexnet.data.decoding import decoder_warnings
from keras_alexnet.data.image_files import ImageFiles
from keras_alexnet.data.splits import Split

RANDOM = np.random.default_rng(0)
PIXELS = np.clip(np.cumsum(RANDOM.normal(0, 4, (90, 120, 3)), 1) + 128, 0, 255).astype(np.uint8)


def jpeg(**options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "JPEG", quality=90, **options)
    return buffer.getvalue()


def cut_short(contents: bytes) -> bytes:
    return contents[: len(contents) // 2] + b"\xff\xd9"


def overwritten(contents: bytes) -> bytes:
    middle = len(contents) // 2
    return contents[:middle] + bytes(range(40, 80)) + contents[middle + 40 :]


def surplus(contents: bytes) -> bytes:
    return contents[:-2] + b"abcdefgh" + contents[-2:]


KINDS = {"baseline": {}, "progressive": {"progressive": True}}


@pytest.mark.parametrize("damage", [cut_short, overwritten, surplus])
@pytest.mark.parametrize("kind", KINDS)
def test_damage_that_is_decoded_is_heard_of(kind, damage):
    contents = jpeg(**KINDS[kind])
    with decoder_warnings.listening() as heard:
        tf.io.decode_jpeg(contents)
        assert heard() == []
        tf.io.decode_jpeg(damage(contents))
        [warning] = heard()
        assert "JPEG data" in warning
        assert heard() == []


def test_this_decoder_can_be_heard():
    assert decoder_warnings.can_listen()


def test_the_rest_is_passed_on(capfd):
    with decoder_warnings.listening() as heard:
        os.write(2, b"a progress bar\r")
        os.write(2, b"Corrupt JPEG data: premature end of data segment\n")
        os.write(2, b"a line\nand the start of one")
        os.write(2, b", its end\n")
        assert heard() == ["Corrupt JPEG data: premature end of data segment"]
        os.write(2, b"Corrupt JPEG data: bad Huffman code\n")
    os.write(2, b"after it\n")
    printed = capfd.readouterr().err
    assert printed == (
        "a progress bar\ra line\nand the start of one, its end\n"
        "Corrupt JPEG data: bad Huffman code\nafter it\n"  # that nobody asked for
    )


def test_listening_twice():
    with decoder_warnings.listening() as heard:
        with decoder_warnings.listening() as inner:
            os.write(2, b"Corrupt JPEG data: bad Huffman code\n")
            assert len(inner()) == 1
        assert heard() == []


def test_without_standard_error(monkeypatch):
    def closed(descriptor):
        raise OSError("Bad file descriptor")

    monkeypatch.setattr(os, "dup", closed)
    with decoder_warnings.listening() as heard:
        assert heard() == []


def test_blame_falls_on_the_right_images():
    whole, damaged = jpeg(), cut_short(jpeg())
    contents = [damaged if row in (3, 4, 17) else whole for row in range(20)]

    def decode(row):
        tf.io.decode_jpeg(contents[int(row)])

    with decoder_warnings.listening() as heard:
        found = decoder_warnings.blamed(np.arange(20), decode, heard)
    assert sorted(found) == [3, 4, 17]
    assert found[3] == ("the JPEG decoder warns: Corrupt JPEG data: premature end of data segment")


@pytest.mark.parametrize("left_out", [False, True])
def test_images_in_memory_are_named_unless_they_are_left_out(tmp_path, caplog, left_out):
    (tmp_path / "good.jpg").write_bytes(jpeg())
    (tmp_path / "cut.jpg").write_bytes(cut_short(jpeg()))
    images = ImageFiles(tmp_path, ["good.jpg", "cut.jpg"])
    if left_out:
        images.leave_out(images.damaged(np.arange(2), strict=True))
        assert images.left_out == [1]
    with caplog.at_level("WARNING"):
        images.in_memory(32)
    assert ("cut.jpg" in caplog.text) is not left_out


def test_images_that_were_decoded_with_warnings_are_counted(tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg())
    (tmp_path / "b.jpg").write_bytes(cut_short(jpeg()))
    pixels = ImageFiles(tmp_path, ["a.jpg", "b.jpg"])
    split = Split.of(pixels, np.zeros(2))
    assert failures.decoded_with_warnings([split]) is None  # not decoded yet, so not known
    pixels.in_memory(32)
    assert failures.decoded_with_warnings([split]) == 1
    pixels.leave_out([1])
    assert failures.decoded_with_warnings([split]) == 0
