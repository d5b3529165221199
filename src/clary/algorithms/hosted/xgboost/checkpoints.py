"""Checkpoints of training: `xgboost-checkpoint.N` is the model after round N, counted from 0; the last five are kept.

They lie where the job's CheckpointConfig says (`/opt/ml/checkpoints`), which the platform keeps in S3 and brings back when the
job, or another one with the same S3Uri, starts.
"""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xgboost

from clary.algorithms.hosted import log
from clary.algorithms.hosted.job import TrainingJob

KEPT = 5
SHARE_OF_TIME = 0.05
"""What writing checkpoints may cost of the time of training: a model grows with every round, and so does writing it."""

_NAME = re.compile(r"xgboost-checkpoint\.([0-9]+)")


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """The checkpoints in `directory`."""

    directory: Path

    @classmethod
    def of(cls, job: TrainingJob) -> Checkpoints | None:
        """Those of a job; None when it keeps none."""
        config = job.opt_ml / "input" / "config" / "checkpointconfig.json"
        if not config.exists():
            return None
        local = json.loads(config.read_text()).get("LocalPath", "/opt/ml/checkpoints")
        return cls(job.opt_ml / Path(local).relative_to("/opt/ml"))

    def newest(self) -> tuple[bytes, int] | None:
        """The latest model that XGBoost can read and the number of rounds it has seen; None when there is none."""
        for number, path in sorted(self._saved(), reverse=True):
            model = path.read_bytes()
            try:
                xgboost.Booster(model_file=bytearray(model))
            except xgboost.core.XGBoostError:
                log.line(f"Checkpoint {path.name} is damaged and left out", "WARNING")
                continue
            return model, number + 1
        return None

    def save(self, booster: xgboost.Booster, number: int) -> None:
        """Write the model after round `number` and remove what is more than five rounds' files old."""
        self.directory.mkdir(parents=True, exist_ok=True)
        part = self.directory / f".xgboost-checkpoint.{number}.part"
        part.write_bytes(booster.save_raw("ubj"))
        part.replace(self.directory / f"xgboost-checkpoint.{number}")
        for _, path in sorted(self._saved())[:-KEPT]:
            path.unlink(missing_ok=True)

    def _saved(self) -> list[tuple[int, Path]]:
        if not self.directory.is_dir():
            return []
        found = ((_NAME.fullmatch(entry.name), Path(entry.path)) for entry in os.scandir(self.directory))
        return [(int(match[1]), path) for match, path in found if match]


class SaveCheckpoints(xgboost.callback.TrainingCallback):
    """Saves the model after a round while that has cost little time so far, and always after the last round."""

    def __init__(self, checkpoints: Checkpoints, first_round: int):
        self._checkpoints = checkpoints
        self._first_round = first_round
        self._last_seen = self._last_saved = first_round - 1
        self._began = time.monotonic()
        self._spent = 0.0

    def after_iteration(self, model: Any, epoch: int, evals_log: dict[str, Any]) -> bool:
        self._last_seen = self._first_round + epoch
        if self._spent <= SHARE_OF_TIME * (time.monotonic() - self._began):
            self._save(model)
        return False

    def after_training(self, model: Any) -> Any:
        if self._last_saved < self._last_seen:
            self._save(model)
        return model

    def _save(self, model: xgboost.Booster) -> None:
        start = time.monotonic()
        self._checkpoints.save(model, self._last_seen)
        self._last_saved = self._last_seen
        self._spent += time.monotonic() - start
