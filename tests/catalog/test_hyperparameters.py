"""Hyperparameters: typed values, and the container's words for mistakes."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.catalog.builtin.xgboost import ALGORITHM, HYPERPARAMETERS
from clary.catalog.hyperparameters import Integer, Interval, InvalidHyperparameter, Schema

NEW, OLD = (3, 0), (0, 90)


def parse(version=NEW, **given_values):
    return HYPERPARAMETERS.parse({"num_round": "10"} | given_values, version)


def test_values_get_their_types():
    values = parse(
        eta="0.2", max_depth="5", objective="binary:logistic", eval_metric="error, auc", monotone_constraints="(1,-1,0)",
        tree_method="hist", interaction_constraints="[[0,1],[2]]",
    )  # fmt: skip
    assert values == {
        "num_round": 10,
        "eta": 0.2,
        "max_depth": 5,
        "objective": "binary:logistic",
        "eval_metric": ["error", "auc"],
        "monotone_constraints": (1, -1, 0),
        "tree_method": "hist",
        "interaction_constraints": [[0, 1], [2]],
    }


def test_whole_numbers_may_be_written_with_a_point():
    assert parse(max_depth="5.0")["max_depth"] == 5


def test_other_names_of_a_hyperparameter_mean_the_same():
    assert parse(learning_rate="0.2", reg_lambda="2") == {"num_round": 10, "eta": 0.2, "lambda": 2.0}


def test_hidden_hyperparameters_are_never_rejected():
    assert parse(_anything="x")["_anything"] == "x"


@pytest.mark.parametrize(
    ("given_values", "message"),
    [
        ({"eta": "3"}, "Hyperparameter eta: value 3 not in range [0, 1]"),
        ({"eta": "fast"}, "Hyperparameter eta: could not parse value 'fast'; it takes continuous values"),
        ({"eta": "nan"}, "Hyperparameter eta: could not parse value 'nan'; it takes continuous values"),
        ({"subsample": "0"}, "Hyperparameter subsample: value 0 not in range (0, 1]"),
        ({"num_round": "1.5"}, "Hyperparameter num_round: could not parse value '1.5'; it takes integer values"),
        ({"foo": "1"}, "Extraneous hyperparameter found: foo"),
        ({"silent": "1"}, "Extraneous hyperparameter found: silent"),
        ({"eta": "0.1", "learning_rate": "0.2"}, "Hyperparameter eta is given twice; learning_rate is another name for it"),
        ({"objective": "multi:softmax"}, "Require input for parameter 'num_class' for multi-classification"),
        ({"eval_metric": "auc"}, "Metric 'auc' can only be applied for classification and ranking problems."),
        ({"eval_metric": "mlogloss"}, "Metric 'mlogloss' can only be applied for 'multi:*' objectives."),
        (
            {"eval_metric": "aft-nloglik", "objective": "reg:gamma"},
            "Metric 'aft-nloglik' can only be applied for 'survival:aft' objective.",
        ),
        (
            {"updater": "refresh", "booster": "gblinear"},
            "Linear updater should be one of these options: 'shotgun', 'coord_descent'.",
        ),
        (
            {"updater": "grow_histmaker", "process_type": "update"},
            "process_type 'update' can only be used with updater 'refresh' and 'prune'",
        ),
        (
            {"monotone_constraints": "(1,0)"},
            "monotone_constraints can be used only when the tree_method parameter is set to either 'exact' or 'hist'.",
        ),
        (
            {"monotone_constraints": "(2,0)", "tree_method": "hist"},
            "Hyperparameter monotone_constraints: value (2,0) not in range [-1, 1]",
        ),
    ],
)
def test_mistakes_are_refused_in_the_words_of_the_container(given_values, message):
    with pytest.raises(InvalidHyperparameter, match=f"^{re.escape(message)}$"):
        parse(**given_values)


def test_a_missing_hyperparameter_is_named():
    with pytest.raises(InvalidHyperparameter, match=r"^Missing required hyperparameter: num_round$"):
        HYPERPARAMETERS.parse({}, NEW)


def test_metrics_with_a_threshold_are_accepted():
    assert parse(eval_metric="error@0.7,ndcg@5-,map@3", objective="binary:logistic")["eval_metric"][0] == "error@0.7"
    with pytest.raises(InvalidHyperparameter, match="not in range"):
        parse(eval_metric="error@high")
    with pytest.raises(InvalidHyperparameter, match="not in range"):
        parse(eval_metric="rmse@3")


def test_names_exist_only_in_the_versions_that_have_them():
    assert parse(OLD, silent="1")["silent"] == 1
    for name, value in {"save_model_on_termination": "true", "sampling_method": "uniform", "_kfold": "x"}.items():
        assert name not in HYPERPARAMETERS.names(OLD)
        if not name.startswith("_"):
            with pytest.raises(InvalidHyperparameter, match=f"Extraneous hyperparameter found: {name}"):
                parse(OLD, **{name: value})


def test_values_exist_only_in_the_versions_that_have_them():
    with pytest.raises(InvalidHyperparameter, match=r"survival:aft is not known to version 1\.0"):
        parse((1, 0), objective="survival:aft")


@given(st.dictionaries(st.sampled_from(HYPERPARAMETERS.names(NEW)) | st.text(max_size=8), st.text(max_size=12)))
def test_any_text_is_parsed_or_refused(given_values):
    for version in (NEW, OLD):
        with contextlib.suppress(InvalidHyperparameter):
            HYPERPARAMETERS.parse(given_values, version)


@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(-5, 5), st.booleans(), st.booleans())
def test_an_interval_holds_what_its_ends_say(low, high, value, open_low, open_high):
    interval = Interval(low, high, open_low, open_high)
    above = value > low if open_low else value >= low
    below = value < high if open_high else value <= high
    assert (value in interval) == (above and below)


def test_a_rule_sees_typed_values():
    seen = {}
    schema = Schema((Integer("a"),), rules=(seen.update,))
    schema.parse({"a": "3"}, NEW)
    assert seen == {"a": 3}


@pytest.mark.parametrize("tab", ["\t", "#011"])
def test_metric_expressions_read_the_log_line_of_a_round(tab):
    line = f"[2026-01-01 00:00:00:INFO] [98]{tab}train-error:0.036286{tab}validation-error:0.063063"
    found = {metric.name: match[1] for metric in ALGORITHM.metrics if (match := re.match(metric.regex, line))}
    assert found == {"train:error": "0.036286", "validation:error": "0.063063"}
