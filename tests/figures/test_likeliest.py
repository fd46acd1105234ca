"""Likeliest labels: probabilities, their bars, and how many images make a sheet."""

import numpy as np
import pytest
import tensorflow as tf
from matplotlib.colors import to_hex

import keras_alexnet as ka
from keras_alexnet import DataSpec, figures
from support.pictures import read_png, read_table, texts_of


def test_bars_are_the_softmax(model, data, tiny, drawn, tmp_path):
    rows = figures.likeliest(model, tmp_path / "likeliest.png", data=tiny, indices=(17,), top=5)
    images, labels = next(iter(ka.eval_batches(data.test.subset([17]), "cifar_v2", batch_size=1)))
    [expected] = tf.nn.softmax(model(images)).numpy()
    order = np.argsort(-expected)
    correct = data.class_names[int(labels[0])]
    assert [row["class"] for row in rows] == [data.class_names[place] for place in order]
    assert [row["probability"] for row in rows] == pytest.approx(expected[order], rel=1e-5)
    assert {(row["image"], row["label"]) for row in rows} == {(data.test.name(17), correct)}
    assert [row["rank"] for row in rows] == [1, 2, 3]
    written = read_table(tmp_path / "likeliest.csv")
    assert [float(row["probability"]) for row in written] == pytest.approx(
        expected[order], rel=1e-5
    )
    [of_image] = [axes for axes in drawn[0].axes if axes.images]
    np.testing.assert_array_equal(of_image.images[0].get_array(), images[0])
    [bars] = [axes for axes in drawn[0].axes if axes.patches]
    widths = {bar.get_width(): to_hex(bar.get_facecolor()) for bar in bars.patches}
    colors = [widths[row["probability"]] for row in rows]
    right = [row["class"] == correct for row in rows]
    assert len({color for color, ok in zip(colors, right, strict=True) if not ok}) == 1
    assert colors[right.index(True)] not in [colors[i] for i in range(3) if not right[i]]
    names = {text.get_text(): text for text in bars.texts}
    for row in rows:
        bold = "bold" if row["class"] == correct else "normal"
        assert names[row["class"]].get_weight() == bold
        share = f"{100 * row['probability']:.0f} %" if row["probability"] >= 0.01 else "< 1 %"
        assert share in names
    assert texts_of(drawn[0]).count(correct) == 2  # below the image and on its bar


@pytest.mark.parametrize("images", [1, 20])
def test_sheets_of_few_and_many(images, model, tiny, drawn, tmp_path):
    out = tmp_path / "likeliest.png"
    rows = figures.likeliest(model, out, data=tiny, images=images, top=2)
    assert len(rows) == 2 * images
    assert sum(len(axes.images) for axes in drawn[0].axes) == images
    height, width, _ = read_png(out).shape
    assert (width < 700, height < 400) == ((True, True) if images == 1 else (False, False))


def test_damaged_image_is_named(model, tmp_path):
    folder = tmp_path / "photos"
    for part in ("train", "test"):
        (folder / part / "cat").mkdir(parents=True)
        (folder / part / "cat" / "a.png").write_bytes(
            tf.io.encode_png(np.zeros([9, 9, 3], np.uint8)).numpy()
        )
    (folder / "test" / "cat" / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n cut off")
    photos = DataSpec("image_folder", data_dir=folder)
    one = ka.build("cifar_v2", num_classes=1, seed=0)
    with pytest.raises(ka.UserError, match="b.png"):
        figures.likeliest(one, tmp_path / "l.png", data=photos, images=2)
    with pytest.raises(ka.UserError, match="3 classes, but photos has 1"):
        figures.likeliest(model, tmp_path / "l.png", data=photos, images=2)
    assert not (tmp_path / "l.png").exists()
