"""What a tuning job may ask for: typed ranges, ranges that nobody gave, and words for what cannot be searched."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.catalog import tuning
from clary.catalog.ranges import CategoryRange, NumberRange
from clary.catalog.tuning import InvalidTuning, definitions, hyperband_resources

XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.0-5"
OBJECTIVE = {"Type": "Minimize", "MetricName": "validation:rmse"}


def definition(**changes: Any) -> dict[str, Any]:
    return {
        "AlgorithmSpecification": {"TrainingImage": XGBOOST, "TrainingInputMode": "File"},
        "RoleArn": "arn:aws:iam::000000000000:role/SageMakerRole",
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        "StaticHyperParameters": {"num_round": "20"},
    } | changes


def request(ranges: dict[str, Any], changes: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    config = {"Strategy": "Random", "HyperParameterTuningJobObjective": OBJECTIVE, "ParameterRanges": ranges}
    return {"HyperParameterTuningJobConfig": config, "TrainingJobDefinition": definition(**(changes or {}))} | more


def number(name: str, low: str, high: str, **more: str) -> dict[str, str]:
    return {"Name": name, "MinValue": low, "MaxValue": high} | more


ETA = {"ContinuousParameterRanges": [number("eta", "0.01", "0.5")]}


def test_ranges_are_typed():
    ranges = ETA | {
        "IntegerParameterRanges": [number("max_depth", "1", "8", ScalingType="Logarithmic")],
        "CategoricalParameterRanges": [{"Name": "booster", "Values": ["gbtree", "dart"]}],
    }
    (found,) = definitions(request(ranges))
    assert set(found.ranges) == {
        NumberRange("eta", 0.01, 0.5, False),
        NumberRange("max_depth", 1, 8, True, "Logarithmic"),
        CategoryRange("booster", ("gbtree", "dart")),
    }
    assert (found.metric, found.minimize, found.static) == ("validation:rmse", True, {"num_round": "20"})


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({}, "names no hyperparameter to search"),
    (
        {"ContinuousParameterRanges": [number("eta", "0.5", "0.1")]},
        "range of eta is upside down: MinValue 0.5 is above MaxValue 0.1",
    ),
    ({"ContinuousParameterRanges": [number("eta", "low", "0.1")]}, "MinValue of eta must be a number; got 'low'"),
    ({"ContinuousParameterRanges": [number("eta", "nan", "0.1")]}, "MinValue of eta must be a number; got 'nan'"),
    ({"IntegerParameterRanges": [number("max_depth", "1", "2.5")]}, "MaxValue of max_depth must be a whole number; got '2.5'"),
    ({"ContinuousParameterRanges": [number("max_depth", "1", "2")]}, "search it in IntegerParameterRanges"),
    ({"IntegerParameterRanges": [number("booster", "1", "2")]}, "search it in CategoricalParameterRanges"),
    ({"ContinuousParameterRanges": [number("eta", "0.1", "3")]}, r"range of eta must lie within \[0, 1\]; 3 does not"),
    (
        {"CategoricalParameterRanges": [{"Name": "booster", "Values": ["tree"]}]},
        "Values of booster must be among .*'tree' is not",
    ),
    ({"CategoricalParameterRanges": [{"Name": "booster", "Values": ["dart", "dart"]}]}, "must differ from each other"),
    ({"ContinuousParameterRanges": [number("etta", "0.1", "0.3")]}, "has no hyperparameter 'etta'"),
    (
        {"ContinuousParameterRanges": [number("eta", "0", "0.3", ScalingType="Logarithmic")]},
        "takes values above 0; MinValue is 0",
    ),
    (
        {"ContinuousParameterRanges": [number("eta", "0", "1", ScalingType="ReverseLogarithmic")]},
        "from 0 to below 1; got 0 to 1",
    ),
    ({"IntegerParameterRanges": [number("num_round", "1", "9")]}, "is in StaticHyperParameters and in ParameterRanges"),
    ({"ContinuousParameterRanges": [number("eta", "0.1", "0.3")] * 2}, "eta has more than one range"),
    ({"ContinuousParameterRanges": [number(name, "0.1", "0.3") for name in ("eta", "learning_rate")]}, "eta has more than one"),
]


@pytest.mark.parametrize(("ranges", "words"), REFUSED)
def test_what_cannot_be_searched_is_named(ranges, words):
    with pytest.raises(InvalidTuning, match=words):
        definitions(request(ranges))


def test_the_objective_must_be_a_metric_of_the_algorithm():
    asked = request(ETA)
    asked["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"] = {"Type": "Minimize", "MetricName": "loss"}
    with pytest.raises(InvalidTuning, match=r"A metric is required.*'loss' is none of them; xgboost reports .*validation:rmse"):
        definitions(asked)
    specification = definition()["AlgorithmSpecification"] | {"MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*)"}]}
    asked["TrainingJobDefinition"]["AlgorithmSpecification"] = specification
    assert definitions(asked)[0].metric == "loss"


def test_several_definitions_have_objectives_and_ranges_of_their_own():
    one = definition(DefinitionName="one", TuningObjective=OBJECTIVE, HyperParameterRanges=ETA)
    two = one | {"DefinitionName": "two", "TuningObjective": OBJECTIVE | {"MetricName": "validation:mae"}}
    asked = {"HyperParameterTuningJobConfig": {"Strategy": "Random"}, "TrainingJobDefinitions": [one, two]}
    assert [found.metric for found in definitions(asked)] == ["validation:rmse", "validation:mae"]
    for broken, words in (
        ([one, one], "each needs a DefinitionName of its own"),
        ([one, two | {"TuningObjective": OBJECTIVE | {"Type": "Maximize"}}], "Type must be the same in all"),
    ):
        with pytest.raises(InvalidTuning, match=words):
            definitions(asked | {"TrainingJobDefinitions": broken})
    with pytest.raises(InvalidTuning, match="goes with TrainingJobDefinition;"):
        definitions(asked | {"HyperParameterTuningJobConfig": {"Strategy": "Random", "ParameterRanges": ETA}})
    with pytest.raises(InvalidTuning, match="one of them and not both"):
        definitions(asked | {"TrainingJobDefinition": definition()})


def test_auto_parameters_take_the_declared_range_or_one_around_the_hint():
    hints = [("eta", "0.2"), ("max_delta_step", "2"), ("booster", "gbtree"), ("seed", "-1")]
    ranges = {"AutoParameters": [{"Name": name, "ValueHint": hint} for name, hint in hints]}
    (found,) = definitions(request(ranges))
    by_name = {one.name: one for one in found.ranges}
    assert by_name["eta"] == NumberRange("eta", 0.1, 0.5, False, "Linear")
    assert isinstance(by_name["booster"], CategoryRange)
    assert "seed" not in by_name
    assert found.static["seed"] == "-1"


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        ("0.05", NumberRange("x", 0.005, 0.5, False, "Logarithmic")),
        ("0.3", NumberRange("x", 0.03, 1.0, False, "Logarithmic")),
        ("64", NumberRange("x", 6, 640, True, "Logarithmic")),
        ("True", CategoryRange("x", ("True", "False"))),
    ],
)
def test_a_hint_for_an_algorithm_that_declares_nothing(hint, expected):
    asked = request(
        {"AutoParameters": [{"Name": "x", "ValueHint": hint}]},
        {
            "AlgorithmSpecification": {
                "TrainingImage": "example.com/mine:1",
                "MetricDefinitions": [{"Name": "validation:rmse", "Regex": "(.*)"}],
            }
        },
    )
    low = getattr(expected, "low", None)
    (searched,) = definitions(asked)[0].ranges
    assert (searched.name, getattr(searched, "low", None)) == ("x", pytest.approx(low) if low else low)
    assert getattr(searched, "high", None) == (pytest.approx(expected.high) if isinstance(expected, NumberRange) else None)
    assert getattr(searched, "values", None) == getattr(expected, "values", None)


def test_autotune_searches_what_the_manual_advises():
    (found,) = definitions(request({}, Autotune={"Mode": "Enabled"}))
    assert {"eta", "max_depth", "subsample"} <= {one.name for one in found.ranges}
    assert "num_round" not in {one.name for one in found.ranges}, "it is static"


def test_hyperband_takes_its_resource_from_the_static_hyperparameters():
    found = definitions(request(ETA))
    assert hyperband_resources({}, found) == (1, 20)
    given = {"StrategyConfig": {"HyperbandStrategyConfig": {"MinResource": 2, "MaxResource": 9}}}
    assert hyperband_resources(given, found) == (2, 9)
    with pytest.raises(InvalidTuning, match="must be below MaxResource; got 9 and 9"):
        hyperband_resources({"StrategyConfig": {"HyperbandStrategyConfig": {"MinResource": 9, "MaxResource": 9}}}, found)
    with pytest.raises(InvalidTuning, match="MaxResource is required"):
        hyperband_resources({}, definitions(request(ETA, {"StaticHyperParameters": {}})))


@given(eta=st.floats(0.01, 0.5), depth=st.integers(1, 8))
def test_values_survive_the_way_through_the_texts_of_a_training_job(eta, depth):
    (found,) = definitions(request(ETA | {"IntegerParameterRanges": [number("max_depth", "1", "8")]}))
    job = tuning.training_job(found, {"eta": eta, "max_depth": depth})
    assert tuning.typed(found, job["HyperParameters"]) == {"eta": eta, "max_depth": depth}
    assert job["HyperParameters"].keys() == {"num_round", "eta", "max_depth", "_tuning_objective_metric"}
    assert job["TunedHyperParameters"] == {"eta": repr(eta), "max_depth": str(depth)}


def test_values_of_another_range_are_no_values():
    (found,) = definitions(request(ETA))
    assert tuning.typed(found, {"eta": "0.6"}) is None
    assert tuning.typed(found, {}) is None
    assert tuning.typed(found, {"eta": "text"}) is None


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({"ResourceConfig": {"InstanceCount": 1}}, {"InstanceCount": 1}),
        (
            {"HyperParameterTuningResourceConfig": {"InstanceCount": 2, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}},
            {"InstanceCount": 2, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
        ),
        (
            {
                "HyperParameterTuningResourceConfig": {
                    "AllocationStrategy": "Prioritized",
                    "InstanceConfigs": [{"InstanceCount": 1}, {}],
                }
            },
            {"InstanceCount": 1},
        ),
    ],
)
def test_resources_are_given_in_either_form(resources, expected):
    (found,) = definitions(request(ETA, resources))
    assert tuning.training_job(found, {"eta": 0.1})["ResourceConfig"] == expected
