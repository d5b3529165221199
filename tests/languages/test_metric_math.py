"""Metric math against Python's own arithmetic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.languages.metric_math import MetricMathError, evaluate, names_in

A, B = {0: 1.0, 60: 2.0, 120: 3.0}, {60: 4.0, 120: 0.0, 180: 5.0}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a", A),
        ("a + b", {60: 6.0, 120: 3.0}),
        ("a / b", {60: 0.5}),
        ("a * 100 - 1", {0: 99.0, 60: 199.0, 120: 299.0}),
        ("-a ^ 2", {0: -1.0, 60: -4.0, 120: -9.0}),
        ("2 ^ 3 ^ 2", 512.0),
        ("2 - 3 - 4", -5.0),
        ("(1 + 2) * 3e1 / .5", 180.0),
        ("- - 1", 1.0),
    ],
)
def test_expressions(expression, expected):
    assert evaluate(expression, {"a": A, "b": B}) == expected


@pytest.mark.parametrize("expression", ["", "a +", "(a", "a b", "a $ b", "c", "1 / 0", "SUM(a)", "(" * 200 + "a" + ")" * 200])
def test_refused(expression):
    with pytest.raises(MetricMathError):
        evaluate(expression, {"a": A, "b": B})


def test_a_function_is_refused_by_its_name():
    with pytest.raises(MetricMathError, match="SEARCH"):
        evaluate("SEARCH('x')".replace("'", ""), {})


def test_the_names_in_an_expression():
    assert names_in("a / (b + m1) * 2e3") == {"a", "b", "m1"}


NUMBERS = st.integers(1, 9).map(str)
EXPRESSIONS = st.recursive(
    NUMBERS,
    lambda inner: st.tuples(inner, st.sampled_from("+-*"), inner).map("".join) | inner.map("({})".format),
    max_leaves=12,
)


@given(EXPRESSIONS)
def test_arithmetic_is_pythons(expression):
    assert evaluate(expression, {}) == eval(expression)
