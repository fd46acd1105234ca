"""Benchmark of whole commands: seconds to a test accuracy, against PyTorch's and its recipe.

Ours is `keras-alexnet train --recipe fast`, to its end. PyTorch trains the same network by the
recipe of the document that the network comes from, until the test accuracy is first reached.
"""

import json
import os
import pathlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_alexnet.benchmarks import commands, peers
from keras_alexnet.benchmarks.catalog import Settings
from keras_alexnet.benchmarks.report import Report
from keras_alexnet.benchmarks.timing import quartiles, take_turns
from keras_alexnet.benchmarks.weighted_networks import inputs_of
from keras_alexnet.data.config import DataSpec
from keras_alexnet.data.load import load_dataset
from keras_alexnet.networks import variants
from keras_alexnet.run_folder import RESULTS
from keras_alexnet.training import recipes

OURS, DOCUMENT = "fast", "document"

# The command, which also ends if this process does.
_TRAIN = """
import sys
from keras_alexnet.utils import machine
machine.end_with_parent(int(sys.argv.pop(1)), folder=sys.argv.pop(1))
from keras_alexnet.cli.main import main
sys.exit(main())
"""


def measure(settings: Settings) -> Report:
    """Times both commands in turn; the round counts as seed. Images are decoded before.

    Ours takes them from the cache, PyTorch's from arrays.
    """
    present, absent = peers.divided(settings.peers)
    rows, details = [], {}
    with tempfile.TemporaryDirectory() as folder:
        for variant in settings.variants:
            own = pathlib.Path(folder, variant)
            own.mkdir()
            found = details[variant] = _measured(variant, settings, present, own)
            rows += [_row(variant, name, found, settings) for name in found]
    words = [
        f"Seconds from the command to a test top-1 of {settings.top1:g} %, median (quartiles); "
        "test top-1 where the run ended, of each round.",
        *peers.absence(absent),
    ]
    return Report(rows, words, {"found": details, "absent": absent})


def _measured(
    variant: str, settings: Settings, present: Sequence[str], folder: pathlib.Path
) -> dict[str, dict[str, Any]]:
    """Returns for each side its seconds, and its test top-1 by epoch or at the end, by round."""
    _decode(variant, settings, folder)
    tops: dict[str, list[list[float]]] = {}

    def seed_of(name: str) -> int:
        return len(tops.setdefault(name, []))

    def ours() -> float:
        run = folder / f"run{seed_of(OURS)}"
        words = _words_of_train(variant, settings, str(run), seed_of(OURS))
        seconds, _ = commands.timed(words, "The training command")
        results = json.loads((run / RESULTS).read_text(encoding="utf-8"))
        tops[OURS].append([100 * results["test_top1_one_view"]])
        return seconds

    def torch() -> float:
        given = {
            "variant": variant,
            "folder": str(folder),
            "seed": seed_of("torch"),
            "top1": settings.top1,
        }
        words = ["-m", "keras_alexnet.benchmarks.peers.torch_recipe", json.dumps(given)]
        seconds, printed = commands.timed(words, "PyTorch's training")
        tops["torch"].append(json.loads(printed))
        return seconds

    sides: dict[str, Callable[[], float]] = {OURS: ours}
    if "torch" in present:
        sides["torch"] = torch
    seconds = take_turns(sides, settings.rounds, "s")
    return {name: {"seconds": seconds[name], "test_top1": tops[name]} for name in sides}


def _words_of_train(variant: str, settings: Settings, run: str, seed: int) -> list[str]:
    flags = {
        "variant": variant,
        "recipe": OURS,
        "dataset": settings.dataset,
        "data_dir": settings.data_dir,
        "epochs": settings.epochs,
        "precision": settings.precision,
        "seed": seed,
        "workdir": run,
    }
    given = [f"--{name}={value}" for name, value in flags.items() if value is not None]
    return ["-c", _TRAIN, str(os.getpid()), os.path.dirname(run), "train", *given]


def _decode(variant: str, settings: Settings, folder: pathlib.Path) -> None:
    """Writes the arrays that PyTorch reads, and fills the cache that ours reads."""
    data = load_dataset(DataSpec(settings.dataset, settings.data_dir), verbose=0)
    plan = variants.get(variant).image_plan
    for name, split in (("train", data.train), ("test", data.test)):
        images, labels = inputs_of(split, plan)
        np.save(folder / f"{name}_images.npy", images)
        np.save(folder / f"{name}_labels.npy", labels)


def _row(
    variant: str, name: str, found: Mapping[str, Mapping[str, Any]], settings: Settings
) -> dict[str, Any]:
    reached = [tops[-1] for tops in found[name]["test_top1"]]
    spread = quartiles(found[name]["seconds"])
    recipe = recipes.get(variant, OURS if name == OURS else DOCUMENT)
    epochs = [len(tops) for tops in found[name]["test_top1"]]
    if name == OURS:
        epochs = [settings.epochs or recipe.epochs] * len(epochs)
    row = {
        "network": variant,
        "command": "keras_alexnet" if name == OURS else peers.TITLES[name],
        "recipe": recipe.name,
        "seconds": spread["median"],
        "from": spread["lower_quartile"],
        "to": spread["upper_quartile"],
        "epochs": ", ".join(map(str, epochs)),
        "test top-1": ", ".join(f"{each:.2f}" for each in reached),
    }
    if name != OURS:
        ratios = np.array(found[OURS]["seconds"]) / found[name]["seconds"]
        row["ratio of ours"] = float(np.median(ratios))
    if min(reached) < settings.top1:
        row["note"] = f"not always {settings.top1:g} %"
    return row
