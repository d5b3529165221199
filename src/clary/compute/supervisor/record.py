"""The exit record, `exit.json`: the only thing that makes a job Completed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Outcome = Literal["Completed", "Failed", "Stopped", "MaxRuntimeExceeded"]


@dataclass(slots=True)
class ExitRecord:
    """How one host of a job ended. Times are seconds since the epoch; 0 means that it never came to that."""

    outcome: Outcome = "Failed"
    reason: str = ""
    exit_code: int | None = None
    """Of the program; negative for the signal that killed it; None when it never ran."""
    failure: dict[str, Any] = field(default_factory=dict)
    """For `clary why`: `type`, `message`, `traceback` (its end) where there was an exception, and `log`, the last lines."""
    metrics: dict[str, tuple[float, int]] = field(default_factory=dict)
    """Name -> last value and its time in milliseconds."""
    message: str = ""
    """What the program left to be said of its end, whatever that was: the ExitMessage of a processing job."""
    artifact: str = ""
    """URI of the stored model, `""` when there is none."""
    artifact_bytes: int = 0
    started: float = 0.0
    training_started: float = 0.0
    training_ended: float = 0.0
    ended: float = 0.0

    def document(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def parse(cls, document: dict[str, Any]) -> ExitRecord:
        metrics = {name: (value, time) for name, (value, time) in document["metrics"].items()}
        return cls(**document | {"metrics": metrics})


def is_consequence(record: Mapping[str, Any]) -> bool:
    """Whether a host says of its failure that it was another host's end: the cause is told by that one."""
    return record["outcome"] == "Failed" and record["failure"].get("type") == "PeerLost"


def cause_of(records: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Of the documents of a job's hosts, the one that tells why the job failed: the first that failed by itself."""
    causes = [record for record in records if record["outcome"] == "Failed" and not is_consequence(record)]
    return min(causes, key=lambda record: record["training_ended"], default=None)
