"""A tuning job as its loop sees it: its limits, its strategy, and where each trial belongs."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from clary.catalog import tuning
from clary.catalog.ranges import CategoryRange, Range
from clary.catalog.tuning import Definition
from clary.compute.control.tuning_decision import Limits, Seen, StopRule
from clary.storage import tuning_trials
from clary.storage.resources import Resource
from clary.tuning.stopping import median_rule, successive_halving
from clary.tuning.trial import Trial

KIND = tuning_trials.KIND
PARENT_TRIALS, PARENT_BEST = "_parent_trials", "_parent_best"
_STATES = {"InProgress": "running", "Stopping": "running", "Completed": "finished", "Stopped": "stopped", "Failed": "failed"}


@dataclass(frozen=True, slots=True)
class Plan:
    """What never changes while a tuning job runs."""

    definitions: tuple[Definition, ...]
    limits: Limits
    strategy: str
    seed: int
    resources: tuple[int, int] | None
    """MinResource and MaxResource of Hyperband."""
    stops_early: bool
    parents: tuple[dict[str, Any], ...]
    transfer: bool

    @classmethod
    def of(cls, job: Resource, slots: int) -> Plan:
        """The plan of `job` on a server that runs `slots` jobs at a time: trials that could only wait are not started, so
        that they are chosen when more is known."""
        document = job.document
        config = document["HyperParameterTuningJobConfig"]
        definitions = tuple(tuning.definitions(document))
        hyperband = config["Strategy"] == "Hyperband"
        return cls(
            definitions=definitions,
            limits=_limits(job, config, definitions, slots),
            strategy=config["Strategy"],
            seed=config.get("RandomSeed", _seed(f"{job.arn} {job.created!r}")),
            resources=tuning.hyperband_resources(config, definitions) if hyperband else None,
            stops_early=hyperband or config.get("TrainingJobEarlyStoppingType") == "Auto",
            parents=tuple(document.get(PARENT_TRIALS, ())),
            transfer=document.get("WarmStartConfig", {}).get("WarmStartType") == "TransferLearning",
        )

    def place(self, index: int) -> tuple[int, int] | None:
        """Which definition trial `index` belongs to and its number there: definitions take turns. None behind the last
        combination of a grid."""
        if self.strategy != "Grid":
            return index % len(self.definitions), index // len(self.definitions)
        turn, rest = 0, index
        while True:
            open_ones = [number for number, one in enumerate(self.definitions) if one.combinations > turn]
            if not open_ones:
                return None
            if rest < len(open_ones):
                return open_ones[rest], turn
            turn, rest = turn + 1, rest - len(open_ones)

    @property
    def stop_rule(self) -> StopRule:
        if not self.stops_early:
            return lambda trial, others: False
        minimize = self.limits.minimize
        if self.resources is None:
            return functools.partial(median_rule, minimize=minimize)
        least, most = self.resources
        return functools.partial(successive_halving, minimize=minimize, min_resource=least, max_resource=most)

    def seen(self, index: int, training_job: Resource, curve: Sequence[float]) -> Seen:
        """A trial as the decision sees it, with what it has reported so far."""
        definition, number = self.place(index) or (0, index)
        values = tuning.typed(self.definitions[definition], training_job.document["TunedHyperParameters"])
        status = training_job.status if training_job.status in _STATES else "Failed"
        objective = None if status in ("InProgress", "Stopping") else tuning_trials.objective(training_job)
        state = _STATES[status] if objective is not None or status in ("InProgress", "Stopping") else "failed"
        trial = Trial(index=number, values=values or {}, objective=objective, state=state, curve=tuple(curve))  # type: ignore[arg-type]
        return Seen(index, status, trial, definition)

    @property
    def _learns(self) -> bool:
        """Whether what is tried depends on what was found; the other strategies are asked without telling them."""
        return self.strategy in ("Bayesian", "Hyperband")

    def _told(self, trial: Trial) -> dict[str, Any]:
        """A trial in a question; its reports only where they matter, which is where trials are compared before their end."""
        reports = {} if self.resources is None else {"curve": trial.curve}
        return {"index": trial.index, "values": trial.values, "objective": trial.objective, "state": trial.state} | reports

    def training_job(self, definition: int, values: dict[str, float | int | str]) -> dict[str, Any]:
        """CreateTrainingJob's request, but for name and tags."""
        return tuning.training_job(self.definitions[definition], values)

    def question(self, index: int, seen: Sequence[Seen]) -> dict[str, Any] | None:
        """What the advisor is asked for trial `index`; None where there is nothing left to try."""
        place = self.place(index)
        if place is None:
            return None
        definition, number = place
        chosen = self.definitions[definition]
        arguments: dict[str, Any] = {"seed": _seed(f"{self.seed} {definition}"), "minimize": self.limits.minimize}
        if self.resources is not None:
            arguments |= {"min_resource": self.resources[0], "max_resource": self.resources[1]}
        return {
            "strategy": self.strategy,
            "arguments": arguments,
            "space": [_parameter(one) for one in chosen.ranges],
            "trials": [self._told(one.trial) for one in seen if one.definition == definition] if self._learns else [],
            "prior": _prior(chosen, self.parents) if self._learns else [],
            "transfer": self.transfer,
            "index": number,
        }


def _limits(job: Resource, config: dict[str, Any], definitions: Sequence[Definition], slots: int) -> Limits:
    asked, criteria = config["ResourceLimits"], config.get("TuningJobCompletionCriteria", {})
    seconds = asked.get("MaxRuntimeInSeconds")
    return Limits(
        trials=asked.get("MaxNumberOfTrainingJobs"),
        parallel=min(asked["MaxParallelTrainingJobs"], slots),
        minimize=definitions[0].minimize,
        parameters=max(len(one.ranges) for one in definitions),
        deadline=None if seconds is None else job.created + seconds,
        target=criteria.get("TargetObjectiveMetricValue"),
        not_improving=criteria.get("BestObjectiveNotImproving", {}).get("MaxNumberOfTrainingJobsNotImproving"),
        ends_on_convergence=criteria.get("ConvergenceDetected", {}).get("CompleteOnConvergence") == "Enabled",
    )


def _seed(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def _parameter(searched: Range) -> dict[str, Any]:
    if isinstance(searched, CategoryRange):
        return {"kind": "Categorical", "name": searched.name, "values": list(searched.values)}
    kind, number = ("Integer", int) if searched.integer else ("Continuous", float)
    bounds = {"low": number(searched.low), "high": number(searched.high)}
    return {"kind": kind, "name": searched.name, "scale": searched.scaling} | bounds


def _prior(definition: Definition, parents: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The parents' trials that lie in the ranges of `definition`, as trials of their own numbering."""
    known = [(tuning.typed(definition, one["hyperparameters"]), one["objective"]) for one in parents]
    told = [(values, objective) for values, objective in known if values is not None]
    return [
        {"index": number, "values": values, "objective": objective, "state": "finished"}
        for number, (values, objective) in enumerate(told)
    ]


def public_state(
    job: Resource, trials: Sequence[Resource], summaries: Sequence[dict[str, Any]], details: dict[str, Any]
) -> dict[str, Any]:
    """What Describe shows of the trials: counters, the best ones, what they cost, and how the search goes."""
    seconds = sum(one.state.get("TrainingTimeInSeconds", 0) for one in trials)
    state = tuning_trials.counters(list(trials)) | {
        "ConsumedResources": {"RuntimeInSeconds": seconds},
        "TuningJobCompletionDetails": details,
    }
    if best := tuning_trials.best(list(summaries)):
        state["BestTrainingJob"] = best
    if PARENT_BEST in job.document and job.document["WarmStartConfig"]["WarmStartType"] == "IdenticalDataAndAlgorithm":
        overall = tuning_trials.best([*job.document[PARENT_BEST], *([best] if best else [])])
        if overall:
            state["OverallBestTrainingJob"] = overall | ({} if overall is best else _of_parent(overall))
    return state


def _of_parent(summary: dict[str, Any]) -> dict[str, Any]:
    """TuningJobName, which the service shows in OverallBestTrainingJob: the name before the number of the trial."""
    return {"TuningJobName": summary.get("TuningJobName", summary["TrainingJobName"].rsplit("-", 2)[0])}
