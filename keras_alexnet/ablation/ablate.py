"""`ablate`: trains a network and versions of it with several seeds, and compares them."""

import dataclasses
import itertools
import math
import pathlib
import shlex
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from absl import logging

from keras_alexnet.ablation import child, picture, settings, table
from keras_alexnet.ablation.config import AblateConfig
from keras_alexnet.ablation.runs import Run
from keras_alexnet.ablation.versions import OF_THE_STUDY, Version, versions_of
from keras_alexnet.errors import Interrupted, UsageError, UserError
from keras_alexnet.figures import curves
from keras_alexnet.networks.options import known_activation
from keras_alexnet.training import checkpoints, traces
from keras_alexnet.training.checks import check_settings
from keras_alexnet.training.config import TrainConfig
from keras_alexnet.utils import files, outputs, provenance, signals
from keras_alexnet.utils.reporting import reported
from keras_alexnet.weights.source import kind_of

TABLE = "table.csv"
TABLE_AS_TEXT = "table.md"
PICTURE = "differences.png"
CURVES = "training_error.png"

# Runs a command of keras-alexnet, given with its flags, and appends what it prints to a file.
RunCommand = Callable[[Sequence[str], pathlib.Path], None]


@reported
def ablate(
    config: AblateConfig, run_command: RunCommand = child.run_command, *, verbose: int = 1
) -> dict[str, Any]:
    """Trains a network and versions of it with several seeds, and compares their test errors.

    Each run is a command `keras-alexnet train` in a process of its own, with a folder below
    `config.workdir`, and is then evaluated on ten views. The first seed of all versions comes
    first. Table and pictures are written again after each run. If the study is stopped, or called
    again with more seeds, versions or rates, it continues where it was. The checkpoints of a run
    that has ended are removed.

    Args:
        config: the settings.
        run_command: how to run a command: called with its arguments and the file for its log.
        verbose: 0 shows only warnings, 1 also lines and progress bars, 2 lines but no bars.

    Returns:
        What ablation.json holds: "settings", "versions" (name → changes and recipe), "table" (a
        dict for each version, and for one view in place of ten), "runs" (a dict for each run, with
        its commands and what it reached), "failed" (name of a run → message) and the provenance.

    Raises:
        UsageError: a setting cannot be used, or there is nothing to compare.
        UserError: the folder holds a study with different settings, or a run cannot begin. If runs
            fail later, such as by a NaN, the others are done first.
        Interrupted: after SIGTERM, SIGINT or SIGHUP on the command line, when the current run is
            saved.

    Example:
        >>> import keras_alexnet as ka
        >>> train = ka.TrainConfig(variant="cifar_v2", dataset="shapes", overrides={"epochs": 2})
        >>> config = ka.AblateConfig(workdir="study", train=train, without=["flip"], seeds=2)
        >>> ka.ablate(config)["table"]  # doctest: +SKIP
    """
    config = settings.with_precision(settings.resumed(config))
    versions = versions_of(config)
    _check(config, versions)
    workdir = pathlib.Path(config.workdir)
    workdir.mkdir(parents=True, exist_ok=True)
    message = f"Another study is running in {workdir}. Wait for it to end, or stop it."
    with files.locked(workdir, message):
        settings.check_same(config, versions)
        study = _Study(config, versions, run_command)
        try:
            study.run()
        except signals.Stopped as error:
            number = signal.Signals(error.exit_code - 128)
            raise Interrupted(number, f"in run {study.current}", workdir) from error
    if study.failed:
        others = "; the table has the others" if study.found["table"] else ""
        raise UserError(
            f"{len(study.failed)} of {study.total} runs failed{others}. "
            + " ".join(f"{name}: {why}" for name, why in study.failed.items())
        )
    return study.found


def _check(config: AblateConfig, versions: Sequence[Version]) -> None:
    """Checks everything that would otherwise fail only when its first run begins."""
    default = TrainConfig()
    for name in OF_THE_STUDY:
        if getattr(config.train, name) != getattr(default, name):
            raise UsageError(
                f"The study sets {name} of its runs: leave it out of train. Received: "
                f"{name}={getattr(config.train, name)!r}."
            )
    for version in versions:
        run = version.applied_to(config.train)
        try:
            known_activation("activation", run.activation)
            check_settings(run, version.recipe(config.train), replicas=1)
            if run.weights is not None:
                kind_of(run.weights, run.variant)
        except UserError as error:
            raise type(error)(f"Version {version.name}: {error}") from error
    outputs.check_folder(config.workdir, "workdir")
    if traces.holds_run(config.workdir):
        raise UserError(
            f"{config.workdir} already holds a run of train. A study needs a folder of its own: "
            "pass another --workdir."
        )


class _Study:
    """A study while it runs.

    Attributes:
        total: how many runs there are.
        current: the name of the run that is done, or was last.
        failed: name of a run → why it failed.
        found: what ablation.json holds.
    """

    def __init__(
        self, config: AblateConfig, versions: Sequence[Version], run_command: RunCommand
    ) -> None:
        self._config, self._versions, self._run_command = config, versions, run_command
        self._workdir = pathlib.Path(config.workdir)
        self._rates: tuple[float | None, ...] = config.learning_rates or (None,)
        self.total = len(versions) * (len(self._rates) + config.seeds - 1)
        self.current = ""
        self.failed: dict[str, str] = {}
        self.found: dict[str, Any] = {}

    def run(self) -> None:
        """Does all runs that have not been done, and writes table and pictures after each."""
        self._write()
        for number, run in enumerate(self._runs(), start=1):
            self.current = run.name
            if run.outcome() is None:
                logging.info("Run %d of %d: %s.", number, self.total, run.name)
                self._finish(run)
                self._write()

    def _runs(self) -> Iterator[Run]:
        """All runs in their order; the best rates are known when the first seed is done."""
        for rate, version in itertools.product(self._rates, self._versions):
            yield Run(version, 0, rate, self._config)
        for seed, version in itertools.product(range(1, self._config.seeds), self._versions):
            if (best := self._best(version)) is not None:
                yield dataclasses.replace(best, seed=seed)
            else:
                without_rate = Run(version, seed, None, self._config)
                self.failed[without_rate.name] = "none of its learning rates was tried to the end"

    def _best(self, version: Version) -> Run | None:
        """The first seed's run with the best learning rate so far; None if there is none."""
        runs = [Run(version, 0, rate, self._config) for rate in self._rates]
        if len(runs) == 1:
            return runs[0]
        done = [(run, outcome) for run in runs if (outcome := run.outcome()) is not None]
        return min(done, key=lambda each: self._rank(each[1]))[0] if done else None

    def _rank(self, outcome: dict[str, Any]) -> tuple[float, ...]:
        """Lower is better."""
        if self._config.best_rate_by == "validation":
            return (-(outcome["validation_top1"] or 0.0),)
        epochs = outcome["epochs_to_training_error"]
        return (
            math.inf if epochs is None else epochs,
            outcome["last_training_error_percent"],
        )

    def _finish(self, run: Run) -> None:
        """Trains and evaluates as far as that has not been done."""
        try:
            if not run.trained:
                resume = ["--resume"] if run.begun else []
                self._command(run, [*run.train_command(), *resume])
            if not run.evaluated:
                self._command(run, run.evaluate_command())
        except child.CommandFailed as error:
            # A run that cannot begin has settings or data that no other run could use, either.
            if error.code != 1 or not run.begun:
                raise UserError(f"Run {run.name}: {error}.") from error
            logging.error("Run %s: %s. The other runs are done first.", run.name, error)
            self.failed[run.name] = str(error)
        else:
            shutil.rmtree(run.folder / checkpoints.FOLDER, ignore_errors=True)

    def _command(self, run: Run, arguments: Sequence[str]) -> None:
        self._run_command(arguments, self._workdir / "logs" / f"{run.name}.log")

    def _write(self) -> None:
        """Writes ablation.json, and the table and pictures of what there is."""
        runs: dict[str, list[Run]] = {}
        outcomes: dict[str, list[dict[str, Any]]] = {}
        for version in self._versions:
            if (best := self._best(version)) is None:
                continue
            seeds = [dataclasses.replace(best, seed=seed) for seed in range(self._config.seeds)]
            done = [(run, outcome) for run in seeds if (outcome := run.outcome()) is not None]
            if done:
                runs[version.name] = [run for run, _ in done]
                outcomes[version.name] = [outcome for _, outcome in done]
        self._check_data(outcomes)
        rows = table.rows_of(self._versions, outcomes)
        self.found = {
            **settings.described(self._config, self._versions),
            "table": rows,
            "runs": self._all_runs(),
            "failed": self.failed,
            **provenance.provenance(),
        }
        files.write_json(self._workdir / settings.FILE, self.found)
        if rows:
            files.write_csv(self._workdir / TABLE, rows)
            text = table.markdown(rows, self._config.training_error)
            files.write_text(self._workdir / TABLE_AS_TEXT, text)
            self._draw(rows, [done[0] for done in runs.values()], outcomes)

    def _draw(
        self,
        rows: Sequence[dict[str, Any]],
        first_seeds: Sequence[Run],
        outcomes: dict[str, list[dict[str, Any]]],
    ) -> None:
        first = next(each for found in outcomes.values() for each in found)
        title = f"{self._config.train.variant} and versions of it on {first['dataset']}"
        picture.draw(self._workdir / PICTURE, rows, self._versions, outcomes, title)
        curves(
            [run.folder for run in first_seeds],
            self._workdir / CURVES,
            labels=[run.version.name for run in first_seeds],
            error=self._config.training_error,
        )

    def _all_runs(self) -> list[dict[str, Any]]:
        runs = [
            Run(version, seed, rate, self._config)
            for seed, rate, version in itertools.product(
                range(self._config.seeds), self._rates, self._versions
            )
        ]
        return [
            {
                **outcome,
                "commands": [
                    shlex.join(["keras-alexnet", *command])
                    for command in (run.train_command(), run.evaluate_command())
                ],
            }
            for run in runs
            if (outcome := run.outcome()) is not None
        ]

    def _check_data(self, outcomes: dict[str, list[dict[str, Any]]]) -> None:
        hashes = {each["data_sha256"]: each["run"] for found in outcomes.values() for each in found}
        if len(hashes) > 1:
            raise UserError(
                f"The runs in {self._workdir} were trained on different data, by SHA-256: "
                f"{' and '.join(hashes.values())}. The data have changed since the study began: "
                "put them back, or start another study in another --workdir."
            )
