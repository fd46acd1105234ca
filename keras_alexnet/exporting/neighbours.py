"""Files of earlier exports, which a new one leaves in place beside its own."""

import json
import pathlib

from keras_alexnet.errors import UserError
from keras_alexnet.exporting.config import ExportConfig
from keras_alexnet.exporting.networks import Network

REPORT = "export.json"


def find(config: ExportConfig, network: Network) -> dict[str, dict[str, dict]]:
    """Finds what an export will leave in `tflite` and `onnx`, to be told of in their model cards.

    Returns:
        Name of the folder → name of the program → what its own report said of it.

    Raises:
        UserError: if it is of another network, or takes other pixels: one card cannot tell of
            both, and whoever takes a file would be misled.
    """
    return {kind: _left_in(kind, config, network) for kind in ("tflite", "onnx")}


def _left_in(kind: str, config: ExportConfig, network: Network) -> dict[str, dict]:
    folder = pathlib.Path(config.out) / kind
    written = {_file_name(name, network) for name in config.programs if name.startswith(kind)}
    left = {path.name for path in folder.glob(f"*.{kind}")} - written
    if not left or not written:
        return {}
    report = _report(folder / REPORT)
    alike = report.get("model_sha256") == network.sha256
    alike &= report.get("input_dtype") == config.input_dtype
    alike &= report.get("labels") == list(network.labels)
    known = {name: facts for name, facts in report.get("files", {}).items() if _in(facts, left)}
    if not alike or len(known) < len(left):
        raise UserError(
            f"{folder} holds {', '.join(sorted(left))} of another network, of other labels or of "
            "another input dtype, and this export would leave it there beside its own. Export it "
            "anew as well, remove it, or give another --out."
        )
    return known


def _file_name(program: str, network: Network) -> str:
    kind, _, quantization = program.partition(" ")
    return f"{network.variant}{'_' if quantization else ''}{quantization}.{kind}"


def _in(facts: dict, names: set[str]) -> bool:
    return pathlib.PurePath(facts["file"]).name in names


def _report(path: pathlib.Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
