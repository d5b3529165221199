"""The lines of a first-party algorithm's log that carry numbers; metric definitions and client tools read them.

Forms as the hosted algorithms write them: quality, progress and throughput lines, scores of a channel, and JSON metrics.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from clary.algorithms.hosted import log

Kind = Literal["loss", "score"]
"""`loss` is better when smaller, `score` when larger."""


@dataclass(frozen=True, slots=True)
class MetricLines:
    """Writes the lines of one host."""

    host: str

    def quality(
        self, channel: str, name: str, value: float, kind: Kind, *, epoch: int | None = None, batch: int | None = None
    ) -> None:
        """`#quality_metric: host=algo-1, epoch=3, train msd <loss>=6.39`; with a batch, `epoch=3, batch=40 train msd ...`."""
        places = [f"host={self.host}"]
        if epoch is not None:
            places.append(f"epoch={epoch}")
        if batch is not None:
            places.append(f"batch={batch}")
        separator = " " if batch is not None else ", "
        log.first_party(f"#quality_metric: {', '.join(places)}{separator}{channel} {name} <{kind}>={float(value)!r}")

    def progress(self, percent: float) -> None:
        """`#progress_metric: host=algo-1, completed 40.0 % of epochs`."""
        log.first_party(f"#progress_metric: host={self.host}, completed {float(percent)!r} % of epochs")

    def throughput(self, records: int, seconds: float) -> None:
        """`#throughput_metric: host=algo-1, train throughput=4892.2 records/second`."""
        rate = records / max(seconds, 1e-9)
        log.first_party(f"#throughput_metric: host={self.host}, train throughput={rate!r} records/second")

    def score(self, channel: str, name: str, value: float) -> None:
        """`#test_score (algo-1) : ('accuracy', 0.92)`."""
        log.first_party(f"#{channel}_score ({self.host}) : {(name, float(value))!r}")

    def metrics(
        self,
        algorithm: str,
        operation: str,
        values: Mapping[str, float],
        *,
        start: float,
        epoch: int | None = None,
        model: int | None = None,
        meta: str | None = None,
    ) -> None:
        """`#metrics {...}`: a JSON document with one observation of each of `values`, taken since `start` (epoch seconds)."""
        given: dict[str, Any] = {"epoch": epoch, "model": model, "Meta": meta}
        dimensions = {"Algorithm": algorithm, "Host": self.host, "Operation": operation}
        document = {
            "StartTime": start,
            "EndTime": time.time(),
            "Dimensions": dimensions | {name: value for name, value in given.items() if value is not None},
            "Metrics": {name: _observed(float(value)) for name, value in values.items()},
        }
        log.plain(f"#metrics {json.dumps(document)}")


def _observed(value: float) -> dict[str, float]:
    return {"sum": value, "count": 1, "min": value, "max": value}
