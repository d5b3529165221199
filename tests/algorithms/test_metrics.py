"""Metrics agree with scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as theirs
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from clary.algorithms import metrics

PAIRS = st.integers(1, 30).flatmap(
    lambda rows: st.tuples(*(arrays(np.int64, rows, elements=st.integers(0, 3)) for _ in range(2)))  #
)
BINARY = st.integers(1, 30).flatmap(
    lambda rows: st.tuples(*(arrays(np.int64, rows, elements=st.integers(0, 1)) for _ in range(2)))  #
)


@given(PAIRS)
def test_metrics_of_classes(pair):
    truth, predicted = pair
    assert metrics.accuracy(truth, predicted) == pytest.approx(theirs.accuracy_score(truth, predicted))
    assert metrics.balanced_accuracy(truth, predicted) == pytest.approx(theirs.recall_score(
        truth, predicted, labels=np.unique(truth), average="macro", zero_division=0
    ))  # fmt: skip
    for average in ("macro", "micro"):
        for ours, other in (
            (metrics.precision, theirs.precision_score),
            (metrics.recall, theirs.recall_score),
            (metrics.f1, theirs.f1_score),
        ):
            expected = other(truth, predicted, average=average, zero_division=0)
            assert ours(truth, predicted, average) == pytest.approx(expected)


@given(BINARY)
def test_metrics_of_the_positive_class(pair):
    truth, predicted = pair
    assert metrics.precision(truth, predicted) == pytest.approx(theirs.precision_score(truth, predicted, zero_division=0))
    assert metrics.recall(truth, predicted) == pytest.approx(theirs.recall_score(truth, predicted, zero_division=0))
    assert metrics.f1(truth, predicted, "binary") == pytest.approx(theirs.f1_score(truth, predicted, zero_division=0))


def test_the_positive_class_of_many_is_refused():
    with pytest.raises(ValueError, match="Target is multiclass but average='binary'"):
        metrics.f1(np.array([0, 1, 2]), np.array([0, 1, 2]), "binary")


@given(
    st.integers(2, 30).flatmap(
        lambda rows: st.tuples(*(arrays(np.float32, rows, elements=st.floats(-99, 99, width=32)) for _ in range(2)))
    )
)
def test_metrics_of_values(pair):
    truth, predicted = pair
    assert metrics.mse(truth, predicted) == pytest.approx(theirs.mean_squared_error(truth, predicted), rel=1e-4, abs=1e-9)
    if truth.std() > 1e-3:
        assert metrics.r2(truth, predicted) == pytest.approx(theirs.r2_score(truth, predicted), rel=1e-4, abs=1e-6)


def test_classes_of_predictions():
    assert metrics.labels(np.array([[0.1, 0.9], [0.6, 0.4]]), "multi:softprob").tolist() == [1, 0]
    assert metrics.labels(np.array([0.4, 0.6]), "binary:logistic").tolist() == [0, 1]
    assert metrics.labels(np.array([-0.1, 0.2]), "binary:logitraw").tolist() == [0, 1]
    assert metrics.labels(np.array([2.0, 0.0]), "multi:softmax").tolist() == [2, 0]
