"""Commands that expect their files at `/opt/ml`: those of the SDK v3, whose `sm_drivers` channel starts the user's script.

Where the process has an `/opt/ml` of its own nothing is done. Elsewhere the path is written anew: in the command itself and in
the drivers, which are the SDK's small text files. The user's own files are left alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

OPT_ML = "/opt/ml"
_DRIVERS = "input/data/sm_drivers"
_SOURCE = "input/data/code"
_LARGEST_DRIVER = 1 << 20


def at(opt_ml: Path, command: Sequence[str]) -> list[str]:
    """`command` with its paths below `opt_ml`, the drivers' paths changed alike."""
    if str(opt_ml) == OPT_ML:
        return list(command)
    for path in (opt_ml / _DRIVERS).rglob("*"):
        if path.is_file() and path.stat().st_size <= _LARGEST_DRIVER:
            _rewrite(path, opt_ml)
    return [argument.replace(OPT_ML, str(opt_ml)) for argument in command]


def _rewrite(path: Path, opt_ml: Path) -> None:
    content = path.read_bytes()
    if OPT_ML.encode() in content and b"\0" not in content:
        path.write_bytes(content.replace(OPT_ML.encode(), str(opt_ml).encode()))


def requirements(opt_ml: Path) -> tuple[Path, list[str]]:
    """Source directory and arguments of `pip install` that the drivers will run there, so that they find it done."""
    source, told = opt_ml / _SOURCE, opt_ml / _DRIVERS / "sourcecode.json"
    try:
        name = (json.loads(told.read_text()) or {}).get("requirements") or ""
    except (OSError, ValueError):
        return source, []
    name = "requirements.txt" if name == "auto" else name
    inside = (source / name).resolve().is_relative_to(source.resolve()) if name else False
    return source, ["-r", name] if inside and (source / name).is_file() else []
