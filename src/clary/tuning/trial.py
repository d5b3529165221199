"""One configuration that was tried, and what came of it. Pure Python."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from clary.tuning.space import Values

State = Literal["running", "finished", "stopped", "failed"]


@dataclass(frozen=True, slots=True)
class Trial:
    """index: 0-based, unique within a job. objective: the final value; None while running, or when it failed. curve:
    intermediate values, one per report (epoch, round), oldest first. source: which job a parent's trial is from, where several
    are given: jobs whose data differ have levels of their own."""

    index: int
    values: Values
    objective: float | None = None
    state: State = "running"
    curve: tuple[float, ...] = ()
    source: str = ""

    @property
    def outcome(self) -> float | None:
        """What the trial ended with, or None: a stopped one without an objective counts with its last report; NaN and
        infinities are no outcome, nor is anything of a failed or running trial."""
        if self.state in ("running", "failed"):
            return None
        value = self.curve[-1] if self.objective is None and self.curve else self.objective
        return value if value is not None and math.isfinite(value) else None

    @property
    def failed(self) -> bool:
        """Whether it ended without an outcome."""
        return self.state != "running" and self.outcome is None


def by_index(trials: Sequence[Trial]) -> list[Trial]:
    """The history in the order in which it was proposed: whatever order trials come in, they mean the same."""
    return sorted(trials, key=lambda trial: trial.index)
