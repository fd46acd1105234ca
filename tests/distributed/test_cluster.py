"""Who the workers are, and which part of the data each of them reads."""

import json

import numpy as np
import pytest
import tensorflow as tf

import keras_alexnet as ka
from keras_alexnet import DataSpec
from keras_alexnet.data import memory_budget, pipeline
from keras_alexnet.distributed import devices, launch
from keras_alexnet.distributed.cluster import SingleProcess, cluster_of

TWO = {"worker": ["a:1", "b:2"]}


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch):
    for name in ("TF_CONFIG", "SLURM_STEP_NUM_TASKS"):
        monkeypatch.delenv(name, raising=False)


def _set_tf_config(monkeypatch, jobs, job, index):
    task = {"type": job, "index": index}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": jobs, "task": task}))


def _who():
    found = launch.resolver()
    spec = found.cluster_spec()
    return spec.as_dict(), spec.task_address(found.task_type, found.task_id)


def test_one_process_has_no_cluster(monkeypatch):
    assert launch.resolver() is None
    for text in ("", "{}"):
        monkeypatch.setenv("TF_CONFIG", text)
        assert launch.resolver() is None
    _set_tf_config(monkeypatch, {"worker": ["a:1"]}, "worker", 0)
    assert launch.resolver() is None  # as launchers say it of a job with one worker
    monkeypatch.delenv("TF_CONFIG")
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "1")
    assert launch.resolver() is None


def test_workers_of_tf_config(monkeypatch):
    _set_tf_config(monkeypatch, TWO, "worker", 1)
    assert _who() == (TWO, "b:2")
    jobs = {"worker": ["b:2", "c:3"], "chief": ["a:1"]}
    _set_tf_config(monkeypatch, jobs, "worker", 0)
    assert _who() == (jobs, "b:2")
    # Counted from the chief on.
    assert devices.worker_addresses(launch.resolver()) == ("a:1", "b:2", "c:3")


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"cluster": {"worker": ["a:1", "b:2"]}}',
        '{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 2}}',
        '{"cluster": {"worker": ["a:1"], "ps": ["b:2"]}, "task": {"type": "ps", "index": 0}}',
        '{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "evaluator", "index": 0}}',
    ],
)
def test_tf_config_that_cannot_be_used_is_refused(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ka.UsageError, match="TF_CONFIG must be of the form") as raised:
        launch.resolver()
    assert text in str(raised.value)


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_workers_of_a_slurm_step(monkeypatch, rank):
    names = {"STEP_NUM_TASKS": 3, "STEP_NODELIST": "node[2,10-11]", "STEP_TASKS_PER_NODE": "1(x3)"}
    for name, value in {**names, "PROCID": rank, "JOB_ID": 16007}.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    # In the order in which Slurm numbers tasks, not in that of the alphabet.
    expected = ["node2:12007", "node10:12007", "node11:12007"]
    assert _who() == ({"worker": expected}, expected[rank])


def test_slurm_step_with_several_tasks_a_node(monkeypatch):
    names = {"STEP_NUM_TASKS": 3, "STEP_NODELIST": "a,b", "STEP_TASKS_PER_NODE": "2,1"}
    for name, value in {**names, "PROCID": 1, "JOB_ID": 0}.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    assert _who() == ({"worker": ["a:12000", "a:12001", "b:12000"]}, "a:12001")


def test_unusable_slurm_variables_are_refused(monkeypatch):
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    monkeypatch.delenv("SLURM_PROCID", raising=False)
    with pytest.raises(ka.UsageError, match="SLURM_PROCID"):
        launch.resolver()


def test_train_in_a_cluster_needs_a_workdir(monkeypatch):
    _set_tf_config(monkeypatch, TWO, "worker", 0)
    with pytest.raises(ka.UsageError, match="needs --workdir"):
        ka.train(ka.TrainConfig(dataset="shapes"))


@pytest.mark.parametrize("option", [{"num_devices": 2}, {"logical_cpu_devices": 2}])
def test_devices_that_a_worker_lacks_are_refused(monkeypatch, option):
    _set_tf_config(monkeypatch, TWO, "worker", 0)
    with pytest.raises(ka.UsageError, match="Received: 2"):
        devices.multi_worker_strategy(launch.resolver(), **option)


def test_joining_after_tensorflow_was_used_is_refused(monkeypatch):
    tf.constant(1)
    _set_tf_config(monkeypatch, TWO, "worker", 0)
    with pytest.raises(ka.UserError, match="in a fresh process"):
        devices.multi_worker_strategy(launch.resolver())


@pytest.mark.parametrize(
    "workers", [2, *(pytest.param(count, marks=pytest.mark.slow) for count in (1, 4))]
)
def test_parts_of_all_workers_are_the_batch_of_one(tiny_folder, workers, monkeypatch):
    monkeypatch.setattr(memory_budget, "BYTES", 0)  # decoded when needed
    split = ka.load_dataset(DataSpec("image_folder", data_dir=tiny_folder)).train  # 72 = 4 * 16 + 8
    options = {"global_batch_size": 16, "seed": 3, "start_step": 2}
    whole = iter(ka.train_batches(split, "cifar_v1", **options))
    parts = [
        iter(ka.train_batches(split, "cifar_v1", shard_index=index, shard_count=workers, **options))
        for index in range(workers)
    ]
    for step in range(6):  # over the short last batch and into the next epoch
        batch = [next(part) for part in parts]
        assert step == 2 or all(len(labels) == 16 // workers for _, labels in batch)
        for column, expected in enumerate(next(whole)):
            joined = np.concatenate([part[column] for part in batch])
            np.testing.assert_array_equal(joined, expected)


def test_worker_reads_its_own_files_alone(tiny_folder, monkeypatch):
    monkeypatch.setattr(memory_budget, "BYTES", 0)
    read = []
    for index in range(2):
        split = ka.load_dataset(DataSpec("image_folder", data_dir=tiny_folder)).train
        batches = ka.train_batches(
            split, "cifar_v1", global_batch_size=12, seed=0, shard_index=index, shard_count=2
        )
        one_epoch = sum(len(labels) for _, labels in batches.take(6))
        asked = np.concatenate(list(split.pixels.recent))
        read.append(asked[asked >= 0][:one_epoch])
    assert sorted(np.concatenate(read)) == sorted(split.rows)  # none twice, none lost


@pytest.mark.parametrize(("index", "count"), [(2, 2), (0, 5)])
def test_unequal_shards_are_refused(tiny_folder, index, count):
    split = ka.load_dataset(DataSpec("image_folder", data_dir=tiny_folder)).train
    with pytest.raises(ka.UsageError, match=f"shard_index={index}, shard_count={count}"):
        pipeline.train_batches(
            split, "cifar_v1", global_batch_size=16, seed=0, shard_index=index, shard_count=count
        )


@pytest.mark.parametrize("rows", [0, 1, 7, 8, 9, 40, 41])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_rows_to_evaluate_are_shared_out_in_whole_batches(rows, count):
    shares = []
    for index in range(count):
        one = SingleProcess()
        one.index, one.addresses = index, ("host:1",) * count
        shares.append(one.own_rows(rows, batch_size=8))
    np.testing.assert_array_equal(np.concatenate(shares), np.arange(rows))
    # Each worker that has rows begins with a whole batch.
    assert all(share[0] % 8 == 0 for share in shares if len(share))
    batches = [-(-len(share) // 8) for share in shares]
    assert max(batches) - min(batches) <= 1


def test_one_process_agrees_with_itself():
    strategy = devices.strategy_for(2)
    alone = cluster_of(strategy)
    assert isinstance(alone, SingleProcess) and alone.local_replicas(strategy) == 2
    assert (alone.count, alone.index) == (1, 0)
    assert alone.broadcast(b"x") == b"x" and alone.any(True) and not alone.any(False)
    assert alone.from_chief(lambda: [1]) == [1] and alone.numbers(7) == [7]
    found = {"a": np.zeros(3)}, {"b": 1}
    assert alone.arrays_from_chief(lambda: found) is found
    alone.check_same("data", "x")
