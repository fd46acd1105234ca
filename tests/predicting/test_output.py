"""Files of predictions: whole, or those before an error or a signal, from which one can go on."""

import json
import os

import numpy as np
import pytest

import keras_alexnet as ka
from keras_alexnet import run_folder
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.predicting import journal, predict
from keras_alexnet.predicting.output import PredictionFiles
from keras_alexnet.predicting.predict import Prediction
from keras_alexnet.utils.signals import Stopped
from support.image_folders import write_images

ROWS = [Prediction(f"{n}.png", ("cat", "dog"), (0.1 + n / 7, 1e-17)) for n in range(5)]
ROWS[3] = Prediction("3.png", error="no image")


@pytest.fixture(params=[["csv"], ["json"], ["csv", "json"]], ids=" and ".join)
def files(request, tmp_path):
    return {name: tmp_path / f"found.{name}" for name in request.param}


def _write(files, rows, error=None, **options):
    with PredictionFiles(2, **files, **options) as written:
        for each in rows:
            written.add(each)
        if error is not None:
            raise error


def _number_of_rows(path):
    text = path.read_text()
    return len(json.loads(text) if path.suffix == ".json" else text.splitlines()[1:])


def _contents(files):
    return [path.read_bytes() for path in files.values()]


def test_all_predictions_are_written(tmp_path):
    both = {"csv": tmp_path / "found.csv", "json": tmp_path / "found.json"}
    _write(both, ROWS[2:4])
    assert both["csv"].read_text() == (
        "image,class_1,score_1,class_2,score_2,error\n"
        "2.png,cat,0.3857142857142857,dog,1e-17,\n"
        "3.png,,,,,no image\n"
    )
    assert [row["error"] for row in json.loads(both["json"].read_text())] == [None, "no image"]
    _write(both, [])
    assert both["csv"].read_text() == "image,class_1,score_1,class_2,score_2,error\n"
    assert json.loads(both["json"].read_text()) == []
    assert sorted(tmp_path.iterdir()) == sorted(both.values())


@pytest.mark.parametrize("error", [UsageError("It has gone."), Stopped(15), KeyboardInterrupt()])
def test_what_was_done_is_kept_and_gone_on_from(files, tmp_path, error):
    _write(files, ROWS)
    whole = _contents(files)
    for path in files.values():
        path.unlink()
    with pytest.raises(type(error)) as caught:
        _write(files, [], error)
    assert caught.value is error and os.listdir(tmp_path) == []

    with pytest.raises(type(error)) as caught:
        _write(files, ROWS[:2], error)
    said = " ".join([str(caught.value), *getattr(caught.value, "__notes__", ())])
    kept = " and ".join(map(str, files.values()))
    assert f"The predictions so far are in {kept}. The same command with --resume" in said
    assert [_number_of_rows(path) for path in files.values()] == [2] * len(files)
    # Stopped again before it has come to where it was; and images were added before the others.
    with pytest.raises(KeyboardInterrupt), PredictionFiles(2, **files, resume=True) as written:
        assert list(written.done) == ROWS[:2]
        written.add(ROWS[4])
        written.add(written.done[0])
        raise KeyboardInterrupt
    assert [_number_of_rows(path) for path in files.values()] == [3] * len(files)
    with PredictionFiles(2, **files, resume=True) as written:
        known = {each.image: each for each in written.done}
        assert known == {ROWS[n].image: ROWS[n] for n in (0, 1, 4)}
        for each in ROWS:
            written.add(known.get(each.image, each))
    assert _contents(files) == whole
    assert sorted(tmp_path.iterdir()) == sorted(files.values())


def test_after_a_kill_whole_lines_are_resumed_from(tmp_path):
    path = tmp_path / "found.csv"
    killed = journal.Journal(path, {"top": 2})
    for each in ROWS[:3]:
        killed.add(each)
    os.truncate(killed.path, killed.path.stat().st_size - 3)
    killed.__exit__()
    with PredictionFiles(2, csv=path, resume=True) as written:
        assert list(written.done) == ROWS[:2]
        for each in (*written.done, *ROWS[2:]):
            written.add(each)
    assert _number_of_rows(path) == 5


def test_what_cannot_be_resumed_is_refused(tmp_path, caplog):
    path = tmp_path / "found.csv"
    _write({"csv": path}, ROWS, resume=True)  # nothing yet: it begins
    for _ in range(2):
        with pytest.raises(UserError, match="nothing to resume: .*found.csv is complete, or some"):
            _write({"csv": path}, ROWS, resume=True)
        assert os.listdir(tmp_path) == ["found.csv"]
    made_from = {"model": "abc", "variant": None}
    with pytest.raises(KeyboardInterrupt):
        _write({"csv": path}, ROWS[:2], KeyboardInterrupt(), made_from=made_from)
    other = {**made_from, "model": "def"}
    with pytest.raises(UserError, match="made differently: model was abc, is def. Pass what"):
        _write({"csv": path}, ROWS, resume=True, made_from=other)
    with PredictionFiles(2, csv=path, made_from=made_from, resume=True) as written:
        assert len(written.done) == 2
        with pytest.raises(UserError, match="Another process is writing predictions to"):
            _write({"csv": path}, ROWS)
        for each in (*written.done, *ROWS[2:]):
            written.add(each)
    with pytest.raises(KeyboardInterrupt):
        _write({"csv": path}, ROWS[:2], KeyboardInterrupt())
    unfinished = tmp_path / "found.csv.unfinished"
    lines = unfinished.read_bytes().splitlines(keepends=True)
    for damaged in (b"[]\n", b"\xff\n", b"[" * 100_000 + b"\n", b""):
        unfinished.write_bytes(damaged + lines[1])
        with pytest.raises(UserError, match="found.csv.unfinished is damaged"):
            _write({"csv": path}, ROWS, resume=True)
        unfinished.write_bytes(lines[0] + damaged + lines[1])
        if damaged:
            with pytest.raises(UserError, match="found.csv.unfinished is damaged"):
                _write({"csv": path}, ROWS, resume=True)
    _write({"csv": path}, ROWS)
    assert "With --resume, the predictions in" in caplog.text


def test_images_that_are_done_are_not_predicted_again(tmp_path, monkeypatch):
    run_folder.save(tmp_path / "run", ka.build("cifar_v2", num_classes=3, seed=0), ["a", "b", "c"])
    write_images(tmp_path / "photos", ["x"], 6, seed=0)
    images = [str(tmp_path / "photos"), str(tmp_path / "photos")]  # each image twice
    whole = predict.predict(tmp_path / "run", images, 2)
    assert len(whole) == 12
    read = []
    preprocess = predict.LocalPredictor.preprocess
    monkeypatch.setattr(
        predict.LocalPredictor,
        "preprocess",
        lambda self, one: read.append(1) or preprocess(self, one),
    )
    for done in (whole[:7], whole[3:5], whole, whole[::-1]):
        read.clear()
        found = list(predict.predictions(tmp_path / "run", images, 2, done=done))
        assert [each.image for each in found] == [each.image for each in whole]
        assert len(read) == 12 - len(done)
        for one, other in zip(found, whole, strict=True):
            assert one.classes == other.classes
            np.testing.assert_allclose(one.scores, other.scores, rtol=1e-5)


def test_what_predictions_are_made_from(tmp_path):
    run_folder.save(tmp_path / "run", ka.build("cifar_v2", num_classes=2, seed=0), ["a", "b"])
    found = journal.made_from(tmp_path / "run")
    assert found == journal.made_from(tmp_path / "run" / "model.keras")
    labels = tmp_path / "run" / "labels.txt"
    assert journal.made_from(tmp_path / "run", labels=labels)["labels"] is not None
    run_folder.save(tmp_path / "run", ka.build("cifar_v2", num_classes=2, seed=1), ["a", "b"])
    assert found != journal.made_from(tmp_path / "run")
    for password in ("secret", "se/cret", "se@cret"):
        model = journal.made_from(f"https://me:{password}@host/v1/models/a")["model"]
        assert model == "https://***@host/v1/models/a"


def test_pipes_of_a_shell_and_long_names_are_written_to(tmp_path):
    reader, writer = os.pipe()
    with os.fdopen(reader) as read:
        with os.fdopen(writer, "wb"):
            _write({"csv": f"/dev/fd/{writer}"}, ROWS[:1])
        assert read.read() == (
            "image,class_1,score_1,class_2,score_2,error\n0.png,cat,0.1,dog,1e-17,\n"
        )
    name = tmp_path / ("n" * 251 + ".csv")
    with pytest.raises(UserError, match="goes on from there"):
        _write({"csv": name}, ROWS[:2], UserError("It has gone."))
    with PredictionFiles(2, csv=name, resume=True) as written:
        assert list(written.done) == ROWS[:2]


def test_a_table_that_nobody_reads_any_more_keeps_what_was_done(files):
    with pytest.raises(BrokenPipeError) as caught:
        _write(files, ROWS[:2], BrokenPipeError())
    [note] = caught.value.__notes__
    assert "so far are in" in note and "--resume goes on" in note
    assert [_number_of_rows(path) for path in files.values()] == [2] * len(files)
    with pytest.raises(OSError) as caught:
        _write(files, ROWS[:2], OSError("no room"))
    assert "--resume goes on" in caught.value.__notes__[0]
    assert len(PredictionFiles(2, **files, resume=True).done) == 2
