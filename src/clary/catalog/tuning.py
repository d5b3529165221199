"""What a tuning job may ask for: its training job definitions, read from the request and checked against the algorithms.

On the wire every bound is a string. `definitions` gives typed ranges, or raises `InvalidTuning` with words that name the
parameter and the fix. Sources: CreateHyperParameterTuningJob, ParameterRanges, AutoParameter, HyperbandStrategyConfig.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clary.catalog import algorithms, frameworks
from clary.catalog.algorithms import Algorithm
from clary.catalog.hyperparameters import Boolean, Categorical, Hyperparameter, Integer, Version
from clary.catalog.ranges import CategoryRange, NumberRange, Range, UnknownRange, from_catalog, from_hint

MOST_RANGES = 30
OBJECTIVE_HYPERPARAMETER = "_tuning_objective_metric"
"""The service adds it to the hyperparameters of every training job that it starts, and shows it among the static ones."""
RESOURCES = ("epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs", "num_round")
"""Static hyperparameters from which Hyperband takes MaxResource; the last is ours, for XGBoost."""


class InvalidTuning(ValueError):
    """The user's mistake, in words that name the parameter and what it takes."""


@dataclass(frozen=True, slots=True)
class Definition:
    """One kind of training job that a tuning job starts.

    request : the TrainingJobDefinition as it came
    static : the hyperparameters of every training job, without the objective's
    """

    name: str
    request: Mapping[str, Any]
    ranges: tuple[Range, ...]
    static: Mapping[str, str]
    metric: str
    minimize: bool

    @property
    def objective(self) -> dict[str, str]:
        return {"Type": "Minimize" if self.minimize else "Maximize", "MetricName": self.metric}

    @property
    def combinations(self) -> float:
        """How many different training jobs there are."""
        return math.prod(searched.size for searched in self.ranges)


def definitions(request: Mapping[str, Any]) -> list[Definition]:
    """What a CreateHyperParameterTuningJob request asks to be tried. Raises `InvalidTuning`."""
    config = request["HyperParameterTuningJobConfig"]
    several = request.get("TrainingJobDefinitions")
    single = request.get("TrainingJobDefinition")
    if (single is None) == (several is None):
        raise InvalidTuning("Give either TrainingJobDefinition or TrainingJobDefinitions, one of them and not both")
    autotune = "Autotune" in request
    if single is not None:
        objective, ranges = config.get("HyperParameterTuningJobObjective"), config.get("ParameterRanges", {})
        return [_definition(single, objective, ranges, autotune)]
    if misplaced := [name for name in ("HyperParameterTuningJobObjective", "ParameterRanges") if config.get(name)]:
        raise InvalidTuning(
            f"HyperParameterTuningJobConfig.{misplaced[0]} goes with TrainingJobDefinition; with TrainingJobDefinitions "
            "each of them has its own TuningObjective and HyperParameterRanges"
        )
    assert several is not None
    found = [_definition(one, one.get("TuningObjective"), one.get("HyperParameterRanges", {}), autotune) for one in several]
    names = [one.name for one in found]
    if "" in names or len(set(names)) < len(names):
        raise InvalidTuning("TrainingJobDefinitions: each needs a DefinitionName of its own")
    if len({one.minimize for one in found}) > 1:
        raise InvalidTuning("TrainingJobDefinitions: TuningObjective.Type must be the same in all, to tell which job is best")
    return found


def _definition(
    request: Mapping[str, Any], objective: Mapping[str, str] | None, ranges: Mapping[str, Any], autotune: bool
) -> Definition:
    specification = request["AlgorithmSpecification"]
    found = _built_in(request)
    if "ResourceConfig" in request and "HyperParameterTuningResourceConfig" in request:
        raise InvalidTuning(
            "Give either ResourceConfig or HyperParameterTuningResourceConfig in a training job definition, not both"
        )
    if objective is None:
        raise InvalidTuning(
            "A metric is required for this hyperparameter tuning job objective: give HyperParameterTuningJobObjective, "
            "or TuningObjective in each of TrainingJobDefinitions"
        )
    _check_metric(objective["MetricName"], specification, found[0] if found else None)
    static = dict(request.get("StaticHyperParameters", {}))
    static.pop(OBJECTIVE_HYPERPARAMETER, None)  # of a description that is asked for anew
    known = _declared(found)
    searched = (*_numbers(ranges, known), *_categories(ranges, known), *_auto(ranges, static, known))
    if autotune and not searched:
        searched = tuple(_advised(known, static))
    _check_ranges(searched, static, known)
    return Definition(
        name=request.get("DefinitionName", ""),
        request=request,
        ranges=searched,
        static=static,
        metric=objective["MetricName"],
        minimize=objective["Type"] == "Minimize",
    )


def _built_in(request: Mapping[str, Any]) -> tuple[Algorithm, str] | None:
    """The built-in algorithm and its tag; None for a script, which may take any hyperparameter and print any metric."""
    if frameworks.brings_script({**request, "HyperParameters": request.get("StaticHyperParameters", {})}):
        return None
    return algorithms.find(request["AlgorithmSpecification"].get("TrainingImage", ""))


def _declared(found: tuple[Algorithm, str] | None) -> dict[str, Hyperparameter]:
    """Every name that the built-in algorithm knows; nothing of an image that is none."""
    if found is None:
        return {}
    algorithm, tag = found
    version: Version = next(tags[tag] for tags in algorithm.repositories.values() if tag in tags)
    declarations = [one for one in algorithm.hyperparameters.declarations if one.exists_in(version)]
    return {name: one for one in declarations for name in (one.name, *one.aliases)}


def _check_metric(metric: str, specification: Mapping[str, Any], algorithm: Algorithm | None) -> None:
    asked = {definition["Name"] for definition in specification.get("MetricDefinitions", [])}
    built_in = {known.name for known in algorithm.metrics} if algorithm else set()
    if metric not in asked | built_in:
        offered = f"; {algorithm.name} reports {', '.join(sorted(built_in))}" if algorithm else ""
        raise InvalidTuning(
            "A metric is required for this hyperparameter tuning job objective. Provide a metric in the metric definitions. "
            f"{metric!r} is none of them{offered}"
        )


def _numbers(ranges: Mapping[str, Any], known: Mapping[str, Hyperparameter]) -> Sequence[Range]:
    return [
        _number(one, known, integer)
        for member, integer in (("IntegerParameterRanges", True), ("ContinuousParameterRanges", False))
        for one in ranges.get(member, [])
    ]


def _number(one: Mapping[str, str], known: Mapping[str, Hyperparameter], integer: bool) -> NumberRange:
    name, scaling = one["Name"], one.get("ScalingType", "Auto")
    low, high = (_bound(name, member, one[member], integer) for member in ("MinValue", "MaxValue"))
    if low > high:
        raise InvalidTuning(
            f"The range of {name} is upside down: MinValue {one['MinValue']} is above MaxValue {one['MaxValue']}"
        )
    if scaling == "Logarithmic" and low <= 0:
        raise InvalidTuning(f"The range of {name} has ScalingType Logarithmic, which takes values above 0; MinValue is {low:g}")
    if scaling == "ReverseLogarithmic" and (integer or low < 0 or high >= 1):
        raise InvalidTuning(
            f"The range of {name} has ScalingType ReverseLogarithmic, which takes continuous values from 0 to below 1; "
            f"got {'integers' if integer else f'{low:g} to {high:g}'}"
        )
    declared = _known(name, known)
    if declared is not None:
        _check_number(declared, low, high, integer)
    return NumberRange(name, low, high, integer, scaling)  # type: ignore[arg-type]


def _bound(name: str, member: str, text: str, integer: bool) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or (integer and not value.is_integer()):
        kind = "a whole number" if integer else "a number"
        raise InvalidTuning(f"The {member} of {name} must be {kind}; got {text!r}")
    return value


def _known(name: str, known: Mapping[str, Hyperparameter]) -> Hyperparameter | None:
    if known and name not in known:
        raise InvalidTuning(f"The algorithm has no hyperparameter {name!r}; it has {', '.join(sorted(known))}")
    return known.get(name)


def _check_number(declared: Hyperparameter, low: float, high: float, integer: bool) -> None:
    if isinstance(declared, Integer) and not integer:
        raise InvalidTuning(f"{declared.name} takes whole numbers: search it in IntegerParameterRanges")
    if isinstance(declared, Categorical | Boolean):
        raise InvalidTuning(f"{declared.name} takes {declared.valid}: search it in CategoricalParameterRanges")
    for value in (low, high):
        if not _accepts(declared, repr(int(value)) if integer else repr(value)):
            raise InvalidTuning(f"The range of {declared.name} must lie within {declared.valid}; {value:g} does not")


def _categories(ranges: Mapping[str, Any], known: Mapping[str, Hyperparameter]) -> Sequence[Range]:
    return [_category(one, known) for one in ranges.get("CategoricalParameterRanges", [])]


def _category(one: Mapping[str, Any], known: Mapping[str, Hyperparameter]) -> CategoryRange:
    name, values = one["Name"], tuple(one["Values"])
    if len(set(values)) < len(values):
        raise InvalidTuning(f"The Values of {name} must differ from each other; got {list(values)}")
    declared = _known(name, known)
    for value in values:
        if declared is not None and not _accepts(declared, value):
            raise InvalidTuning(f"The Values of {name} must be among {declared.valid}; {value!r} is not")
    return CategoryRange(name, values)


def _accepts(declared: Hyperparameter, text: str) -> bool:
    if declared.auto and text == "auto":
        return True
    try:
        return declared.accepts(declared.parse(text))
    except ValueError:
        return False


def _auto(ranges: Mapping[str, Any], static: dict[str, str], known: Mapping[str, Hyperparameter]) -> Sequence[Range]:
    """Ranges of AutoParameters; one for which there is none stays at its hint, as a static hyperparameter."""
    found: list[Range] = []
    for one in ranges.get("AutoParameters", []):
        declared = _known(one["Name"], known)
        try:
            found.append(from_hint(one["Name"], one["ValueHint"], declared))
        except UnknownRange:
            static.setdefault(one["Name"], one["ValueHint"])
    return found


def _advised(known: Mapping[str, Hyperparameter], static: Mapping[str, str]) -> Sequence[Range]:
    """What the algorithm's manual advises to search, but for what is static."""
    fixed = {_canonical(name, known) for name in static}
    return [from_catalog(one) for name, one in known.items() if name == one.name and one.tunable and name not in fixed]


def _canonical(name: str, known: Mapping[str, Hyperparameter]) -> str:
    return known[name].name if name in known else name


def _check_ranges(searched: Sequence[Range], static: Mapping[str, str], known: Mapping[str, Hyperparameter]) -> None:
    names = [_canonical(one.name, known) for one in searched]
    if not names:
        raise InvalidTuning("ParameterRanges names no hyperparameter to search: give at least one range")
    if len(names) > MOST_RANGES:
        raise InvalidTuning(f"ParameterRanges searches {len(names)} hyperparameters; {MOST_RANGES} at most")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidTuning(f"{twice[0]} has more than one range in ParameterRanges; it may have one")
    if both := sorted(set(names) & {_canonical(name, known) for name in static}):
        raise InvalidTuning(f"{both[0]} is in StaticHyperParameters and in ParameterRanges; leave it out of one of them")


def hyperband_resources(config: Mapping[str, Any], found: Sequence[Definition]) -> tuple[int, int]:
    """MinResource and MaxResource of a Hyperband job, in reports of the objective metric. Raises `InvalidTuning`.

    MaxResource is taken from the static hyperparameters where the request does not say it, as the service does.
    """
    given = config.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {})
    inferred = [int(one.static[name]) for one in found for name in RESOURCES if one.static.get(name, "").isdigit()]
    most = given.get("MaxResource") or max(inferred, default=0)
    if not most:
        raise InvalidTuning(
            "StrategyConfig.HyperbandStrategyConfig.MaxResource is required with Strategy Hyperband where "
            f"StaticHyperParameters has none of {', '.join(RESOURCES)}"
        )
    least = given.get("MinResource", 1)
    if least >= most:
        raise InvalidTuning(f"HyperbandStrategyConfig.MinResource must be below MaxResource; got {least} and {most}")
    return least, most


_SAME = (
    "RoleArn",
    "InputDataConfig",
    "VpcConfig",
    "OutputDataConfig",
    "StoppingCondition",
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
    "CheckpointConfig",
    "RetryStrategy",
    "Environment",
)
"""Members that a training job has from its definition as they are."""


def training_job(definition: Definition, values: Mapping[str, float | int | str]) -> dict[str, Any]:
    """CreateTrainingJob's request, but for the name, for the training job that tries `values`.

    With what only the server says of a training job: `TunedHyperParameters`, `TuningObjective` and the definition's name.
    """
    request = definition.request
    tuned = {name: value if isinstance(value, str) else repr(value) for name, value in values.items()}
    job = {member: request[member] for member in _SAME if member in request}
    job |= {
        "AlgorithmSpecification": dict(request["AlgorithmSpecification"]),
        "HyperParameters": {**definition.static, **tuned, OBJECTIVE_HYPERPARAMETER: definition.metric},
        "TunedHyperParameters": tuned,
        "TuningObjective": definition.objective,
    }
    if asked := resources(request):
        job["ResourceConfig"] = asked
    if definition.name:
        job["TrainingJobDefinitionName"] = definition.name
    return job


def resources(request: Mapping[str, Any]) -> dict[str, Any]:
    """ResourceConfig as it is, or from HyperParameterTuningResourceConfig, of whose InstanceConfigs the first is taken: they
    are alternatives for want of capacity, and here none is short of the other."""
    if "ResourceConfig" in request:
        return dict(request["ResourceConfig"])
    asked = dict(request.get("HyperParameterTuningResourceConfig", {}))
    asked.pop("AllocationStrategy", None)
    alternatives = asked.pop("InstanceConfigs", [])
    return asked | (dict(alternatives[0]) if alternatives else {})


def typed(definition: Definition, texts: Mapping[str, str]) -> dict[str, float | int | str] | None:
    """The values of a definition's ranges among hyperparameters of any job; None when one is missing or out of its range."""
    values: dict[str, float | int | str] = {}
    for searched in definition.ranges:
        text = texts.get(searched.name)
        value = None if text is None else _typed(searched, text)
        if value is None:
            return None
        values[searched.name] = value
    return values


def _typed(searched: Range, text: str) -> float | int | str | None:
    if isinstance(searched, CategoryRange):
        return text if text in searched.values else None
    try:
        number = float(text)
    except ValueError:
        return None
    if not searched.low <= number <= searched.high:
        return None
    return int(number) if searched.integer else number
