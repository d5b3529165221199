"""A Python environment in a millisecond: a directory of its own on top of others that stay as they are.

What is installed into it lands in it alone; what is not there is found in the layers below. So a script may run pip as it
likes and nothing of the server's changes, and `requirements.txt` costs only what is not installed yet.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

_PIP = '#!/bin/sh\nexec "$(dirname "$0")/python" -m pip "$@"\n'


def make(directory: Path, layers: Sequence[str], interpreter: str) -> Path:
    """An environment in `directory` whose `interpreter` finds the packages of `layers` (site directories) after its own.

    Returns its python.
    """
    packages = site_directory(directory)
    packages.mkdir(parents=True, exist_ok=True)
    programs = directory / "bin"
    programs.mkdir(exist_ok=True)
    real = os.path.realpath(interpreter)
    (directory / "pyvenv.cfg").write_text(f"home = {os.path.dirname(real)}\ninclude-system-site-packages = false\n")
    lines = [f"import site; site.addsitedir({layer!r})\n" for layer in layers]
    (packages / "zzz-layers.pth").write_text("".join(lines))
    for name in ("python", "python3"):
        if not (programs / name).is_symlink():
            (programs / name).symlink_to(real)
    for name in ("pip", "pip3"):
        (programs / name).write_text(_PIP)
        (programs / name).chmod(0o755)
    return programs / "python"


def site_directory(environment: Path) -> Path:
    """Where the packages of a virtual environment lie."""
    return environment / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages"


def own() -> list[str]:
    """The site directories of the Python that runs this."""
    return [path for path in sys.path if path.rstrip("/").endswith(("site-packages", "dist-packages"))]


def is_bare(environment: Path) -> bool:
    """Whether nothing was installed into an environment that `make` made."""
    return [path.name for path in site_directory(environment).iterdir()] == ["zzz-layers.pth"]
