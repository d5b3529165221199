"""Commands that expect their files at `/opt/ml`: those of the SDKs, which send scripts along that start the user's.

Where the process has an `/opt/ml` of its own nothing is done. Elsewhere the path is written anew: in the command itself and in
those scripts, which are small text files. The user's own files are left alone.
"""

from __future__ import annotations

import itertools
import json
import os
import tarfile
from collections.abc import Sequence
from pathlib import Path

from clary.compute.toolkit import remote_function

OPT_ML = "/opt/ml"
_DRIVERS = "input/data/sm_drivers"
"""Of the SDK v3's ModelTrainer."""
_SENT = (_DRIVERS, remote_function.SCRIPTS, "processing/input/entrypoint")
"""The same, of remote functions, of the processors of frameworks."""
_BUNDLE = "processing/input/code/sourcedir.tar.gz"
_FILE = "requirements.txt"
_SOURCE = "input/data/code"
_LARGEST_DRIVER = 1 << 20


def at(opt_ml: Path, command: Sequence[str]) -> list[str]:
    """`command` with its paths below `opt_ml`, the drivers' paths changed alike."""
    if str(opt_ml) == OPT_ML:
        return list(command)
    for path in itertools.chain.from_iterable((opt_ml / sent).rglob("*") for sent in _SENT):
        if path.is_file() and path.stat().st_size <= _LARGEST_DRIVER:
            _rewrite(path, opt_ml)
    return [argument.replace(OPT_ML, str(opt_ml)) for argument in command]


def _rewrite(path: Path, opt_ml: Path) -> None:
    content = path.read_bytes()
    if OPT_ML.encode() in content and b"\0" not in content:
        path.write_bytes(content.replace(OPT_ML.encode(), str(opt_ml).encode()))


def requirements(opt_ml: Path) -> tuple[Path, list[str]]:
    """Source directory and arguments of `pip install` that these scripts will run, so that they find it done."""
    packed = opt_ml / _BUNDLE
    return _listed_in(packed, opt_ml.parent / "source") if packed.is_file() else _told(opt_ml)


def _listed_in(bundle: Path, to: Path) -> tuple[Path, list[str]]:
    """Of a processor of a framework: the `requirements.txt` of its bundle, unless that leads to other files of it."""
    try:
        with tarfile.open(bundle) as tar:
            names = {os.path.normpath(member.name): member for member in tar if member.isfile()}
            member = names.get(_FILE)
            file = tar.extractfile(member) if member and member.size <= _LARGEST_DRIVER else None
            content = file.read().decode(errors="replace") if file else ""
    except (OSError, tarfile.TarError):  # the script will say so
        return to, []
    lines = [line.strip() for line in content.splitlines() if line.strip()]
    if not lines or any(line.startswith(("-", ".", "/")) or "file:" in line for line in lines):
        return to, []
    to.mkdir(exist_ok=True)
    (to / _FILE).write_text(content)
    return to, ["-r", _FILE]


def _told(opt_ml: Path) -> tuple[Path, list[str]]:
    """Of the SDK v3's ModelTrainer: what its `sourcecode.json` names."""
    source, told = opt_ml / _SOURCE, opt_ml / _DRIVERS / "sourcecode.json"
    try:
        name = (json.loads(told.read_text()) or {}).get("requirements") or ""
    except (OSError, ValueError):
        return source, []
    name = _FILE if name == "auto" else name
    inside = (source / name).resolve().is_relative_to(source.resolve()) if name else False
    return source, ["-r", name] if inside and (source / name).is_file() else []
