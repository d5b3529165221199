"""Warm start: what a new tuning job takes over from its parents, copied when it is created, so that parents may be deleted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clary.catalog import tuning
from clary.catalog.tuning import Definition
from clary.core.errors import ResourceNotFound, ValidationException
from clary.core.service import Context
from clary.storage import tuning_trials
from clary.storage.resources import Resource

FINISHED = ("Completed", "Failed", "Stopped")
PARENT_TRIALS, PARENT_BEST = "_parent_trials", "_parent_best"
"""Members of a tuning job's document that Describe does not show: `[{"hyperparameters", "objective"}]`, and summaries."""


def parents_of(ctx: Context, request: Mapping[str, Any], definitions: Sequence[Definition]) -> dict[str, Any]:
    """What the tuning job's document gets beside the request. Raises what the caller should see of unfit parents."""
    config = request.get("WarmStartConfig")
    if config is None:
        return {}
    if len(definitions) > 1:
        raise ValidationException(
            "WarmStartConfig goes with TrainingJobDefinition; it cannot be used with TrainingJobDefinitions"
        )
    names = [parent["HyperParameterTuningJobName"] for parent in config["ParentHyperParameterTuningJobs"]]
    parents = [_parent(ctx, name) for name in names]
    identical = config["WarmStartType"] == "IdenticalDataAndAlgorithm"
    for parent in parents:
        _check(parent, definitions[0], identical)
    trials = [one for parent in parents for one in tuning_trials.trials(ctx.platform.resources, parent)]
    told = [
        {"hyperparameters": one.document["HyperParameters"], "objective": tuning_trials.objective(one)}
        for one in trials
        if tuning_trials.objective_status(one) == "Succeeded"
    ]
    best = [summary for parent in parents if (summary := _best(parent))] if identical else []
    return {PARENT_TRIALS: told, PARENT_BEST: best}


def _parent(ctx: Context, name: str) -> Resource:
    parent = ctx.platform.resources.get(tuning_trials.KIND, ctx.scope, name)
    if parent is None:
        raise ResourceNotFound(
            f"WarmStartConfig.ParentHyperParameterTuningJobs: could not find a tuning job with the name {name}."
        )
    if parent.status not in FINISHED:
        raise ValidationException(
            f"WarmStartConfig.ParentHyperParameterTuningJobs: {name} is in status {parent.status}; "
            "parents must be Completed, Failed or Stopped"
        )
    return parent


def _check(parent: Resource, definition: Definition, identical: bool) -> None:
    """A parent must have searched for the same; with IdenticalDataAndAlgorithm also in the same data with the same image."""
    theirs = tuning.definitions(parent.document)
    if len(theirs) > 1:
        raise ValidationException(f"WarmStartConfig: the parent {parent.name} has several TrainingJobDefinitions")
    if theirs[0].objective != definition.objective:
        raise ValidationException(
            f"WarmStartConfig: the parent {parent.name} has the objective {theirs[0].objective}; it must be the same as "
            f"that of this tuning job, {definition.objective}"
        )
    if not identical:
        return
    for path, ours, other in _compared(definition.request, theirs[0].request):
        if ours != other:
            raise ValidationException(
                f"WarmStartConfig: WarmStartType IdenticalDataAndAlgorithm needs the {path} of the parent {parent.name}; "
                "use TransferLearning for other data or another algorithm"
            )


def _compared(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    specifications = ours["AlgorithmSpecification"], theirs["AlgorithmSpecification"]
    images = [one.get("TrainingImage") for one in specifications]
    return [
        ("AlgorithmSpecification.TrainingImage", images[0], images[1]),
        ("InputDataConfig", ours.get("InputDataConfig"), theirs.get("InputDataConfig")),
    ]


def _best(parent: Resource) -> dict[str, Any] | None:
    return parent.state.get("OverallBestTrainingJob", parent.state.get("BestTrainingJob"))
