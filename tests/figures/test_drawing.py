"""Layout and saving: sharp pixels, texts inside the picture, whole files."""

import logging
import warnings

import matplotlib
import numpy as np
import pytest

from keras_alexnet.figures import drawing
from support.pictures import read_png


@drawing.style()
def _draw(path, images, title="A title", note="", side=1.0):
    figure, axes = drawing.grid([side] * len(images), [side], gaps=(0.1, 0))
    for cell, pixels in zip(axes.flat, images, strict=True):
        drawing.show(cell, pixels)
    drawing.heading(figure, title, note)
    drawing.save(figure, path)


@pytest.mark.parametrize("side", [16, 32, 64])
def test_pixels_are_enlarged_by_a_whole_factor(side, tmp_path):
    images = np.random.default_rng(0).integers(0, 200, [3, side, side, 3], np.uint8)
    _draw(tmp_path / "p.png", images, title="T")
    drawn, factor = read_png(tmp_path / "p.png"), drawing.DPI // side
    for pixels in images:
        enlarged = pixels.repeat(factor, axis=0).repeat(factor, axis=1)
        # Where the first pixel's color begins, the whole image must follow.
        corners = np.argwhere((drawn == enlarged[0, 0]).all(axis=-1))
        assert any(
            np.array_equal(drawn[top : top + drawing.DPI, left : left + drawing.DPI], enlarged)
            for top, left in corners
        )


def test_texts_are_inside_the_picture(tmp_path):
    images = np.full([1, 8, 8, 3], 255, np.uint8)
    _draw(tmp_path / "p.png", images, title="A title that is wider than the image", note="A note")
    drawn = read_png(tmp_path / "p.png")
    dark = np.argwhere((drawn < 200).all(axis=-1))
    assert dark.min() >= 5  # pixels of margin at the top and the left
    assert (np.array(drawn.shape[:2]) - dark.max(axis=0)).min() >= 5
    assert len(dark) > 200


def test_drawing_is_the_same_whatever_the_users_settings(tmp_path):
    images = np.zeros([1, 8, 8, 3], np.uint8)
    _draw(tmp_path / "plain.png", images)
    with matplotlib.rc_context({"font.size": 30, "figure.facecolor": "red", "savefig.dpi": 10}):
        _draw(tmp_path / "own.png", images)
        assert matplotlib.rcParams["font.size"] == 30
    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "own.png").read_bytes()


def test_a_failed_write_leaves_the_old_picture(tmp_path, monkeypatch):
    path, images = tmp_path / "p.png", np.zeros([1, 8, 8, 3], np.uint8)
    path.write_bytes(b"old")

    def half_written(figure, name, **options):
        name.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(drawing.Figure, "savefig", half_written)
    with pytest.raises(OSError, match="No space left"):
        _draw(path, images)
    assert [each.name for each in tmp_path.iterdir()] == ["p.png"]
    assert path.read_bytes() == b"old"


def test_texts_that_no_font_can_show_are_named_once(tmp_path, caplog):
    caplog.set_level(logging.WARNING, logger="absl")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for title in ("no \U00013000ne", "again \U00013000"):
            _draw(tmp_path / "p.png", np.zeros([1, 8, 8, 3], np.uint8), title=title)
    [message] = [record.getMessage() for record in caplog.records]
    assert "p.png: no installed font has all characters of: no \U00013000ne. Install" in message


def test_mosaic_of_any_number_of_images():
    cells = np.arange(1, 6)[:, None, None] * np.ones([5, 2, 3], int)
    sheet = drawing.mosaic(cells, 3, factor=2, gap=1, fill=0)
    assert sheet.shape == (2 * 4 + 1, 3 * 6 + 2)
    assert sheet[::5, ::7].tolist() == [[1, 2, 3], [4, 5, 0]]
    assert not sheet[4].any() and not sheet[:, 6].any()
