"""Stands in for the commands of a study's runs: writes what they would, in no time."""

import json
import pathlib
from collections.abc import Callable

from keras_alexnet import run_folder
from keras_alexnet.ablation.child import CommandFailed

_TEXTS = ("dataset", "data_sha256_of", "precision", "devices", "date", "tensorflow", "keras")
_NUMBERS = ("train_images", "validation_images", "test_images", "skipped_images")


class FakeRuns:
    """Runs no commands, but writes the files of a trained and evaluated run.

    Args:
        top1: (name of a run) → its test top-1 with one view, or an error to raise.
        epochs: (name of a run) → training top-1 of each epoch.

    Attributes:
        commands: what was to be run: (command, name of the run, resumed).
        flags: name of a run → the flags of its training.
    """

    def __init__(
        self,
        top1: Callable[[str], float | Exception],
        epochs: Callable[[str], list[float]] = lambda name: [0.5, 0.8],
    ):
        self.top1, self.epochs = top1, epochs
        self.data_sha256 = "the same"
        self.commands: list[tuple[str, str, bool]] = []
        self.flags: dict[str, list[str]] = {}

    def __call__(self, arguments, log):
        given = dict(each.partition("=")[::2] for each in arguments[1:])
        folder = pathlib.Path(given["--workdir" if arguments[0] == "train" else "--model"])
        self.commands.append((arguments[0], folder.name, "--resume" in given))
        top1 = self.top1(folder.name)
        if arguments[0] == "evaluate":
            pathlib.Path(given["--json"]).write_text(json.dumps({"top1": top1 + 0.02, "top5": 1.0}))
            return
        self.flags[folder.name] = [each for each in arguments[1:] if each != "--resume"]
        if not (isinstance(top1, CommandFailed) and top1.code == 2):
            (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
            (folder / run_folder.CONFIG).write_text("{}")
        if isinstance(top1, BaseException):
            raise top1
        epochs = self.epochs(folder.name)
        rows = [f"{i},{10 * i},{share},{share}" for i, share in enumerate(epochs, 1)]
        (folder / run_folder.METRICS).write_text("\n".join(["epoch,step,top1,val_top1", *rows]))
        (folder / run_folder.RESULTS).write_text(json.dumps(self._results(given, top1, epochs)))

    def _results(self, given, top1, epochs):
        return {
            **dict.fromkeys(_TEXTS, "x"),
            **dict.fromkeys(_NUMBERS, 1),
            **{"variant": "v", "recipe": "r", "overrides": "", "commit": "c", "workdir": "w"},
            **{"epochs": len(epochs), "steps": 1, "global_batch_size": 1, "views": 1},
            **{"test_loss": 1.0, "seconds": 1.0, "seconds_per_epoch": 1.0},
            **{"seed": 0, "kept_epoch": len(epochs), "data_note": None},
            "at_chance": {"step": 200} if top1 <= 0.1 else None,
            "recipe_as_run": {
                **{"name": "r", "note": ""},
                "learning_rate": float(given.get("--learning_rate", 0.08)),
            },
            **{"data_sha256": self.data_sha256, "test_top1": top1, "test_top5": 1.0},
        }
