"""The trials of a tuning job: ordinary training jobs, found by their names.

The name of a trial follows from its tuning job and its number, so that starting it again starts nothing twice and no list
of trials has to be kept. What a trial tries stands in the document of its training job, in members that no client can send:
`TuningJobArn`, `TunedHyperParameters`, `TuningObjective` and `TrainingJobDefinitionName`. Both the SageMaker service and
the tuning loop read trials here.
"""

from __future__ import annotations

import hashlib
from typing import Any

from clary.storage.resources import Resource, ResourceStore

KIND = "hyper-parameter-tuning-job"
TRIAL_KIND = "training-job"
LAUNCHED = "_launched"
"""Member of a tuning job's state: how many trials it has started."""
FINISHED = ("Completed", "Failed", "Stopped")


def trial_name(job: Resource, index: int) -> str:
    """`<tuning job>-<number from 001>-<8 hexadecimal digits>`; the digits differ when a tuning job's name is used again."""
    identity = f"{job.arn} {job.created!r} {index}".encode()
    return f"{job.name}-{index + 1:03d}-{hashlib.sha256(identity).hexdigest()[:8]}"


def trial(resources: ResourceStore, job: Resource, index: int) -> Resource | None:
    """The training job of trial `index` (from 0); None when it was not started, or is deleted."""
    found = resources.get(TRIAL_KIND, job.scope, trial_name(job, index))
    return found if found is not None and found.document.get("TuningJobArn") == job.arn else None


def trials(resources: ResourceStore, job: Resource) -> list[Resource]:
    """The training jobs that a tuning job has started and nobody has deleted, in order."""
    found = (trial(resources, job, index) for index in range(job.state.get(LAUNCHED, 0)))
    return [one for one in found if one is not None]


def objective(trial: Resource) -> float | None:
    """The last value that a trial reported of its objective metric; None when there is none, or not yet."""
    wanted = trial.document["TuningObjective"]["MetricName"]
    metrics = trial.state.get("FinalMetricDataList", [])
    return next((metric["Value"] for metric in metrics if metric["MetricName"] == wanted), None)


def objective_status(trial: Resource) -> str:
    """`Pending` until the trial has ended, then whether it leaves a value to compare."""
    if trial.status not in FINISHED:
        return "Pending"
    return "Succeeded" if trial.status != "Failed" and objective(trial) is not None else "Failed"


def summary(trial: Resource) -> dict[str, Any]:
    """HyperParameterTrainingJobSummary of a trial."""
    document, state = trial.document, trial.state
    told = {
        "TrainingJobName": trial.name,
        "TrainingJobArn": trial.arn,
        "CreationTime": trial.created,
        "TrainingJobStatus": trial.status,
        "TunedHyperParameters": document["TunedHyperParameters"],
        "ObjectiveStatus": objective_status(trial),
    }
    if name := document.get("TrainingJobDefinitionName"):
        told["TrainingJobDefinitionName"] = name
    told |= {member: state[member] for member in ("TrainingStartTime", "TrainingEndTime", "FailureReason") if member in state}
    value = objective(trial)
    if value is not None:
        told["FinalHyperParameterTuningJobObjectiveMetric"] = document["TuningObjective"] | {"Value": value}
    return told


def counters(trials: list[Resource]) -> dict[str, dict[str, int]]:
    """TrainingJobStatusCounters and ObjectiveStatusCounters."""
    jobs = {"Completed": 0, "InProgress": 0, "RetryableError": 0, "NonRetryableError": 0, "Stopped": 0}
    objectives = {"Succeeded": 0, "Pending": 0, "Failed": 0}
    for one in trials:
        jobs[_counter(one)] += 1
        objectives[objective_status(one)] += 1
    return {"TrainingJobStatusCounters": jobs, "ObjectiveStatusCounters": objectives}


def _counter(trial: Resource) -> str:
    """A trial that failed has used up its retries, so its error counts as one that trying again does not mend."""
    if trial.status == "Failed":
        return "NonRetryableError"
    return trial.status if trial.status in FINISHED else "InProgress"


def best(summaries: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Of trial summaries, the one with the best value of its objective; the earlier one where two are equal."""
    known = [one for one in summaries if one["ObjectiveStatus"] == "Succeeded"]
    return min(known, key=_cost, default=None)


def _cost(summary: dict[str, Any]) -> float:
    metric = summary["FinalHyperParameterTuningJobObjectiveMetric"]
    return metric["Value"] if metric["Type"] == "Minimize" else -metric["Value"]
