"""Processors and processes."""

import os
import subprocess
import sys

from keras_alexnet.utils import machine


def test_processors_are_those_left_over_for_this_process():
    program = (
        "import os; from keras_alexnet.utils import machine\n"
        "first = machine.processors()[:1]; os.sched_setaffinity(0, first)\n"
        "assert machine.processors() == first\n"
        "del os.sched_getaffinity\n"
        "assert machine.processors() == list(range(os.cpu_count()))\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_process_is_running_until_it_has_ended():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert machine.is_running(process.pid) and machine.is_running(os.getpid())
    process.communicate()
    assert not machine.is_running(process.pid)


def test_a_process_of_another_user_is_running(monkeypatch):
    def refuse(number, signal):
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert machine.is_running(1)
