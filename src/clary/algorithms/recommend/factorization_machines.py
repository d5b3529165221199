"""Factorization machines: regression and classification of very sparse rows, with all pairs of features."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from scipy.sparse import csr_matrix
from scipy.special import expit, ndtr, ndtri
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from clary.algorithms.estimator import Estimator
from clary.algorithms.recommend import initial
from clary.algorithms.recommend.adam import Adam, Settings
from clary.algorithms.recommend.gibbs import Sampler
from clary.algorithms.recommend.parameters import Parameters

_GROUPS = ("bias", "linear", "factors")
_CHOICES: dict[str, tuple[str, ...]] = {
    "predictor_type": ("regressor", "binary_classifier"),
    "solver": ("adam", "gibbs"),
    "bias_init_method": ("mean", "normal", "uniform", "constant"),
    "linear_init_method": ("normal", "uniform", "constant"),
    "factors_init_method": ("normal", "uniform", "constant"),
}
_AT_LEAST_ONE = ("num_factors", "epochs", "mini_batch_size", "samples")
_NOT_NEGATIVE = tuple(f"{group}_{name}" for group in _GROUPS for name in ("lr", "wd", "init_sigma", "init_scale"))


class FactorizationMachines(Estimator):
    """A linear model with all products of two features, whose weights are products of a few factors per feature.

    score = bias + sum_i w_i x_i + sum_{i<j} <v_i, v_j> x_i x_j (Rendle 2010). Training and scores cost the values that are
    not zero times `num_factors`; sparse rows stay sparse.

    Parameters
    ----------
    num_factors : int >= 1, default 16
    predictor_type : "regressor" or "binary_classifier", default "regressor"
    solver : "adam" or "gibbs", default "adam"
        `adam`: mini-batches, also `partial_fit`; squared or logistic loss. `gibbs`: Bayesian, by sampling; the best
        predictions without anything to tune but `num_factors`, in memory; Gaussian or probit likelihood.
    epochs : int >= 1, default 10
        Passes over the rows (adam), or draws after those of `burn_in` (gibbs: take 100).
    mini_batch_size : int >= 1, default 200
        Rows per step (adam).
    bias_lr, linear_lr, factors_lr : float >= 0, default 0.002, 0.002, 0.001
        Step sizes of the three kinds of terms (adam).
    bias_wd, linear_wd, factors_wd : float >= 0, default 0, 0.0001, 0.0002
        Decay (L2) of the three (adam).
    eps, rescale_grad, clip_gradient : float, default 1e-8, 1 / mini_batch_size, no limit
        What Adam adds to its denominator, what a batch's gradient is multiplied by, and its largest size (adam).
    bias_init_method : "mean", "normal", "uniform" or "constant", default "mean"
        `mean`: the mean label, or its log odds.
    linear_init_method, factors_init_method : "normal", "uniform" or "constant", default "normal"
    *_init_sigma, *_init_scale, *_init_value : float, default 0.01, 0.07, 0
        Standard deviation, half the width of the interval, or the constant.
    shuffle : bool, default True
        Whether adam goes through the rows in random order.
    burn_in : int >= 0, default 10
        Draws that are thrown away (gibbs).
    samples : int >= 1, default 100
        Draws that are kept for predictions, evenly spaced, at most (gibbs).
    groups : (features,) array of int from 0, optional
        Features that share a prior: the field each one comes from, such as 0 for users and 1 for items (gibbs).
    seed : int, default 0
    verbose : bool, default False
        A line per epoch or draw.

    Attributes
    ----------
    bias_, weights_, factors_ : float, (features,), (features, num_factors) float32
        With gibbs those of each kept draw: (samples,), (samples, features), (samples, features, num_factors).
    history_ : list of float
        Training loss of each epoch or draw: mean squared error, or log loss.
    classes_ : (2,)
        Only of classifiers.

    Examples
    --------
    >>> import numpy as np
    >>> from clary.algorithms import FactorizationMachines
    >>> X = np.array([[1, 1, 0], [1, 0, 1], [0, 1, 1]] * 50, np.float32)
    >>> y = X[:, 0] * X[:, 1]
    >>> model = FactorizationMachines(num_factors=2, solver="gibbs", epochs=50).fit(X, y)
    >>> model.predict(X[:3]).round().tolist()
    [1.0, 0.0, 0.0]
    """

    def __init__(
        self,
        num_factors: int = 16,
        *,
        predictor_type: Literal["regressor", "binary_classifier"] = "regressor",
        solver: Literal["adam", "gibbs"] = "adam",
        epochs: int = 10,
        mini_batch_size: int = 200,
        bias_lr: float = 0.002,
        linear_lr: float = 0.002,
        factors_lr: float = 0.001,
        bias_wd: float = 0.0,
        linear_wd: float = 0.0001,
        factors_wd: float = 0.0002,
        eps: float = 1e-8,
        rescale_grad: float | None = None,
        clip_gradient: float | None = None,
        bias_init_method: str = "mean",
        bias_init_sigma: float = 0.01,
        bias_init_scale: float | None = None,
        bias_init_value: float | None = None,
        linear_init_method: str = "normal",
        linear_init_sigma: float = 0.01,
        linear_init_scale: float | None = None,
        linear_init_value: float | None = None,
        factors_init_method: str = "normal",
        factors_init_sigma: float = 0.01,
        factors_init_scale: float | None = None,
        factors_init_value: float | None = None,
        shuffle: bool = True,
        burn_in: int = 10,
        samples: int = 100,
        groups: Any = None,
        seed: int = 0,
        verbose: bool = False,
    ):
        self.num_factors = num_factors
        self.predictor_type = predictor_type
        self.solver = solver
        self.epochs = epochs
        self.mini_batch_size = mini_batch_size
        self.bias_lr = bias_lr
        self.linear_lr = linear_lr
        self.factors_lr = factors_lr
        self.bias_wd = bias_wd
        self.linear_wd = linear_wd
        self.factors_wd = factors_wd
        self.eps = eps
        self.rescale_grad = rescale_grad
        self.clip_gradient = clip_gradient
        self.bias_init_method = bias_init_method
        self.bias_init_sigma = bias_init_sigma
        self.bias_init_scale = bias_init_scale
        self.bias_init_value = bias_init_value
        self.linear_init_method = linear_init_method
        self.linear_init_sigma = linear_init_sigma
        self.linear_init_scale = linear_init_scale
        self.linear_init_value = linear_init_value
        self.factors_init_method = factors_init_method
        self.factors_init_sigma = factors_init_sigma
        self.factors_init_scale = factors_init_scale
        self.factors_init_value = factors_init_value
        self.shuffle = shuffle
        self.burn_in = burn_in
        self.samples = samples
        self.groups = groups
        self.seed = seed
        self.verbose = verbose

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from `X` (rows, features), dense or sparse, and `y` (rows,); `sample_weight` is (rows,)."""
        features, labels, importance = self._checked(X, y, sample_weight, reset=True)
        self.history_: list[float] = []
        if self.solver == "gibbs":
            self._sample(features, labels, importance)
            return self
        self._begin(labels, importance)
        random = np.random.default_rng(self.seed)
        if self.shuffle:  # once: visiting shuffled rows in another order each time would cost more than it brings
            order = random.permutation(len(labels))
            features, labels = features[order], labels[order]
            importance = None if importance is None else importance[order]
        for _ in range(self.epochs):
            self._epoch(features, labels, importance)
        self._publish()
        return self

    @available_if(lambda self: self.solver == "adam")
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """One more epoch over `X` and `y`, in their order, with Adam. `classes` names both labels if the first rows do not."""
        first = not hasattr(self, "bias_")
        features, labels, importance = self._checked(X, y, sample_weight, reset=first, classes=classes)
        if first:
            self.history_ = []
            self._begin(labels, importance)
        elif not hasattr(self, "_adam"):  # from a file: the moments of Adam begin anew
            self._adam = Adam(self._machines[0], self._settings())
        self._epoch(features, labels, importance)
        self._publish()
        return self

    def predict(self, X: Any) -> np.ndarray:
        """(rows,) the predicted value (float32), or the more probable class."""
        if self.predictor_type == "regressor":
            return self._scores(X)
        positive = self._probability(X) >= 0.5
        return self.classes_[positive.astype(np.intp)]

    @available_if(lambda self: self.predictor_type == "binary_classifier")
    def predict_proba(self, X: Any) -> np.ndarray:
        """(rows, 2) probabilities of `classes_`."""
        positive = self._probability(X)
        return np.column_stack([1 - positive, positive])

    @available_if(lambda self: self.predictor_type == "binary_classifier")
    def decision_function(self, X: Any) -> np.ndarray:
        """(rows,) log odds of the second class; with gibbs its probit."""
        if self.solver == "adam":
            return self._scores(X)
        return ndtri(np.clip(self._probability(X), 1e-12, 1 - 1e-12))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R² of values, accuracy of classes."""
        measure = r2_score if self.predictor_type == "regressor" else accuracy_score
        return float(measure(y, self.predict(X), sample_weight=sample_weight))

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, RegressorTags

        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.required = True
        if self.predictor_type == "binary_classifier":
            tags.estimator_type, tags.classifier_tags = "classifier", ClassifierTags(multi_class=False)
        else:
            tags.estimator_type, tags.regressor_tags = "regressor", RegressorTags()
        return tags

    def _checked(
        self, X: Any, y: Any, sample_weight: Any, *, reset: bool, classes: Any = None
    ) -> tuple[csr_matrix, np.ndarray, np.ndarray | None]:
        """Rows as CSR, labels as float32 (0 and 1 of classes), weights. Raises `ValueError` naming what is wrong."""
        self._check_parameters()
        regression = self.predictor_type == "regressor"
        X, y = validate_data(self, X, y, accept_sparse="csr", dtype=np.float32, y_numeric=regression, reset=reset)
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, X, dtype=np.float32)
        if not regression:
            y = self._encoded(y, reset, classes)
        features = csr_matrix(X)
        if not features.has_canonical_format:
            features = features.copy()
            features.sum_duplicates()
        return features, np.asarray(y, np.float32), weights

    def _encoded(self, y: np.ndarray, reset: bool, classes: Any) -> np.ndarray:
        check_classification_targets(y)
        if reset:
            self.classes_ = np.unique(y if classes is None else classes)
            if len(self.classes_) > 2:
                raise ValueError(
                    f"Only binary classification is supported. FactorizationMachines got {len(self.classes_)} classes"
                )
            if len(self.classes_) < 2:
                raise ValueError(
                    f"FactorizationMachines needs labels of two classes; y has one class, {self.classes_.tolist()}"
                )
        if not np.isin(y, self.classes_).all():
            raise ValueError(f"y has labels other than those of the first rows, {self.classes_.tolist()}; name them in classes")
        return (y == self.classes_[1]).astype(np.float32)

    def _check_parameters(self) -> None:
        for name, values in _CHOICES.items():
            if getattr(self, name) not in values:
                raise ValueError(f"{name} must be one of {', '.join(values)}; got {getattr(self, name)!r}")
        for name in _AT_LEAST_ONE:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}")
        for name in (*_NOT_NEGATIVE, "eps", "burn_in"):
            if (value := getattr(self, name)) is not None and not value >= 0:
                raise ValueError(f"{name} must not be negative; got {value}")

    def _settings(self) -> Settings:
        return Settings(
            (self.bias_lr, self.linear_lr, self.factors_lr),
            (self.bias_wd, self.linear_wd, self.factors_wd),
            self.mini_batch_size,
            self.predictor_type == "binary_classifier",
            self.eps,
            self.rescale_grad,
            self.clip_gradient,
        )

    def _begin(self, labels: np.ndarray, importance: np.ndarray | None) -> None:
        bias, linear, factors = (self._start(group) for group in _GROUPS)
        mean = float(np.average(labels, weights=importance))
        if self.bias_init_method == "mean":
            if self.predictor_type == "binary_classifier":
                mean = float(np.log(np.clip(mean, 0.01, 0.99) / (1 - np.clip(mean, 0.01, 0.99))))
            bias = initial.Start("constant", 0, value=mean)
        machine = initial.parameters(
            bias, linear, factors, features=self.n_features_in_, num_factors=self.num_factors, seed=self.seed
        )
        self._adam = Adam(machine, self._settings())

    def _start(self, group: str) -> initial.Start:
        names = ("method", "sigma", "scale", "value")
        return initial.Start(*(getattr(self, f"{group}_init_{name}") for name in names))

    def _epoch(self, features: csr_matrix, labels: np.ndarray, importance: np.ndarray | None) -> None:
        self._note(self._adam.train(features, labels, importance), labels, importance)

    def _note(self, scores: np.ndarray, labels: np.ndarray, importance: np.ndarray | None) -> None:
        """The loss of an epoch or a draw. Raises `ValueError` when there is none any more."""
        if not np.isfinite(scores).all():
            raise ValueError(
                "training diverged: scores are not finite; scale the features, lower the step sizes, or set clip_gradient"
            )
        losses = np.logaddexp(0, scores) - labels * scores if self.predictor_type != "regressor" else (scores - labels) ** 2
        self.history_.append(float(np.average(losses, weights=importance)))
        if self.verbose:
            print(f"{len(self.history_)}: training loss {self.history_[-1]:.6g}")

    def _sample(self, features: csr_matrix, labels: np.ndarray, importance: np.ndarray | None) -> None:
        groups = np.zeros(self.n_features_in_, np.int64) if self.groups is None else np.asarray(self.groups)
        if groups.shape != (self.n_features_in_,) or groups.dtype.kind not in "iu" or groups.min() < 0:
            raise ValueError(
                f"groups must hold an integer from 0 for each of {self.n_features_in_} features; got {groups.shape}"
            )
        probit = self.predictor_type == "binary_classifier"
        sampler = Sampler(
            features, labels, groups, factors=self.num_factors, seed=self.seed, probit=probit, importance=importance
        )
        kept = set((self.burn_in + np.linspace(0, self.epochs - 1, min(self.samples, self.epochs)).astype(int)).tolist())
        machines = []
        for number, machine in enumerate(sampler.run(self.burn_in + self.epochs)):
            self._note(sampler.scores, sampler.labels, sampler.importance)
            if number in kept:
                machines.append(machine)
        self._publish_draws(machines)

    def _publish(self) -> None:
        machine = self._adam.parameters
        self._machines: list[Parameters] = [machine]
        self.bias_: float | np.ndarray = float(machine.bias[0])
        self.weights_, self.factors_ = machine.weights, machine.factors[:, : self.num_factors]

    def _publish_draws(self, machines: list[Parameters]) -> None:
        self._machines = machines
        self.bias_ = np.concatenate([machine.bias for machine in machines])
        self.weights_ = np.stack([machine.weights for machine in machines])
        self.factors_ = np.stack([machine.factors[:, : self.num_factors] for machine in machines])

    def _restore(self, document: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        super()._restore(document, arrays)
        if self.solver == "adam":
            self._machines = [Parameters.of(float(self.bias_), self.weights_, self.factors_)]
        else:
            draws = np.atleast_1d(self.bias_)
            self._machines = [Parameters.of(*draw) for draw in zip(draws, self.weights_, self.factors_, strict=True)]

    def _rows(self, X: Any) -> csr_matrix:
        check_is_fitted(self)
        return csr_matrix(validate_data(self, X, accept_sparse="csr", dtype=np.float32, reset=False))

    def _scores(self, X: Any) -> np.ndarray:
        """(rows,) float32, the mean of the draws."""
        rows = self._rows(X)
        scores = np.stack([machine.scores(rows) for machine in self._machines])
        return scores.mean(axis=0, dtype=np.float64).astype(np.float32)

    def _probability(self, X: Any) -> np.ndarray:
        """(rows,) float64 of the second class."""
        rows = self._rows(X)
        likely = expit if self.solver == "adam" else ndtr
        return np.stack([likely(machine.scores(rows).astype(np.float64)) for machine in self._machines]).mean(axis=0)
