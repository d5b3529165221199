"""The files of one job host, through which server and supervisor speak: names, and how they are written.

`data/jobs/<account>/<region>/<kind>/<name>/<attempt>/<host>/`:

| file | written by | content |
|---|---|---|
| `spec.json` | server, before the start | all the supervisor must know, credentials too (mode 0600); removed at the end |
| `supervisor.lock` | supervisor | held while it lives (`lock.py`) |
| `stop` | server | its existence asks the supervisor to stop |
| `opt/ml/` | both | what an algorithm sees |
| `log.jsonl` | supervisor | `{"t": ms, "m": line}` |
| `metrics.jsonl` | supervisor | `{"t": ms, "n": name, "v": value}` |
| `cluster.json` | supervisor of the first of several hosts | where programs meet (`supervisor/peers.py`), until the end |
| `status.jsonl` | supervisor | `{"t": ms, "s": secondary status}` |
| `supervisor.log` | supervisor | what the supervisor itself had to say, for us |
| `exit.json` | supervisor, last | the exit record (`supervisor/record.py`) |
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clary.core.identifiers import Scope

SPEC, STOP, EXIT = "spec.json", "stop", "exit.json"
LOG, METRICS, STATUS, SUPERVISOR_LOG = "log.jsonl", "metrics.jsonl", "status.jsonl", "supervisor.log"


def of(data: Path, scope: Scope, kind: str, name: str) -> Path:
    """The directory of all attempts of a job."""
    return data / "jobs" / scope.account / scope.region / kind / name


def every(data: Path, kind: str) -> Iterator[tuple[Scope, str, Path]]:
    """The directories of all jobs of `kind`, with their scopes and names."""
    for directory in (data / "jobs").glob(f"*/*/{kind}/*"):
        account, region, _, name = directory.parts[-4:]
        yield Scope(account, region), name, directory


def write_json(path: Path, content: Any) -> None:
    """Write `path` whole or not at all, on disk when this returns; readable by the owner only."""
    part = path.with_name(path.name + ".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(descriptor)
    part.rename(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def read_json(path: Path) -> Any | None:
    """The content of `path`, or None when it is not there."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
