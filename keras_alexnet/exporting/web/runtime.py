"""LiteRT.js, the runtime of the page: found in a folder, or asked of npm."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator

from absl import logging

from keras_alexnet.errors import UsageError, UserError, first_line
from keras_alexnet.utils import json_files

PACKAGES = ("@litertjs/core", "@litertjs/wasm-utils")
TESTED = "2.5"
_SECONDS = 600

# What a page needs of each package; the rest is for other ways to compute, and for developers.
_WASM = ("litert_wasm_internal", "litert_wasm_compat_internal", "litert_wasm_threaded_internal")
FILES = {
    PACKAGES[0]: (
        "package.json",
        "dist/index.js",
        *(f"wasm/{name}{suffix}" for name in _WASM for suffix in (".js", ".wasm")),
    ),
    PACKAGES[1]: ("package.json", "dist/index.js"),
}

_BY_HAND = (
    f"On a machine with npm, run: npm install {' '.join(PACKAGES)}. Then pass its node_modules "
    "folder as --web_runtime (web_runtime=)."
)


def check(folder: str | os.PathLike | None) -> None:
    """Checks that the runtime can be had, before anything is exported.

    Args:
        folder: where npm has put the packages, or None to ask npm for them.

    Raises:
        UsageError: the folder does not have the packages.
        UserError: there is no npm.
    """
    if folder is not None:
        locate(folder)
    elif shutil.which("npm") is None:
        raise UserError(
            "The page needs LiteRT.js, which npm downloads, and there is no npm here. " + _BY_HAND
        )


def locate(folder: str | os.PathLike) -> pathlib.Path:
    """Returns the folder with the packages: the given one, or `node_modules` in it.

    Raises:
        UsageError: neither has them whole.
    """
    asked = pathlib.Path(folder)
    for place in (asked, asked / "node_modules"):
        if (place / PACKAGES[0]).is_dir():
            break
    missing = [
        f"{package}/{name}"
        for package, names in FILES.items()
        for name in names
        if not (place / package / name).is_file()
    ]
    if (place / PACKAGES[0]).is_dir() and not missing:
        return place
    lacking = missing[0] if (place / PACKAGES[0]).is_dir() else PACKAGES[0]
    raise UsageError(
        f"--web_runtime (web_runtime=) must be a folder with {' and '.join(PACKAGES)} of npm, "
        f"release {TESTED}. Received: {folder}, which has no {lacking}. {_BY_HAND}"
    )


def copy(folder: str | os.PathLike | None, to: pathlib.Path) -> None:
    """Copies what the page needs to a new folder.

    Args:
        folder: as in `check`.
        to: the folder.

    Raises:
        UsageError, UserError: it cannot be had.
    """
    with contextlib.ExitStack() as stack:
        place = locate(stack.enter_context(_from_npm()) if folder is None else folder)
        for package, names in FILES.items():
            for name in names:
                target = to / package.rpartition("/")[2] / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(place / package / name, target)
    release = name_of(to).split()[-1]
    if not f"{release}.".startswith(f"{TESTED}."):
        logging.warning(
            "The page was tested with LiteRT.js %s, and this is %s: try it before you publish it.",
            *(TESTED, release),
        )


def name_of(copied: pathlib.Path) -> str:
    """Returns the name and the release of the runtime that `copy` put into a folder."""
    path, advice = copied / "core" / "package.json", "Install the packages again."
    return f"LiteRT.js {json_files.read(path, {'version': str}, advice)['version']}"


@contextlib.contextmanager
def _from_npm() -> Iterator[str]:
    """Yields a temporary folder into which npm has put the packages."""
    npm = shutil.which("npm") or "npm"
    logging.info("Asking npm for LiteRT.js.")
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "install", "--prefix", folder, "--ignore-scripts", "--no-audit"]
        command += ["--no-fund", *(f"{package}@~{TESTED}.0" for package in PACKAGES)]
        try:
            # Not in the caller's folder, whose package.json would be changed.
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UserError(f"npm failed: {first_line(error)}. {_BY_HAND}") from error
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if line.startswith("npm error")]
            reason = said[0].removeprefix("npm error ") if said else f"code {done.returncode}"
            raise UserError(f"npm cannot install LiteRT.js: {reason}. {_BY_HAND}")
        yield folder
