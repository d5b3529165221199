"""Hyperparameter tuning jobs: accept the request, record it, wake the loop that tries things (`compute/control/tuning.py`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clary.catalog import tuning
from clary.catalog.tuning import Definition, InvalidTuning
from clary.core.errors import ResourceInUse, ResourceLimitExceeded, ResourceNotFound, ValidationException
from clary.core.service import Context, Platform, operation
from clary.services.declared import Declared
from clary.services.sagemaker import training_jobs
from clary.services.sagemaker.tuning_warm_start import parents_of
from clary.storage import tuning_trials
from clary.storage.resources import Resource

TUNING_JOB = Declared(
    service="sagemaker",
    kind=tuning_trials.KIND,
    member="HyperParameterTuningJob",
    listed="HyperParameterTuningJobSummaries",
    summary=(
        "HyperParameterTuningJobName",
        "HyperParameterTuningJobArn",
        "HyperParameterTuningJobStatus",
        "Strategy",
        "CreationTime",
        "HyperParameterTuningEndTime",
        "LastModifiedTime",
        "TrainingJobStatusCounters",
        "ObjectiveStatusCounters",
        "ResourceLimits",
    ),
    status_member="HyperParameterTuningJobStatus",
    duplicate=(
        ResourceInUse,
        "Hyper parameter tuning job names must be unique within an AWS account and region, "
        "and a hyper parameter tuning job with this name already exists ({arn})",
    ),
    missing=(ResourceNotFound, "Could not find a hyperparameter tuning job with the name {name}."),
)
TOPIC = "tuning"
FINISHED = ("Completed", "Failed", "Stopped")
MOST_TRIALS = {"Bayesian": 750, "Random": 10_000, "Hyperband": 10_000, "Grid": 10_000}
MOST_PARALLEL = 100


class TuningJobs:
    """What a client can do with hyperparameter tuning jobs. Running their trials is `compute/`, not here."""

    def __init__(self, platform: Platform):
        self.platform = platform

    @operation("CreateHyperParameterTuningJob")
    async def create_tuning_job(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        request = _complete(request)
        config = request["HyperParameterTuningJobConfig"]
        definitions = _definitions(request)
        _check_strategy(config, definitions)
        _check_limits(config, definitions)
        request = _with_grid_size(request, definitions)
        config = request["HyperParameterTuningJobConfig"]
        parents = parents_of(ctx, request, definitions)
        for definition in definitions:
            await training_jobs.check(ctx, _sample(request, definition))
        state = tuning_trials.counters([]) | {member: config[member] for member in ("Strategy", "ResourceLimits")}
        job = await TUNING_JOB.create(ctx, request | parents, status="InProgress", state=state, wake=TOPIC)
        return {"HyperParameterTuningJobArn": job.arn}

    @operation("DescribeHyperParameterTuningJob")
    def describe_tuning_job(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        return _shown(TUNING_JOB.describe(TUNING_JOB.find(ctx, request)))

    @operation("ListHyperParameterTuningJobs")
    def list_tuning_jobs(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        return TUNING_JOB.list_page(ctx, request)

    @operation("ListTrainingJobsForHyperParameterTuningJob")
    def list_trials(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        job = TUNING_JOB.find(ctx, request)
        wanted = request.get("StatusEquals")
        trials = [one for one in tuning_trials.trials(ctx.platform.resources, job) if wanted in (None, one.status)]
        summaries = _sorted([tuning_trials.summary(one) for one in trials], request)
        return _page(summaries, request.get("MaxResults", 10), request.get("NextToken"))

    @operation("StopHyperParameterTuningJob")
    async def stop_tuning_job(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        def stop(job: Resource) -> dict[str, Any]:
            if job.status in FINISHED:
                raise ValidationException(
                    f"The request was rejected because the hyperparameter tuning job is in status {job.status}."
                )
            return {} if job.status == "Stopping" else {"status": "Stopping"}

        await TUNING_JOB.update(ctx, request, stop, wake=TOPIC)
        return {}

    @operation("DeleteHyperParameterTuningJob")
    async def delete_tuning_job(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        """Its training jobs and their artifacts stay, as they do on the service."""
        job = TUNING_JOB.find(ctx, request)
        if job.status not in FINISHED:
            raise ResourceInUse(
                f"The hyperparameter tuning job {job.name} is in status {job.status}; stop it and wait before deleting it"
            )
        await TUNING_JOB.delete(ctx, request)
        return {}


def _shown(answer: dict[str, Any]) -> dict[str, Any]:
    """Describe's answer with what the service adds to the request. SDK v2's `attach` reads all of it."""
    config = {"TrainingJobEarlyStoppingType": "Off"} | answer["HyperParameterTuningJobConfig"]
    shown = answer | {"HyperParameterTuningJobConfig": config}
    objective = config.get("HyperParameterTuningJobObjective")
    if objective is not None:
        return shown | {"TrainingJobDefinition": _shown_definition(answer["TrainingJobDefinition"], objective)}
    several = answer["TrainingJobDefinitions"]
    return shown | {"TrainingJobDefinitions": [_shown_definition(one, one["TuningObjective"]) for one in several]}


def _shown_definition(definition: dict[str, Any], objective: Mapping[str, str]) -> dict[str, Any]:
    """With the objective's name among the static hyperparameters, the algorithm's metrics, and ResourceConfig also where the
    request had HyperParameterTuningResourceConfig."""
    static, specification = definition.get("StaticHyperParameters", {}), definition["AlgorithmSpecification"]
    metrics = training_jobs.metric_definitions({"AlgorithmSpecification": specification, "HyperParameters": static})
    resources = {"ResourceConfig": found} if (found := tuning.resources(definition)) else {}
    return (
        definition
        | resources
        | {
            "AlgorithmSpecification": specification | {"MetricDefinitions": metrics},
            "StaticHyperParameters": static | {tuning.OBJECTIVE_HYPERPARAMETER: objective["MetricName"]},
        }
    )


def _complete(request: dict[str, Any]) -> dict[str, Any]:
    """The request with what Autotune chooses where the client left it open."""
    if "Autotune" not in request:
        return request
    config = request["HyperParameterTuningJobConfig"]
    criteria = {"ConvergenceDetected": {"CompleteOnConvergence": "Enabled"}} | config.get("TuningJobCompletionCriteria", {})
    chosen: dict[str, Any] = {"TuningJobCompletionCriteria": criteria}
    if config["Strategy"] != "Hyperband":
        chosen["TrainingJobEarlyStoppingType"] = "Auto"
    return request | {"HyperParameterTuningJobConfig": chosen | config | {"TuningJobCompletionCriteria": criteria}}


def _definitions(request: dict[str, Any]) -> list[Definition]:
    try:
        return tuning.definitions(request)
    except InvalidTuning as error:
        raise ValidationException(str(error)) from None


def _check_strategy(config: dict[str, Any], definitions: Sequence[Definition]) -> None:
    match config["Strategy"]:
        case "Grid":
            _check_grid(config, definitions)
        case "Hyperband":
            if config.get("TrainingJobEarlyStoppingType", "Off") != "Off":
                raise ValidationException(
                    "TrainingJobEarlyStoppingType must be Off with Strategy Hyperband, which stops trials by its own rules"
                )
            try:
                tuning.hyperband_resources(config, definitions)
            except InvalidTuning as error:
                raise ValidationException(str(error)) from None
    if config["Strategy"] != "Hyperband" and config.get("StrategyConfig", {}).get("HyperbandStrategyConfig"):
        raise ValidationException(
            f"StrategyConfig.HyperbandStrategyConfig goes with Strategy Hyperband; the Strategy is {config['Strategy']}"
        )


def _check_grid(config: dict[str, Any], definitions: Sequence[Definition]) -> None:
    for definition in definitions:
        numbers = [one.name for one in definition.ranges if isinstance(one, tuning.NumberRange)]
        if numbers:
            raise ValidationException(
                f"Strategy Grid takes CategoricalParameterRanges only; {numbers[0]} has a range of numbers: list its values"
            )
    combinations = sum(int(definition.combinations) for definition in definitions)
    asked = config["ResourceLimits"].get("MaxNumberOfTrainingJobs", combinations)
    if asked != combinations:
        raise ValidationException(
            f"ResourceLimits.MaxNumberOfTrainingJobs must be the number of combinations of the grid, {combinations}, "
            f"or be left out; got {asked}"
        )


def _with_grid_size(request: dict[str, Any], definitions: Sequence[Definition]) -> dict[str, Any]:
    """The request with MaxNumberOfTrainingJobs, which the service computes for a grid."""
    config = request["HyperParameterTuningJobConfig"]
    if config["Strategy"] != "Grid":
        return request
    size = sum(int(definition.combinations) for definition in definitions)
    limits = config["ResourceLimits"] | {"MaxNumberOfTrainingJobs": size}
    return request | {"HyperParameterTuningJobConfig": config | {"ResourceLimits": limits}}


def _check_limits(config: dict[str, Any], definitions: Sequence[Definition]) -> None:
    limits, strategy = config["ResourceLimits"], config["Strategy"]
    if limits["MaxParallelTrainingJobs"] > MOST_PARALLEL:
        raise _limit(
            "Maximum number of parallel training jobs per hyperparameter tuning job",
            MOST_PARALLEL,
            limits["MaxParallelTrainingJobs"],
        )
    trials = limits.get("MaxNumberOfTrainingJobs")
    if strategy == "Grid":
        trials = sum(int(definition.combinations) for definition in definitions)
    if trials is None and "MaxRuntimeInSeconds" not in limits and not config.get("TuningJobCompletionCriteria"):
        raise ValidationException(
            "ResourceLimits.MaxNumberOfTrainingJobs is required where neither ResourceLimits.MaxRuntimeInSeconds nor "
            "TuningJobCompletionCriteria would ever end the tuning job"
        )
    if trials is not None and trials > MOST_TRIALS[strategy]:
        raise _limit(f"Maximum number of training jobs per {strategy} hyperparameter tuning job", MOST_TRIALS[strategy], trials)
    if trials is not None and limits["MaxParallelTrainingJobs"] > trials:
        raise ValidationException(
            f"ResourceLimits.MaxParallelTrainingJobs must be at most MaxNumberOfTrainingJobs, {trials}; "
            f"got {limits['MaxParallelTrainingJobs']}"
        )


def _limit(name: str, limit: int, asked: int) -> ResourceLimitExceeded:
    return ResourceLimitExceeded(f"The account-level service limit '{name}' is {limit}, with a request of {asked}")


def _sample(request: Mapping[str, Any], definition: Definition) -> dict[str, Any]:
    """A training job as the tuning job would start it, to be looked at before the first one is."""
    name = request["HyperParameterTuningJobName"]
    return tuning.training_job(definition, {}) | {"TrainingJobName": f"{name}-001-00000000"}


def _sorted(summaries: list[dict[str, Any]], request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Trials come in the order of their creation; those without an objective value come last, whatever the order."""
    by, descending = request.get("SortBy", "CreationTime"), request.get("SortOrder") == "Descending"
    member = {"Name": "TrainingJobName", "Status": "TrainingJobStatus"}.get(by, by)
    if by != "FinalObjectiveMetricValue":
        return sorted(summaries, key=lambda one: one[member], reverse=descending)
    metric = "FinalHyperParameterTuningJobObjectiveMetric"
    known = [one for one in summaries if metric in one]
    unknown = [one for one in summaries if metric not in one]
    return sorted(known, key=lambda one: one[metric]["Value"], reverse=descending) + unknown


def _page(summaries: list[dict[str, Any]], limit: int, token: str | None) -> dict[str, Any]:
    """The summaries after the one that `token` names: the order of what is listed changes while trials end."""
    names = [one["TrainingJobName"] for one in summaries]
    if token is not None and token not in names:
        raise ValidationException("Invalid pagination token")
    first = 0 if token is None else names.index(token) + 1
    page = summaries[first : first + limit]
    more = {"NextToken": page[-1]["TrainingJobName"]} if first + limit < len(summaries) else {}
    return {"TrainingJobSummaries": page} | more
