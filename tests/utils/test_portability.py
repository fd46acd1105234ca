"""The package on systems that lack what POSIX has: it imports, trains, and says what is missing."""

import json
import subprocess
import sys

import pytest

# Windows, as far as Linux can play it. TensorFlow and the others have their own ways around it.
PROGRAM = """
import builtins, importlib, os, pkgutil, signal, sys

import keras, matplotlib.pyplot, tensorflow, tensorflow_datasets, tqdm.auto

real_open = os.open

def open_like_windows(path, flags, *mode, **options):
    if os.path.isdir(path) and not options:  # shutil gives dir_fd, and only on POSIX
        raise PermissionError(13, "Permission denied", os.fspath(path))
    return real_open(path, flags, *mode, **options)

os.open = open_like_windows
for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[name] = None
for name in (
    "fork killpg getpgid setsid sched_getaffinity sched_setaffinity sysconf uname getuid geteuid "
    "statvfs fchmod mkfifo"
).split():
    delattr(os, name)
for name in "SIGKILL SIGSTOP SIGCONT SIGHUP SIGQUIT SIGUSR1 SIGUSR2 SIGALRM SIGCHLD".split():
    delattr(signal, name)

import keras_alexnet as ka

for module in pkgutil.walk_packages(ka.__path__, "keras_alexnet."):
    if not module.name.endswith(("__main__", "grpc_client")):
        importlib.import_module(module.name)

config = ka.TrainConfig(
    variant="cifar_v2", dataset="shapes", workdir=sys.argv[1], max_steps=1, record=sys.argv[2],
    validation_images=0, overrides={"global_batch_size": 8, "keep": "last"},
)
ka.train(config)

from keras_alexnet.benchmarks.timed_run import Workload
from keras_alexnet.benchmarks.two_workers import measure_workers

try:
    measure_workers(Workload("cifar_v2", 8, 1), 1)
except ka.UserError as error:
    print(error)
"""


@pytest.mark.processes
def test_imports_and_trains_without_posix(tmp_path):
    program = "import absl.logging; absl.logging.set_verbosity('info')\n" + PROGRAM
    arguments = [tmp_path / "run", tmp_path / "results.csv"]
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads((tmp_path / "run" / "results.json").read_text())["steps"] == 1
    assert (tmp_path / "results.csv").exists()
    assert done.stderr.count("This system cannot lock folders") == 1
    assert "Two workers with a core each need" in done.stdout
