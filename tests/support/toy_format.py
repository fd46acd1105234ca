"""A minimal export format and network, as a user would add them."""

import contextlib
import dataclasses
import functools
import time

import numpy as np

from keras_alexnet.exporting import formats
from keras_alexnet.networks import spec, variants
from support.networks import registered


def toy_spec() -> spec.NetworkSpec:
    """The network "toy": one dense layer on the pixels of cifar_v2's images."""
    cifar = variants.get("cifar_v2")
    [classifier] = [layer for layer in cifar.head if isinstance(layer, spec.ClassifierSpec)]
    return dataclasses.replace(
        cifar,
        name="toy",
        features=(),
        head=(spec.FlattenSpec("flatten"), classifier),
        parameters=30_730,
        macs=30_720,
    )


class ToyModel(formats.ExportedModel):
    """An .npz file of the weights, run by NumPy; `offset` is added to its second logit."""

    runtime = "numpy"
    offset = 0.0

    def logits(self, pixels):
        with np.load(self.path) as weights:
            flat = (pixels.astype("float32") / 127.5 - 1).reshape(len(pixels), -1)
            found = flat @ weights["kernel"] + weights["bias"]
        found[:, 1] += self.offset
        return found

    @contextlib.contextmanager
    def timer(self, threads):
        def seconds(calls):
            found = []
            for _ in range(calls):
                started = time.perf_counter()
                self.logits(np.zeros([1, 32, 32, 3], np.uint8))
                found.append(time.perf_counter() - started)
            return found

        yield seconds


class ToyFormat(formats.ExportFormat):
    """Files of the kind that `ToyModel` runs, exact or calibrated."""

    name = "toy"

    def __init__(self, offset: float = 0.0, least_agreement: float | None = None):
        self._offset, self._least = offset, least_agreement

    def outputs(self, config):
        if self._least is None:
            return [formats.Output("toy")]
        return [formats.Output("toy rough", exact=False, least_agreement=self._least)]

    def write(self, output, job):
        place = self.place(output, job)
        kernel, bias = job.network.model.get_layer("logits").get_weights()
        (job.stage / place).parent.mkdir(exist_ok=True)
        with open(job.stage / place, "wb") as file:
            np.savez(file, kernel=kernel, bias=bias)
        model = ToyModel(job.stage, place)
        model.offset = self._offset
        return model

    def notes(self, facts):
        return [f"is a toy of {facts['bytes']} bytes"]


@contextlib.contextmanager
def registered_format(**options):
    """Registers the format while the body runs."""
    formats.register(ToyFormat(**options))
    try:
        yield
    finally:
        formats.unregister("toy")


registered_network = functools.partial(registered, toy_spec())
