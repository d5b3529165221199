"""A tuning job and its trials, read through the public API: what the leaderboard, the report and `clary why` show."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Literal

from clary.catalog import tuning
from clary.catalog.tuning import Definition

NAME = "HyperParameterTuningJobName"
OVER = ("Completed", "Failed", "Stopped")
METRIC_NAMESPACE = "/aws/sagemaker/TrainingJobs"
LATEST_WITHIN = timedelta(hours=1)
"""How old a report of a running trial may be to be shown. CloudWatch keeps points by the second for three hours."""

State = Literal["running", "finished", "stopped", "failed"]


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One training job of a tuning job. `number` counts from 1; `value` is the final objective, None without one; `texts`
    are the hyperparameters that it tries, as the API has them."""

    number: int
    name: str
    status: str
    value: float | None
    texts: Mapping[str, str]
    definition: str
    created: datetime
    ended: datetime | None
    cause: str
    """Why there is no value, of a trial that has ended without one."""

    @property
    def state(self) -> State:
        if self.status not in OVER:
            return "running"
        if self.value is None:
            return "failed"
        return "stopped" if self.status == "Stopped" else "finished"

    @property
    def seconds(self) -> float | None:
        """From its creation to its end; None while it runs."""
        return None if self.ended is None else (self.ended - self.created).total_seconds()


@dataclass(frozen=True)
class Study:
    """A tuning job as it was described just now, with its trials in the order of their start."""

    description: Mapping[str, Any]
    trials: tuple[Trial, ...]

    @property
    def name(self) -> str:
        return self.description[NAME]

    @property
    def status(self) -> str:
        return self.description["HyperParameterTuningJobStatus"]

    @property
    def is_over(self) -> bool:
        return self.status in OVER

    @property
    def reason(self) -> str:
        return self.description.get("FailureReason", "")

    @property
    def config(self) -> Mapping[str, Any]:
        return self.description["HyperParameterTuningJobConfig"]

    @cached_property
    def definitions(self) -> list[Definition]:
        """As they were asked for: Describe shows ResourceConfig beside HyperParameterTuningResourceConfig."""
        several = self.description.get("TrainingJobDefinitions", [])
        asked = dict(self.description)
        if several:
            return tuning.definitions(asked | {"TrainingJobDefinitions": [_asked(one) for one in several]})
        return tuning.definitions(asked | {"TrainingJobDefinition": _asked(asked["TrainingJobDefinition"])})

    @property
    def minimize(self) -> bool:
        return self.definitions[0].minimize

    @property
    def metrics(self) -> str:
        """The objective metric; where definitions differ in it, all of them."""
        return ", ".join(dict.fromkeys(one.metric for one in self.definitions))

    @property
    def started(self) -> datetime:
        return self.description["CreationTime"]

    @property
    def seconds(self) -> float:
        """From its creation to its end, or until now."""
        end = self.description.get("HyperParameterTuningEndTime") or datetime.now(UTC)
        return (end - self.started).total_seconds()

    @property
    def planned(self) -> int | None:
        """How many trials there will be at most, where the request says it."""
        if self.config["Strategy"] == "Grid":
            return sum(int(one.combinations) for one in self.definitions)
        return self.config["ResourceLimits"].get("MaxNumberOfTrainingJobs")

    @cached_property
    def ranked(self) -> list[Trial]:
        """The trials with a value, best first; the earlier one where two are equal."""
        known = [one for one in self.trials if one.value is not None]
        return sorted(known, key=lambda one: one.value if self.minimize else -one.value)  # type: ignore[operator,return-value,arg-type]

    @property
    def best(self) -> Trial | None:
        return self.ranked[0] if self.ranked else None

    def in_state(self, state: State) -> list[Trial]:
        return [one for one in self.trials if one.state == state]

    @property
    def causes(self) -> list[tuple[str, int, Trial]]:
        """Why trials failed, the most frequent cause first: the cause, how many had it, and the first of them."""
        failed = self.in_state("failed")
        first = {one.cause: one for one in reversed(failed)}
        return [(cause, count, first[cause]) for cause, count in Counter(one.cause for one in failed).most_common()]

    def definition_of(self, trial: Trial) -> Definition:
        return next((one for one in self.definitions if one.name == trial.definition), self.definitions[0])


def read(sagemaker: Any, name: str) -> Study:
    """Describe the tuning job `name` and list its trials. Raises botocore's ClientError when there is none."""
    description = sagemaker.describe_hyper_parameter_tuning_job(**{NAME: name})
    pages = sagemaker.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job").paginate(
        **{NAME: name}, PaginationConfig={"PageSize": 100}
    )
    summaries = [one for page in pages for one in page["TrainingJobSummaries"]]
    return Study(description, tuple(_trial(number, one) for number, one in enumerate(summaries, 1)))


def _trial(number: int, summary: Mapping[str, Any]) -> Trial:
    status, value = summary["TrainingJobStatus"], _value(summary)
    return Trial(
        number=number,
        name=summary["TrainingJobName"],
        status=status,
        value=value,
        texts=summary["TunedHyperParameters"],
        definition=summary.get("TrainingJobDefinitionName", ""),
        created=summary["CreationTime"],
        ended=summary.get("TrainingEndTime"),
        cause=_cause(summary) if status in OVER and value is None else "",
    )


def _asked(definition: Mapping[str, Any]) -> dict[str, Any]:
    return {member: value for member, value in definition.items() if member != "HyperParameterTuningResourceConfig"}


def _value(summary: Mapping[str, Any]) -> float | None:
    if summary["TrainingJobStatus"] not in ("Completed", "Stopped"):
        return None
    value = summary.get("FinalHyperParameterTuningJobObjectiveMetric", {}).get("Value")
    return value if value is not None and math.isfinite(value) else None


def _cause(summary: Mapping[str, Any]) -> str:
    if reason := summary.get("FailureReason"):
        return reason
    if summary["TrainingJobStatus"] == "Stopped":
        return "It was stopped before it reported the objective metric."
    return "It ended without having reported the objective metric."


def latest_values(cloudwatch: Any, study: Study) -> dict[str, float]:
    """What each running trial has last reported of its objective metric: trial name -> value."""
    running = study.in_state("running")
    now = datetime.now(UTC)
    found: dict[str, float] = {}
    for first in range(0, len(running), 500):  # GetMetricData takes 500 queries
        trials = running[first : first + 500]
        answer = cloudwatch.get_metric_data(
            MetricDataQueries=[_query(number, one, study.definition_of(one).metric) for number, one in enumerate(trials)],
            StartTime=now - LATEST_WITHIN,
            EndTime=now + timedelta(minutes=1),
            ScanBy="TimestampDescending",
        )
        found |= {trials[int(one["Id"][1:])].name: one["Values"][0] for one in answer["MetricDataResults"] if one["Values"]}
    return found


def _query(number: int, trial: Trial, metric: str) -> dict[str, Any]:
    dimensions = [{"Name": "TrainingJobName", "Value": trial.name}]
    named = {"Namespace": METRIC_NAMESPACE, "MetricName": metric, "Dimensions": dimensions}
    return {"Id": f"m{number}", "MetricStat": {"Metric": named, "Period": 1, "Stat": "Average"}}


def short(text: str) -> str:
    """A tuned value for reading: five significant digits of a number that has more."""
    try:
        number = float(text)
    except ValueError:
        return text
    return text if len(text) <= 6 or not math.isfinite(number) else f"{number:.5g}"


def duration(seconds: float) -> str:
    """`4.2 s`, `3 min 05 s`, `2 h 07 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
