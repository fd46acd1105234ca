"""The web format: a page that classifies pictures in the browser, with TFLite files."""

import pathlib
from typing import TYPE_CHECKING, Any

from absl import logging

from keras_alexnet.exporting import formats
from keras_alexnet.exporting.formats import tflite

if TYPE_CHECKING:
    from keras_alexnet.exporting.config import ExportConfig
    from keras_alexnet.trained import TrainedNetwork

RUNTIME = "runtime"  # folder of LiteRT.js beside the page


class WebFormat(tflite.TFLiteFormat):
    """A folder for any static server: the page, the runtime, a TFLite file each quantization."""

    name = "web"

    def check(self, config: "ExportConfig", network: "TrainedNetwork") -> None:
        from keras_alexnet.exporting.web import folder, runtime

        folder.check_layers(network, config.layers)
        runtime.check(config.web_runtime)
        written = {self.file_name(each, network.variant) for each in self.outputs(config)}
        present = pathlib.Path(config.out, self.name).glob("*.tflite")
        for left in sorted(path.name for path in present if path.name not in written):
            logging.warning("%s stays in the folder, but the new page does not offer it.", left)

    def file_name(self, output: formats.Output, variant: str) -> str:
        return f"{variant}_{self.quantization(output)}.tflite"

    def write(self, output: formats.Output, job: formats.ExportJob) -> formats.ExportedModel:
        from keras_alexnet.exporting.web import folder, runtime

        outputs = self.outputs(job.config)
        page = job.stage / self.name
        if output == outputs[0]:
            page.mkdir()
            runtime.copy(job.config.web_runtime, page / RUNTIME)
        model = self.write_file(output, job, layers=job.config.layers)
        if output == outputs[-1]:
            models = {
                self.quantization(each): job.stage / self.place(each, job) for each in outputs
            }
            name = runtime.name_of(page / RUNTIME)
            about = folder.Page(job.config.input_dtype, job.config.layers, models, name)
            folder.write(job.network, about, page)
        return model

    def notes(self, facts: dict[str, Any]) -> list[str]:
        shown = "is shown by `web/index.html`, whose files and runtime are not in the list above"
        return [shown, *super().notes(facts)]


formats.register(WebFormat())
