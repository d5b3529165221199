"""Gradient boosted trees with XGBoost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self

import numpy as np
import xgboost

from clary.algorithms import metrics
from clary.algorithms.estimator import Estimator, features, vector
from clary.algorithms.trees import boosting
from clary.formats.batch import Batch

_ATTRIBUTE = "clary"


class XGBoost(Estimator):
    """Boosted trees: each round adds a tree that follows the gradient of the loss of those before it.

    Parameters
    ----------
    num_round : int >= 1, default 100
        Rounds of boosting.
    objective : str, default "reg:squarederror"
        What is learned: `reg:*`, `binary:logistic`, `multi:softprob`, `count:poisson`, `rank:*`, ...
    num_class : int >= 2, optional
        Number of classes, for `multi:*`; labels are 0 to num_class - 1.
    eta : float in [0, 1], default 0.3
        Step size.
    max_depth : int >= 0, default 6
        Depth of a tree; 0 is no limit.
    min_child_weight, gamma, reg_lambda, reg_alpha : float >= 0, default 1, 0, 1, 0
        What a leaf must hold, what a split must save, L2 and L1 of leaf weights.
    subsample, colsample_bytree : float in (0, 1], default 1
        Share of rows and of columns that a tree sees.
    scale_pos_weight : float > 0, default 1
        Weight of positive rows; (negative rows) / (positive rows) balances the classes.
    tree_method : str, default "hist"
        `hist`, `approx` or `exact`.
    eval_metric : str or list of str, optional
        Metrics of the validation data; the objective's own when absent.
    early_stopping_rounds : int >= 1, optional
        Stop, and keep the best round, when the last metric of the validation data has not improved for so many rounds.
    nthread : int >= 1, optional
        Threads; all cores when absent.
    seed : int, default 0
        Drives row and column sampling.
    parameters : dict, optional
        Any further parameter of the XGBoost library, by its own name.

    Attributes
    ----------
    booster_ : xgboost.Booster
    columns_ : int
        Feature columns seen by `fit`.
    history_ : dict
        Metric per round: `{"train": {"rmse": [...]}, "validation": {...}}`; empty without validation data.

    Examples
    --------
    >>> import numpy as np
    >>> from clary.algorithms import XGBoost
    >>> X = np.arange(40.0).reshape(20, 2)
    >>> y = (X[:, 0] > 19).astype(int)
    >>> model = XGBoost(num_round=5, objective="binary:logistic").fit(X, y)
    >>> model.predict(X[[0, 19]]).tolist()
    [0, 1]
    >>> model.score(X, y)
    1.0

    References
    ----------
    T. Chen and C. Guestrin (2016), "XGBoost: A Scalable Tree Boosting System", KDD.
    """

    def __init__(
        self,
        num_round: int = 100,
        *,
        objective: str = "reg:squarederror",
        num_class: int | None = None,
        eta: float = 0.3,
        max_depth: int = 6,
        min_child_weight: float = 1,
        gamma: float = 0,
        reg_lambda: float = 1,
        reg_alpha: float = 0,
        subsample: float = 1,
        colsample_bytree: float = 1,
        scale_pos_weight: float = 1,
        tree_method: str = "hist",
        eval_metric: str | list[str] | None = None,
        early_stopping_rounds: int | None = None,
        nthread: int | None = None,
        seed: int = 0,
        parameters: dict[str, Any] | None = None,
    ):
        self.num_round = num_round
        self.objective = objective
        self.num_class = num_class
        self.eta = eta
        self.max_depth = max_depth
        self.min_child_weight = min_child_weight
        self.gamma = gamma
        self.reg_lambda = reg_lambda
        self.reg_alpha = reg_alpha
        self.subsample = subsample
        self.colsample_bytree = colsample_bytree
        self.scale_pos_weight = scale_pos_weight
        self.tree_method = tree_method
        self.eval_metric = eval_metric
        self.early_stopping_rounds = early_stopping_rounds
        self.nthread = nthread
        self.seed = seed
        self.parameters = parameters

    def fit(self, X: Any, y: Any, *, sample_weight: Any = None, validation: tuple[Any, Any] | None = None) -> Self:
        """Learn from `X` (rows, columns), dense (NaN is missing) or sparse (absent is missing), and `y` (rows,).

        `sample_weight` is (rows,); `validation` an `(X, y)` whose metrics go to `history_` and stop training early.
        """
        rows = _labelled(X, y, sample_weight)
        train = boosting.matrix([rows], self._library_parameters())
        watched = []
        if validation is not None:
            others = _labelled(*validation, columns=rows.columns)
            watched = [(train, "train"), (boosting.matrix([others], self._library_parameters(), like=train), "validation")]
        elif self.early_stopping_rounds:
            raise ValueError("early_stopping_rounds needs validation data: fit(X, y, validation=(X, y))")
        self.history_: dict[str, Any] = {}
        self.booster_ = xgboost.train(
            self._library_parameters(),
            train,
            num_boost_round=self.num_round,
            evals=watched,
            evals_result=self.history_,
            callbacks=self._callbacks(),
            verbose_eval=False,
        )
        self.columns_ = rows.columns
        return self

    def predict(self, X: Any) -> np.ndarray:
        """(rows,) the predicted class for `binary:*` and `multi:*` (int64), else the predicted value (float32)."""
        raw = self._raw(X)
        return metrics.labels(raw, self.objective) if self._classifies else raw

    def predict_proba(self, X: Any) -> np.ndarray:
        """(rows, classes) float32 probabilities; for `binary:logistic` and `multi:softprob` only."""
        if self.objective not in ("binary:logistic", "multi:softprob"):
            raise ValueError(f"{self.objective} gives no probabilities; use binary:logistic or multi:softprob")
        raw = self._raw(X)
        return raw if raw.ndim == 2 else np.column_stack([1 - raw, raw])

    def score(self, X: Any, y: Any) -> float:
        """Accuracy of classes, R² of values."""
        predicted = self.predict(X)
        truth = vector(y, len(predicted), "y")
        return metrics.accuracy(truth, predicted) if self._classifies else metrics.r2(truth, predicted)

    def save(self, path: str | Path) -> None:
        """Write the model to one file, which plain XGBoost opens too."""
        self.booster_.set_attr(**{_ATTRIBUTE: json.dumps({"params": self.get_params(), "columns": self.columns_})})
        Path(path).write_bytes(self.booster_.save_raw(raw_format="ubj"))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The model that `save` wrote. Raises `ValueError` for any other file."""
        booster = xgboost.Booster()
        try:
            booster.load_model(bytearray(Path(path).read_bytes()))
        except xgboost.core.XGBoostError as error:
            raise ValueError(f"{path} holds no XGBoost model") from error
        saved = booster.attr(_ATTRIBUTE)
        if saved is None:
            raise ValueError(f"{path} was not written by XGBoost.save; open it with xgboost.Booster")
        document = json.loads(saved)
        model = cls(**document["params"])
        model.booster_, model.columns_, model.history_ = booster, document["columns"], {}
        return model

    @property
    def _classifies(self) -> bool:
        return self.objective.startswith(("binary:", "multi:"))

    def _raw(self, X: Any) -> np.ndarray:
        if not hasattr(self, "booster_"):
            raise ValueError("this XGBoost has learned nothing yet; call fit first")
        return self.booster_.predict(xgboost.DMatrix(features(X, self.columns_), nthread=self.nthread))

    def _library_parameters(self) -> dict[str, Any]:
        taken = self.get_params()
        for name in ("num_round", "early_stopping_rounds", "parameters"):
            del taken[name]
        if self.scale_pos_weight == 1:
            del taken["scale_pos_weight"]  # XGBoost warns of it where there is nothing to weigh
        given = {name: value for name, value in taken.items() if value is not None}
        return given | {"verbosity": 1} | (self.parameters or {})

    def _callbacks(self) -> list[xgboost.callback.TrainingCallback]:
        if not self.early_stopping_rounds:
            return []
        return [xgboost.callback.EarlyStopping(rounds=self.early_stopping_rounds, data_name="validation", save_best=True)]


def _labelled(X: Any, y: Any, sample_weight: Any = None, columns: int | None = None) -> Batch:
    X = features(X, columns)
    weights = None if sample_weight is None else vector(sample_weight, X.shape[0], "sample_weight")
    return Batch(X, vector(y, X.shape[0], "y"), weights)
