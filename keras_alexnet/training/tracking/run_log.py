"""The log of a run of `train`: what is written to TensorBoard, W&B and MLflow, and when."""

import contextlib
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from keras_alexnet import run_folder
from keras_alexnet.errors import Interrupted
from keras_alexnet.training.job import TrainingJob
from keras_alexnet.training.tracking.callback import CONFUSION, TrainingLog

_SETTINGS = ("variant", "recipe", "dataset", "seed", "precision", "input_size", "weights")


def log_of(job: TrainingJob) -> list[TrainingLog]:
    """Returns the callback of a run's log; none if there is nothing to write besides metrics.csv.

    Only the chief of several workers has one. metrics.csv is the run's own, because checkpoints
    have its rows.
    """
    names = [name for name in job.config.log if name != "csv"]
    if not names or not job.cluster.is_chief:
        return []
    of_run = {name: getattr(job.config, name) for name in _SETTINGS}
    of_run |= {"dataset": job.data.name, "data_sha256": job.data.sha256, **job.origin}
    recipe = {name: value for name, value in job.recipe.as_json().items() if name != "name"}
    settings = {**recipe, **of_run}
    return [TrainingLog(job.workdir, names, settings=settings, keep_open=True)]


@contextlib.contextmanager
def closed(log: Sequence[TrainingLog]) -> Iterator[None]:
    """Closes the log at the end of its body, with how that ended."""
    status = "failed"
    try:
        yield
        status = "finished"
    except (Interrupted, KeyboardInterrupt):
        status = "interrupted"
        raise
    finally:
        for each in log:
            each.close(status)


def written(
    log: Sequence[TrainingLog], results: Mapping[str, Any], confusion: pathlib.Path
) -> dict[str, str]:
    """Writes the results to the log, and returns name of a place → where the run is found there.

    A place that failed has "failed: " and why.
    """
    figures = {name: value for name, value in results.items() if name.startswith("test_")}
    places = {"csv": run_folder.METRICS}
    for each in log:
        each.results(figures, {CONFUSION: confusion})
        places |= each.places
        places |= {name: f"failed: {why}" for name, why in each.problems.items()}
    return places
