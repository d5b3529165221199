"""What is true of a job host, as its directory says it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from clary.compute.runner import job_directory, lock


@dataclass(frozen=True, slots=True)
class Observation:
    """`ABSENT` never started; `RUNNING` has a living supervisor; `EXITED` left `record`; `LOST` is gone without one."""

    state: Literal["ABSENT", "RUNNING", "EXITED", "LOST"]
    record: dict[str, Any] | None = None


def observe(directory: Path) -> Observation:
    """What is true now; cheap enough for the event loop."""
    for _ in range(2):  # a supervisor may leave its record and go between the two looks
        if (record := job_directory.read_json(directory / job_directory.EXIT)) is not None:
            return Observation("EXITED", record)
        if lock.holder(directory) is not None:
            return Observation("RUNNING")
    return Observation("LOST" if lock.was_taken(directory) else "ABSENT")
