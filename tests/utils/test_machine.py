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


def test_a_process_ends_with_the_one_that_started_it():
    child = "import os, sys, time; from keras_alexnet.utils import machine;"
    child += "machine.end_with_parent(int(sys.argv[1]), 0.05); time.sleep(60)"
    parent = f"""
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {child!r}, str(os.getpid())])
print(child.pid, flush=True)
os.kill(os.getpid(), 9)
"""
    # The orphan keeps the pipe open, so it has ended when `run` has; by itself it takes a minute.
    done = subprocess.run(
        [sys.executable, "-c", parent],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=50,
    )
    assert done.returncode == -9


def test_a_process_of_another_user_is_running(monkeypatch):
    def refuse(number, signal):
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert machine.is_running(1)
