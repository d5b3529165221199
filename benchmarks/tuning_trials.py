"""How the trials of the tables are trained: data, estimator, and the metric of the validation rows after each round."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.factorization_machines import Ratings, movielens
from benchmarks.xgboost_quality import Split, abalone

from clary.algorithms import FactorizationMachines, LinearLearner, XGBoost

ROUNDS, EPOCHS = 100, 30


def _boosted(split: Split, values: Mapping[str, Any], *, objective: str, metric: str) -> Sequence[float]:
    """The metric of the validation rows after each round of XGBoost."""
    given = {name: value for name, value in values.items() if name not in ("lambda", "alpha")}
    regularised = {f"reg_{name}": values[name] for name in ("lambda", "alpha") if name in values}
    model = XGBoost(ROUNDS, objective=objective, eval_metric=metric, n_jobs=1, **given, **regularised)  # type: ignore[arg-type]
    model.fit(split.train[:, 1:], split.train[:, 0], validation=(split.test[:, 1:], split.test[:, 0]))
    return model.history_["validation"][metric]


def _linear(split: Split, values: Mapping[str, Any]) -> Sequence[float]:
    """The loss of the validation rows after each epoch of one linear model."""
    given = dict(values) | {"use_bias": values["use_bias"] == "True"}
    model = LinearLearner("multiclass_classifier", epochs=EPOCHS, early_stopping_patience=EPOCHS, **given)  # type: ignore[arg-type]
    model.fit(split.train[:, 1:], split.train[:, 0], validation=(split.test[:, 1:], split.test[:, 0]))
    return model.history_


def _factorized(data: Ratings, values: Mapping[str, Any]) -> Iterator[float]:
    """The error of the test ratings after each epoch."""
    train, test, truth = data.rows(slice(data.cut)), data.rows(slice(data.cut, None)), data.ratings[data.cut :]
    model = FactorizationMachines(16, **values)  # type: ignore[arg-type]
    for _ in range(EPOCHS):
        model.partial_fit(train, data.ratings[: data.cut])
        yield float(np.sqrt(np.mean((model.predict(test) - truth) ** 2)))


def _bank(data: Path) -> Split:
    """Direct marketing; `duration`, which is known afterwards only, is left out, and words become their alphabetical number."""
    import pandas as pd

    parts = [pd.read_csv(data / "bank_marketing" / f"bank_marketing_{part}.csv.gz") for part in ("train", "test")]
    rows = pd.concat(parts).drop(columns="duration")
    labels = rows.pop("y") == "yes"
    coded = rows.apply(lambda column: column if column.dtype.kind in "if" else column.astype("category").cat.codes)
    whole = np.column_stack([labels, coded]).astype(np.float32)
    return Split(whole[: len(parts[0])], whole[len(parts[0]) :])


def _churn(data: Path) -> Split:
    import pandas as pd

    parts = (pd.read_csv(data / "telecom_churn" / f"churn_{part}.csv.gz") for part in ("train", "validation"))
    return Split(*(part.to_numpy(np.float32) for part in parts))


def _letters(data: Path) -> Split:
    """The first 16,000 letters to train, the others to validate, as is usual with these data."""
    import pandas as pd

    rows = pd.read_csv(data / "letter_recognition" / "letter_recognition.csv.gz")
    whole = np.column_stack([rows.pop("lettr").map(ord) - ord("A"), rows]).astype(np.float32)
    return Split(whole[:16_000], whole[16_000:])


TRAINED: Mapping[str, tuple[Callable[[Path], Any], Callable[[Any, Mapping[str, Any]], Sequence[float] | Iterator[float]]]] = {
    "XGBoost abalone": (partial(abalone, seed=0), partial(_boosted, objective="reg:squarederror", metric="rmse")),
    "XGBoost bank": (_bank, partial(_boosted, objective="binary:logistic", metric="auc")),
    "XGBoost churn": (_churn, partial(_boosted, objective="binary:logistic", metric="logloss")),
    "linear learner letters": (_letters, _linear),
    "FM MovieLens": (movielens, _factorized),
}
"""By the name of the problem: what reads its data from their folder, and what trains on them."""
