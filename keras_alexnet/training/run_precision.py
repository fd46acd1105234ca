"""The precision of a run: chosen once, by all workers together, and kept when it is resumed."""

import dataclasses
import json

from absl import logging

from keras_alexnet.distributed import precision_choice
from keras_alexnet.distributed.cluster import Cluster
from keras_alexnet.distributed.precision_choice import AUTO, GIVEN, PrecisionChoice
from keras_alexnet.training.resume import RunRequest

_NAME = "precision"
_WHY = "precision_why"  # in config.json


def with_precision(request: RunRequest, cluster: Cluster) -> RunRequest:
    """Returns a request whose config has the precision that `auto` stands for.

    A resumed run keeps its own, also on another machine, unless a change of it is allowed. Workers
    whose machines would choose differently train in float32.

    Example:
        >>> from keras_alexnet.distributed.cluster import SingleProcess
        >>> from keras_alexnet.training.resume import new_run
        >>> config = keras_alexnet.TrainConfig(variant="cifar_v2", precision="float32")
        >>> with_precision(new_run(config), SingleProcess()).precision_why
        'as given'
    """
    if request.config.precision == AUTO:
        found = _together(_own_choice(request), cluster)
    else:
        found = PrecisionChoice(request.config.precision, _why(request))
    return dataclasses.replace(
        request,
        config=dataclasses.replace(request.config, precision=found.name),
        changes=[
            dataclasses.replace(each, now=found.name) if each.name == _NAME else each
            for each in request.changes
            if not (each.name == _NAME and each.before == found.name)
        ],
        precision_why=found.why,
    )


def log_choice(request: RunRequest) -> None:
    """Logs the precision that `with_precision` found, if `auto` chose it: now, or in the past.

    Not before the data are there: who mistypes a folder gets one line.
    """
    found = PrecisionChoice(request.config.precision, request.precision_why)
    if request.saved is None or any(change.name == _NAME for change in request.changes):
        found.log()
    elif found.why != GIVEN:
        logging.info("precision: %s, which auto chose when the run began.", found.name)


def _why(request: RunRequest) -> str:
    """Why a precision that is known has been chosen."""
    changed = any(change.name == _NAME for change in request.changes)
    return GIVEN if changed or request.saved is None else request.saved.get(_WHY, GIVEN)


def _own_choice(request: RunRequest) -> PrecisionChoice:
    config = request.config
    on_cpu = config.logical_cpu_devices is not None
    return precision_choice.choose(config.precision, config.variant, on_cpu=on_cpu)


def _together(own: PrecisionChoice, cluster: Cluster) -> PrecisionChoice:
    everyone = [json.loads(each) for each in cluster.gather(json.dumps(own).encode())]
    names = [name for name, _ in everyone]
    if len(set(names)) == 1:
        return PrecisionChoice(*everyone[0])
    each = ", ".join(f"{name} on worker {index}" for index, name in enumerate(names))
    return PrecisionChoice("float32", f"{AUTO}: the workers would choose {each}")
