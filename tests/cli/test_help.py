"""Help and usage errors of every command: exit codes, and no TensorFlow loaded for them."""

import functools
import json
import subprocess
import sys

import pytest

from keras_alexnet.cli.main import COMMANDS

HEAVY = ("tensorflow", "keras", "numpy", "matplotlib", "PIL", "h5py", "tensorflow_datasets")
HELP = [
    ("train", "--global_batch_size N"),
    ("evaluate", "--views {1,2,10}"),
    ("predict", "--timeout X"),
    ("features", "--layers A,B,..."),
    ("export", "Default: saved_model,tflite."),
    ("prepare", "--images_per_shard N"),
    ("summary", "Choices: alexnet,"),
    ("figures", "neighbors"),
    ("ablate", "--versions 'NAME: FLAGS; ...'"),
    ("distance", "--max_image_pixels N"),
    ("figures neighbors", "--train_images N"),
    ("convert", "--from {torchvision,pytorch,caffe,kratzert}"),
    ("benchmark", "layers"),
    ("benchmark overhead", "Default: mirrored,loop,checkpoints,workers."),
    ("benchmark scale", "--image_sizes A,B,..."),
]

WRONG = [
    ("", "the following arguments are required: COMMAND"),
    ("trai", "invalid choice: 'trai'"),
    ("train --color=red", "train: unknown arguments: --color=red"),
    ("train stray", "train: unknown arguments: stray"),
    ("train --epoch 3", "train: unknown arguments: --epoch 3. Did you mean --epochs?"),
    ("train --batch_size=8", "--batch_size=8. Did you mean --global_batch_size?"),
    ("train --epochs none", "--epochs: must be a whole number. Received: 'none'."),
    ("train --dropout much", "--dropout: must be a number. Received: 'much'."),
    ("train --variant alexnt", "Unknown variant 'alexnt'. Did you mean 'alexnet'?"),
    ("train --dataset cifar11", "Unknown dataset 'cifar11'. Did you mean 'cifar10'?"),
    ("figures likeliest --out f.png --model m --dataset x", "Unknown dataset 'x'."),
    ("train --precision float33", "Did you mean 'float32'?"),
    ("train --variant cifar_v2 --recipe docment", "Did you mean 'document'?"),
    ("train --momentum 3", "momentum: must be a number of at least 0 and below 1"),
    ("train --augment crop,flop", "Unknown augmentation 'flop'. Did you mean 'flip'?"),
    ("train --augment color_noise(2013)", "its parameter must be paper or 2012"),
    ("train --schedule drops", "schedule=drops needs drop_epochs"),
    ("evaluate", "the following arguments are required: --model"),
    ("evaluate --model m --split tset", "Did you mean 'test'?"),
    ("evaluate --model m --views 3", "Unknown views 3."),
    ("predict --model m", "the following arguments are required: IMAGE"),
    ("predict photo.jpg", "the following arguments are required: --model"),
    ("features --model m --out o", "the following arguments are required: IMAGE"),
    ("features --model m a.jpg", "--out is needed: the folder to write to"),
    ("features --model m --out o --pooling sum a.jpg", "Unknown pooling 'sum'"),
    ("features --model m --out o --pooling avg --flatten a.jpg", "nothing to flatten"),
    ("features --model m --out o --format csv a.jpg", "Unknown format 'csv'"),
    ("features --model m --out o --layers= a.jpg", "At least one of layers is needed"),
    ("export --model m --out o --formats tflight", "Did you mean 'tflite'?"),
    ("prepare --out o", "--source is needed"),
    ("prepare --out o --source s --check", "--check looks only at --out"),
    ("summary", "--variant or --model is needed"),
    ("summary --variant cifar_v2 --model m", "and not both"),
    ("summary --model m --input_size 64", "go with --variant, not with --model"),
    ("figures", "the following arguments are required: FIGURE"),
    ("figures filter", "invalid choice: 'filter'"),
    ("figures filters --out f.png --model m --layer c", "filters: unknown arguments: --layer"),
    ("figures likeliest --out f.png --model m --indices one", "--indices: must be a whole"),
    ("convert --weights w --out o", "--from is needed"),
    ("convert --weights w --out o --from caffe --check=", "--check: must not be empty"),
    ("convert --weights w --out o --to torch --mean m", "--mean does not go with --to torch"),
    ("convert --weights w --out o --from caffe --names x", "--names does not go with --to"),
    ("summary --variant cifar_v2 --json=", "--json: must not be empty"),
    ("train --workdir=", "--workdir: must not be empty"),
    ("evaluate --model=", "--model: must not be empty"),
    (
        "train --seed 9999999999999999999",
        "--seed: must be a whole number of at least 0 and of less",
    ),
    ("benchmark layers --only layer", "Did you mean 'layers'?"),
    ("ablate", "the following arguments are required: --workdir"),
    ("ablate --workdir w --without lrm", "Did you mean 'lrn'?"),
    ("ablate --workdir w --variant cifar_v2", "can leave out: overlap, flip, crop"),
    ("ablate --workdir w --versions tanh", "must be versions such as 'tanh: --activation"),
    ("train --variant cifar_v2 --lrn", "cifar_v2 has no response normalization"),
    ("benchmark overhead --steps 0", "--steps: must be a whole number of at least 1"),
]

# Runs the command with each list of arguments in turn, and prints for each a line of JSON: its exit
# code, what it wrote, and what has been loaded of `HEAVY`.
PROGRAM = f"""
import contextlib, io, json, sys
from keras_alexnet.cli.main import main
for arguments in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(arguments)
        except SystemExit as end:
            code = end.code
    loaded = [name for name in {HEAVY} if name in sys.modules]
    print(json.dumps([code, out.getvalue(), err.getvalue().splitlines(), loaded]))
"""


@functools.cache
def _answers():
    """A dict: arguments → [code, output, lines of errors, what is loaded], all of one process."""
    listed = ["--help", "--version", *(f"{command} --help" for command, _ in HELP)]
    listed += [arguments for arguments, _ in WRONG]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps([arguments.split() for arguments in listed]),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return dict(zip(listed, map(json.loads, done.stdout.splitlines()), strict=True))


def _light(arguments):
    """Returns code, output, errors of a command for which nothing heavy was loaded."""
    code, output, errors, loaded = _answers()[arguments]
    assert loaded == []
    return code, output, errors


@pytest.mark.parametrize(("command", "flag"), HELP)
def test_help_lists_the_flags_and_loads_nothing_heavy(command, flag):
    code, output, errors = _light(f"{command} --help")
    assert (code, errors) == (0, [])
    assert output.startswith(f"usage: keras-alexnet {command} ") and flag in " ".join(
        output.split()
    )


def test_help_of_all_lists_the_commands():
    code, output, errors = _light("--help")
    assert (code, errors) == (0, [])
    assert all(f"\n    {name}" in output for name in COMMANDS)


def test_train_groups_its_flags_and_says_defaults_and_choices():
    output = " ".join(_light("train --help")[1].split())
    titles = ("network: --", "data: --", "devices: --", "run: --", "recipe: Each")
    places = [output.index(f" {title}") for title in titles]
    assert places == sorted(places)
    by_default = "by default cifar_v1, or that of --weights, if they are named by a network or are"
    assert f"Network to train; {by_default} imagenet. Ch" in output
    assert "Choices: alexnet, " in output and "Default: relu." in output
    assert "--lrn, --no-lrn " in output and "--nolrn," not in output
    assert "--precision {auto,float32,mixed_bfloat16,mixed_float16,graph_bfloat16}" in output


def test_version():
    import keras_alexnet

    assert _light("--version") == (0, keras_alexnet.__version__ + "\n", [])


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_usage_errors_exit_with_2_before_anything_heavy_is_loaded(arguments, message):
    code, output, errors = _light(arguments)
    assert (code, output) == (2, "")
    assert message in errors[0] and len(errors) <= 2, errors
    assert errors[0].startswith("keras-alexnet")
