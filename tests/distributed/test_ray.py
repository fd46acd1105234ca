"""Ray Train as the launcher: `keras_alexnet.train` inside a `TensorflowTrainer`."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

PROGRAM = """
import os, sys
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
import ray
from ray.train import RunConfig, ScalingConfig
from ray.train.tensorflow import TensorflowTrainer

def train_one_worker(config):
    import sys
    sys.path.insert(0, config.pop("checkout"))
    import keras_alexnet
    keras_alexnet.train(keras_alexnet.TrainConfig(**config))

config = {
    "checkout": sys.argv[2], "variant": "cifar_v2", "dataset": "shapes",
    "workdir": sys.argv[1] + "/run", "max_steps": 4, "overrides": {"global_batch_size": 32},
}
ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100 * 2**20)
TensorflowTrainer(
    train_one_worker,
    train_loop_config=config,
    scaling_config=ScalingConfig(num_workers=2),
    run_config=RunConfig(storage_path=sys.argv[1] + "/ray"),
).fit()
"""


@pytest.mark.slow
def test_two_workers_of_ray_train_together(tmp_path):
    pytest.importorskip("ray.train.tensorflow", reason="Ray Train is not installed")
    root = pathlib.Path(__file__).parents[2]
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, str(program), str(tmp_path), str(root)],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["devices"] == "2 x CPU on 2 workers" and results["steps"] == 4
    assert len(list((tmp_path / "run" / "logs").iterdir())) == 2
