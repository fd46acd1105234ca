"""`benchmark serving`: rates, percentiles, precisions, clients that wait for their answers."""

import contextlib
import threading

import numpy as np
import pytest

from keras_alexnet.benchmarks import serving, serving_side
from keras_alexnet.benchmarks.catalog import Settings


def test_rates_are_medians_over_rounds_and_percentiles_of_all_requests():
    def turn(seconds, latencies):
        same = {"server": "no batching", "input": "pixels", "clients": 2}
        return [{**same, "seconds": seconds, "latencies": latencies}]

    turns = [turn(1.0, [0.001] * 100), turn(2.0, [0.001] * 100), turn(4.0, [0.001] * 95 + [1] * 5)]
    [row] = serving.rows_of("cifar_v2", "float32", turns)
    assert row["requests/s"] == 50
    assert row["median, ms"] == pytest.approx(1)
    assert row["99th percentile, ms"] == pytest.approx(1000)
    assert (row["network"], row["server"], row["clients"]) == ("cifar_v2", "no batching", 2)


def test_saved_models_of_several_precisions_take_turns(monkeypatch):
    written, asked = [], []

    class Server:
        def __init__(self, precision):
            self.precision, self.ready = precision, {}

        def answer(self):
            return {"memory": {"first": 3e6, "further": None}}

        def take(self):
            asked.append(self.precision)
            seconds = {"float32": 1.0, "bfloat16": 0.5}[self.precision]
            same = {"server": "no batching", "input": "pixels", "clients": 1}
            return {"found": [{**same, "seconds": seconds, "latencies": [seconds]}]}

    @contextlib.contextmanager
    def started(name, function, arguments, tensorflow):
        yield Server(name.rpartition(" ")[2])

    def write(network, folder, precision):
        written.append((folder.parent.name, precision))

    monkeypatch.setattr(serving.saved_model, "write", write)
    monkeypatch.setattr(serving, "started", started)
    for name in ("_servers", "_written_inputs"):
        monkeypatch.setattr(serving, name, lambda *_: {})
    both = ("float32", "bfloat16")
    settings = Settings(variants=("cifar_v2",), export_precisions=both, rounds=2, clients=(1,))
    report = serving.measure(settings)
    assert written == [(name, name) for name in both]
    assert asked == [*both, *both]
    assert [(row["precision"], row["requests/s"]) for row in report.rows] == [
        ("float32", 1.0),
        ("bfloat16", 2.0),
    ]
    assert "cifar_v2 in bfloat16: the first version and TensorFlow take 3 MB" in report.as_text()


class Session:
    """In place of a SavedModel: it notes what it is asked, and how many ask at once."""

    asked, most, now = [], 0, 0
    lock = threading.Lock()

    def __init__(self, folder, threads):
        assert threads == 2

    def run(self, inputs, outputs):
        cls = Session
        with cls.lock:
            cls.now += 1
            cls.most = max(cls.most, cls.now)
        cls.asked.append((*inputs, *outputs, len(next(iter(inputs.values())))))
        if len(cls.asked) < 200:  # time for others to ask
            threading.Event().wait(0.001)
        with cls.lock:
            cls.now -= 1
        return [np.zeros([1, 10])]


def test_clients_ask_for_one_image_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(serving_side, "Session", Session)
    np.save(tmp_path / "pixels.npy", np.zeros([3, 2, 2, 3], np.uint8))
    np.save(tmp_path / "JPEG.npy", np.array([b"\xff\xd8a", b"\xff\xd8"]))
    answers, turns = [], iter([True, False])
    stub = type("Turns", (), {"wait": lambda self: next(turns), "answer": answers.append})()
    tensors = {"pixels": ("image:0", "a:0"), "JPEG": ("bytes:0", "b:1")}
    serving_side.serve(
        stub,
        folder="1",
        servers={"no batching": {"folder": "1", "tensors": tensors}},
        inputs={name: str(tmp_path / f"{name}.npy") for name in tensors},
        clients=[1, 4],
        requests=20,
        threads=2,
    )
    assert set(Session.asked) == {("image:0", "a:0", 1), ("bytes:0", "b:1", 1)}
    assert 1 < Session.most <= 4
    first, second = answers
    assert set(first["memory"]) == {"first", "further"}
    assert [each["clients"] for each in second["found"]] == [1, 4, 1, 4]
    assert all(len(each["latencies"]) == 20 for each in second["found"])
