"""Gradient boosted trees with XGBoost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self

import numpy as np
import xgboost
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import ClassifierTags, RegressorTags, Tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from clary.algorithms import metrics
from clary.algorithms.estimator import Estimator
from clary.algorithms.trees import boosting
from clary.formats.batch import Batch

_ATTRIBUTE = "clary"
_FORMAT = 2
"""Of what `save` writes beside the library's own model."""


def _classifies(estimator: XGBoost) -> bool:
    return estimator.objective.startswith(("binary:", "multi:"))


def _gives_probabilities(estimator: XGBoost) -> bool:
    if estimator.objective not in ("binary:logistic", "multi:softprob"):
        raise AttributeError(f"{estimator.objective} gives no probabilities; use binary:logistic or multi:softprob")
    return True


class XGBoost(Estimator):
    """Boosted trees: each round adds a tree that follows the gradient of the loss of those before it.

    Parameters
    ----------
    num_round : int >= 1, default 100
        Rounds of boosting.
    objective : str, default "reg:squarederror"
        What is learned: `reg:*`, `binary:logistic`, `multi:softprob`, `count:poisson`, `rank:*`, ...
    num_class : int >= 2, optional
        Number of classes, for `multi:*`: labels are then 0 to num_class - 1, whether `y` has them all or not. Without it the
        classes are the values that `y` has, which may be text.
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
    n_jobs : int, optional
        Threads; all cores when absent or -1.
    seed : int, default 0
        Drives row and column sampling.
    parameters : dict, optional
        Any further parameter of the XGBoost library, by its own name.

    Attributes
    ----------
    booster_ : xgboost.Booster
    classes_ : array of shape (classes,)
        The classes, in the order of `predict_proba`; for `binary:*` and `multi:*` only.
    n_features_in_ : int
        Feature columns seen by `fit`.
    feature_names_in_ : array of shape (n_features_in_,)
        Their names, where `X` has names.
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
        n_jobs: int | None = None,
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
        self.n_jobs = n_jobs
        self.seed = seed
        self.parameters = parameters

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, validation: tuple[Any, Any] | None = None) -> Self:
        """Learn from `X` (rows, columns), dense (NaN is missing) or sparse (absent is missing), and `y` (rows,).

        `sample_weight` is (rows,); `validation` an `(X, y)` whose metrics go to `history_` and stop training early.
        """
        if validation is None and self.early_stopping_rounds:
            raise ValueError("early_stopping_rounds needs validation data: fit(X, y, validation=(X, y))")
        X, y = self._checked(X, y, reset=True)
        X, y, weights = _weighed(X, y, sample_weight)
        if _classifies(self):
            self.classes_ = self._classes_of(y)
        rows = Batch(X, self._codes(y), weights)
        settings = self._library_parameters()
        train = boosting.matrix([rows], settings)
        watched = []
        if validation is not None:
            X, y = self._checked(*validation, reset=False)
            watched = [(train, "train"), (boosting.matrix([Batch(X, self._codes(y))], settings, like=train), "validation")]
        self.history_: dict[str, Any] = {}
        self.booster_ = xgboost.train(
            settings,
            train,
            num_boost_round=self.num_round,
            evals=watched,
            evals_result=self.history_,
            callbacks=self._callbacks(),
            verbose_eval=False,
        )
        return self

    def predict(self, X: Any) -> np.ndarray:
        """(rows,) the predicted class for `binary:*` and `multi:*`, else the predicted value (float32)."""
        raw = self._raw(X)
        return self.classes_[metrics.labels(raw, self.objective)] if _classifies(self) else raw

    @available_if(_gives_probabilities)
    def predict_proba(self, X: Any) -> np.ndarray:
        """(rows, classes) float32 probabilities; for `binary:logistic` and `multi:softprob` only."""
        raw = self._raw(X)
        return raw if raw.ndim == 2 else np.column_stack([1 - raw, raw])

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy of classes, R² of values."""
        quality = accuracy_score if _classifies(self) else r2_score
        return float(quality(y, self.predict(X), sample_weight=sample_weight))

    def save(self, path: str | Path) -> None:
        """Write the model to one file, which plain XGBoost opens too. Raises `ValueError` before `fit`."""
        check_is_fitted(self)
        learned = {name: getattr(self, name).tolist() for name in ("classes_", "feature_names_in_") if hasattr(self, name)}
        document = {"format": _FORMAT, "params": self.get_params(), "learned": learned}
        self.booster_.set_attr(**{_ATTRIBUTE: json.dumps(document)})
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
        document = json.loads(saved) if saved else {}
        if document.get("format") != _FORMAT:
            raise ValueError(f"{path} was not written by this version's XGBoost.save; open it with xgboost.Booster")
        model = cls(**document["params"])
        model.booster_, model.n_features_in_, model.history_ = booster, booster.num_features(), {}
        for name, values in document["learned"].items():
            setattr(model, name, np.array(values, dtype=object if name == "feature_names_in_" else None))
        return model

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.allow_nan = tags.input_tags.sparse = True
        if _classifies(self):
            tags.estimator_type = "classifier"
            tags.classifier_tags = ClassifierTags(multi_class=self.objective.startswith("multi:"))
        else:
            tags.estimator_type = "regressor"
            tags.regressor_tags = RegressorTags()
        return tags

    def _checked(self, X: Any, y: Any, *, reset: bool) -> tuple[Any, np.ndarray]:
        numeric = not _classifies(self)
        kept = {"accept_sparse": "csr", "dtype": np.float32, "ensure_all_finite": "allow-nan", "y_numeric": numeric}
        X, y = validate_data(self, X, y, reset=reset, **kept)
        if not numeric:
            check_classification_targets(y)
        return X, y

    def _classes_of(self, y: np.ndarray) -> np.ndarray:
        if self.num_class is not None:
            return np.arange(self.num_class)
        classes = np.unique(y)
        if len(classes) < 2:
            raise ValueError(
                f"y has one class, {classes.tolist()[0]!r}; {type(self).__name__} needs rows of two classes or more"
            )
        if len(classes) > 2 and not self.objective.startswith("multi:"):
            raise ValueError(
                f"Only binary classification is supported. {self.objective} knows two classes; y has {len(classes)}: "
                "use multi:softprob"
            )
        return classes

    def _codes(self, y: np.ndarray) -> np.ndarray:
        """(rows,) float32 as the library takes them: the number of the class of each row, or the value itself."""
        if not _classifies(self):
            return y.astype(np.float32)
        codes = np.minimum(np.searchsorted(self.classes_, y), len(self.classes_) - 1)
        if (self.classes_[codes] != y).any():
            stranger = y[self.classes_[codes] != y].tolist()[0]
            raise ValueError(f"y has the class {stranger!r}, which is none of {self.classes_.tolist()}")
        return codes.astype(np.float32)

    def _raw(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=np.float32, ensure_all_finite="allow-nan", reset=False)
        return self.booster_.predict(xgboost.DMatrix(X, nthread=self._threads))

    @property
    def _threads(self) -> int | None:
        return None if self.n_jobs in (None, -1) else self.n_jobs

    def _library_parameters(self) -> dict[str, Any]:
        taken = self.get_params() | {"nthread": self._threads}
        for name in ("num_round", "early_stopping_rounds", "parameters", "n_jobs"):
            del taken[name]
        if self.objective.startswith("multi:"):
            taken["num_class"] = len(self.classes_)
        if self.scale_pos_weight == 1:
            del taken["scale_pos_weight"]  # XGBoost warns of it where there is nothing to weigh
        given = {name: value for name, value in taken.items() if value is not None}
        return given | {"verbosity": 1} | (self.parameters or {})

    def _callbacks(self) -> list[xgboost.callback.TrainingCallback]:
        if not self.early_stopping_rounds:
            return []
        return [xgboost.callback.EarlyStopping(rounds=self.early_stopping_rounds, data_name="validation", save_best=True)]


def _weighed(X: Any, y: np.ndarray, sample_weight: Any) -> tuple[Any, np.ndarray, np.ndarray | None]:
    """The rows that count: those of weight 0 would still be counted among the values of a column."""
    if sample_weight is None:
        return X, y, None
    weights = _check_sample_weight(sample_weight, X, dtype=np.float32)
    counts = weights != 0
    return (X, y, weights) if counts.all() else (X[counts], y[counts], weights[counts])
