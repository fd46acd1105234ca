"""Workers meet before TensorFlow joins them: who is missing is said, and nobody waits for ever."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

import keras_alexnet as ka
from keras_alexnet.distributed import rendezvous

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def addresses():
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    found = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    return found


class _Worker(threading.Thread):
    def __init__(self, addresses, index, timeout=20.0, every=30.0):
        super().__init__(daemon=True)
        self.arguments, self.error, self.ended = (addresses, index, timeout, every), None, False
        self.start()

    def run(self):
        try:
            rendezvous.wait_for_all(*self.arguments)
            self.ended = True
        except ka.UserError as error:
            self.error = str(error)

    def result(self):
        self.join(20)
        assert not self.is_alive()
        return self.error


def _said_hello(addresses, hello):
    """What the chief answers to something that connects to it."""
    host, _, port = addresses[0].rpartition(":")
    for _ in range(100):
        try:
            with socket.create_connection((host, int(port)), timeout=10) as connection:
                connection.sendall(hello)
                return connection.recv(1000)
        except ConnectionRefusedError:
            time.sleep(0.05)
    pytest.fail("no chief")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)], ids=["chief first", "chief last"])
def test_all_go_when_the_last_has_come(addresses, order):
    workers = [_Worker(addresses, index) for index in order[:2]]
    time.sleep(0.6)
    assert not any(worker.ended for worker in workers)
    workers.append(_Worker(addresses, order[2]))
    assert [worker.result() for worker in workers] == [None] * 3
    # TensorFlow can use the chief's port at once.
    socket.create_server(("127.0.0.1", int(addresses[0].rpartition(":")[2]))).close()


def test_strangers_and_workers_that_left_do_not_count(addresses):
    chief = _Worker(addresses, 0)
    for hello in (
        b"GET / HTTP/1.1\n",
        b"PRI * HTTP/2.0\r\n\r\n",
        b"\xff" * 10**5,
        b"\n",
        b"keras_alexnet worker 2 of 4\n",
        b"keras_alexnet worker 0 of 3\n",
    ):
        try:
            assert _said_hello(addresses, hello) in (b"", b"missing 1,2\n")
        except ConnectionResetError:
            pass
    assert _said_hello(addresses, b"keras_alexnet worker 2 of 3\n") == b"missing 1\n"
    second = _Worker(addresses, 1)
    time.sleep(0.6)
    assert not chief.ended and not second.ended
    third = _Worker(addresses, 2)
    assert [worker.result() for worker in (chief, second, third)] == [None] * 3


def test_who_did_not_come_is_named_by_all(addresses, caplog):
    caplog.set_level("INFO")
    workers = [_Worker(addresses, 1, 30, 0.1), _Worker(addresses, 0, 1.5, 0.1)]
    for worker in workers:
        wanted = rf"worker 2 ({addresses[2]}) did not come within"
        assert wanted in worker.result()
    assert f"Waiting for worker 2 ({addresses[2]}) since" in caplog.text


def test_a_chief_that_does_not_come_is_named_with_the_reason(addresses):
    error = _Worker(addresses, 2, 0.3).result()
    assert f"worker 0 ({addresses[0]}) did not come within 0.3 s (--join_timeout)" in error
    assert "Connection refused" in error
    with socket.create_server(("127.0.0.1", int(addresses[0].rpartition(":")[2]))):
        assert "in use" in _Worker(addresses, 0, 0.3).result()


def test_a_chief_that_is_started_again_is_found(addresses):
    second = _Worker(addresses, 1)
    host, _, port = addresses[0].rpartition(":")
    with socket.create_server((host, int(port))) as former:
        connection, _ = former.accept()
        connection.recv(100)
        connection.close()
    workers = [second, _Worker(addresses, 0), _Worker(addresses, 2)]
    assert [worker.result() for worker in workers] == [None] * 3


@pytest.mark.processes
# The chief listens and others knock; each is tried with a signal, and one with the limit.
@pytest.mark.parametrize(
    ("index", "number"),
    [(0, signal.SIGTERM), (1, signal.SIGINT), (1, None)],
    ids=["chief", "another", "limit"],
)
def test_a_waiting_worker_hears_signals_and_its_limit(addresses, tmp_path, index, number):
    cluster = {"cluster": {"worker": addresses[:2]}, "task": {"type": "worker", "index": index}}
    flags = ["--dataset=shapes", f"--workdir={tmp_path / 'run'}"]
    if number is None:
        flags.append("--join_timeout=1")
    process = subprocess.Popen(
        [sys.executable, "scripts/train.py", *flags],
        cwd=ROOT,
        env={**os.environ, "TF_CONFIG": json.dumps(cluster)},
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stderr:
        if line.startswith("Waiting for all workers"):
            break
    if number is not None:
        process.send_signal(number)
    began = time.monotonic()
    _, said = process.communicate(timeout=60)
    assert time.monotonic() - began < 20 and "Traceback" not in said
    if number is None:
        assert process.returncode == 1
        assert f"worker {1 - index} ({addresses[1 - index]}) did not come within 1 s" in said
    else:
        assert process.returncode == 128 + number
        assert f"Stopped by {number.name}." in said
    assert not (tmp_path / "run").exists()
