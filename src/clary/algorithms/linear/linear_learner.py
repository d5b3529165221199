"""Linear and logistic models, trained as many candidates side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from sklearn.utils import ClassifierTags, RegressorTags, Tags, assert_all_finite
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from clary.algorithms import metrics
from clary.algorithms.estimator import Estimator
from clary.algorithms.linear import judging, losses, thresholds, training
from clary.algorithms.linear.candidates import AUTO, Auto
from clary.algorithms.linear.exact import NormalEquations
from clary.algorithms.linear.learner import Learner
from clary.algorithms.linear.recipe import EXACT, PredictorType, Recipe
from clary.algorithms.linear.rows import ShuffledRows, spread
from clary.algorithms.linear.statistics import Statistics
from clary.formats.batch import Batch

CUTS_PER_EPOCH = 33
"""Of the learning rate, by 1 % each where nothing else is asked for: a rate that falls by 28 % per epoch."""
JUDGED_ROWS = 100_000
"""Training rows that choose among candidates and thresholds where there are no validation rows."""


def _classifies(estimator: LinearLearner) -> bool:
    return estimator.predictor_type != "regressor"


def _gives_probabilities(estimator: LinearLearner) -> bool:
    return _classifies(estimator) and estimator.loss != "hinge_loss"


class LinearLearner(Estimator):
    """A linear model by mini-batch descent on standardised columns: classifier of two or more classes, or regressor.

    Several candidates (learning rates, weight decays, L1) are trained in the same pass over the data, and the best is kept.
    The model is the mean of the weights on their way, which in a single epoch is about as good as the optimum.

    Parameters
    ----------
    predictor_type : {"binary_classifier", "multiclass_classifier", "regressor"}, default "binary_classifier"
    loss : str, default "auto"
        `logistic` (auto) or `hinge_loss`; `softmax_loss` (auto); `squared_loss` (auto), `absolute_loss`, `huber_loss`,
        `quantile_loss`, `eps_insensitive_squared_loss`, `eps_insensitive_absolute_loss`.
    optimizer : {"auto", "adam", "sgd", "rmsprop", "exact"}, default "auto"
        Auto is Adam. Exact solves the normal equations of `squared_loss` in one pass.
    epochs : int >= 1, default 15
        Passes over the rows, at most.
    mini_batch_size : int >= 1 or "auto", default "auto"
        Rows per step; auto is 1000, and less for less than a million rows.
    num_models : int >= 1, default 1
        Candidates trained side by side.
    learning_rate, l1, wd : float or "auto", default "auto"
        Step size (0.03), L1 and L2 of standardised weights (0). With several candidates these are the first one's, and the
        others are near; what is auto is searched.
    positive_example_weight_mult : float > 0, "balanced" or "auto", default 1
        Weight of rows of the second class; `balanced` is n_negative / n_positive, `auto` lets candidates try.
    balance_multiclass_weights : bool, default False
        Weigh classes by 1 / frequency.
    binary_classifier_model_selection_criteria : str, default "loss_function"
        What the best candidate is best at, and what its threshold is chosen for: `accuracy`, `f_beta`,
        `precision_at_target_recall`, `recall_at_target_precision`; `loss_function` leaves the threshold alone.
    normalize_data, use_bias : bool, default True
        Standardise columns; learn a bias.
    early_stopping_patience : int >= 1, default 3
        Stop when so many epochs in a row do not improve by more than `early_stopping_tolerance`.
    early_stopping_tolerance : float >= 0, default 0.001
    shuffle : bool, default True
        Draw a new order of the rows for every epoch.
    parameters : dict, optional
        Any further hyperparameter of the hosted algorithm by its own name: `quantile`, `huber_delta`, `target_recall`,
        `lr_scheduler_step`, `beta_1`, ...
    seed : int, default 0
        Drives first weights and order of rows.
    verbose : bool, default False
        Print a line per epoch.

    Attributes
    ----------
    coef_ : (1 or classes, columns) float64, of a regressor (columns,)
        Weights of the raw columns.
    intercept_ : (1 or classes,) float64, of a regressor a number
    classes_ : (classes,)
        Labels of a classifier.
    threshold_ : float
        A binary classifier calls rows with a higher score (probability; margin of a hinge) the second class.
    n_iter_ : int
        Epochs that were run.
    candidate_ : dict
        Settings of the candidate that was kept.
    history_ : list of float
        The best candidate's loss after each epoch.

    Examples
    --------
    >>> import numpy as np
    >>> from clary.algorithms import LinearLearner
    >>> X = np.arange(40.0).reshape(20, 2)
    >>> model = LinearLearner(epochs=50).fit(X, X[:, 0] > 19)
    >>> model.predict(X[[0, 19]]).tolist()
    [False, True]
    >>> exact = LinearLearner("regressor", optimizer="exact").fit(X[:, :1], 3 * X[:, 0] + 1)
    >>> exact.coef_.round(4).tolist(), round(exact.intercept_, 4)
    ([3.0], 1.0)

    References
    ----------
    E. Liberty et al. (2020), "Elastic Machine Learning Algorithms in Amazon SageMaker", SIGMOD.
    D. Kingma and J. Ba (2015), "Adam: A Method for Stochastic Optimization", ICLR.
    B. Polyak and A. Juditsky (1992), "Acceleration of Stochastic Approximation by Averaging", SIAM J. Control Optim.
    """

    def __init__(
        self,
        predictor_type: PredictorType = "binary_classifier",
        *,
        loss: str = AUTO,
        optimizer: str = AUTO,
        epochs: int = 15,
        mini_batch_size: int | Auto = AUTO,
        num_models: int = 1,
        learning_rate: float | Auto = AUTO,
        l1: float | Auto = AUTO,
        wd: float | Auto = AUTO,
        positive_example_weight_mult: float | Literal["balanced", "auto"] = 1.0,
        balance_multiclass_weights: bool = False,
        binary_classifier_model_selection_criteria: str = "loss_function",
        normalize_data: bool = True,
        use_bias: bool = True,
        early_stopping_patience: int = 3,
        early_stopping_tolerance: float = 0.001,
        shuffle: bool = True,
        parameters: dict[str, Any] | None = None,
        seed: int = 0,
        verbose: bool = False,
    ):
        self.predictor_type = predictor_type
        self.loss = loss
        self.optimizer = optimizer
        self.epochs = epochs
        self.mini_batch_size = mini_batch_size
        self.num_models = num_models
        self.learning_rate = learning_rate
        self.l1 = l1
        self.wd = wd
        self.positive_example_weight_mult = positive_example_weight_mult
        self.balance_multiclass_weights = balance_multiclass_weights
        self.binary_classifier_model_selection_criteria = binary_classifier_model_selection_criteria
        self.normalize_data = normalize_data
        self.use_bias = use_bias
        self.early_stopping_patience = early_stopping_patience
        self.early_stopping_tolerance = early_stopping_tolerance
        self.shuffle = shuffle
        self.parameters = parameters
        self.seed = seed
        self.verbose = verbose

    def fit(self, X: Any, y: Any, sample_weight: Any = None, validation: tuple[Any, Any] | None = None) -> Self:
        """Learn from `X` (rows, columns), dense or sparse, and `y` (rows,), numbers or class labels.

        `sample_weight` is (rows,), not negative; rows of weight 0 are left out. `validation` is an `(X, y)` that chooses
        candidate, epoch and threshold. Raises `ValueError` naming the parameter or array that is wrong, and
        `FloatingPointError` when training diverges.
        """
        self._learner: Learner | None = None
        features, labels, weights = self._training_rows(X, y, sample_weight, finite=False)
        try:
            with np.errstate(invalid="ignore", over="ignore"):
                self._fit(features, labels, weights, validation)
        except FloatingPointError:
            assert_all_finite(features, input_name="X", estimator_name="LinearLearner")
            raise
        return self

    def _fit(self, features: Any, labels: np.ndarray, weights: np.ndarray | None, validation: Any) -> None:
        """Learn from checked rows. One that is not finite ends in `FloatingPointError`: only then is it worth a search."""
        recipe = self._recipe(len(labels))
        if recipe.optimizer == EXACT:
            self._solve(recipe, features, labels, weights)
            return
        rows = ShuffledRows(features, labels, weights, recipe.mini_batch_size, self.shuffle, self.seed)
        judged = self._judged(recipe, features, labels, validation)
        self.history_: list[float] = []

        def judge(learner: Learner) -> judging.Judgement:
            return judging.by_rows(learner, recipe, [judged]) if judged else judging.by_training_loss(learner, recipe)

        learner = training.learner(recipe, self._statistics(recipe, features, labels), self.seed)
        model = training.train(learner, recipe, rows.epoch, judge, report=self._report)
        self.n_iter_, self.threshold_ = len(self.history_), model.threshold
        self.candidate_ = {name: getattr(model.candidate, name) for name in model.candidate.__slots__}
        self._publish(model.weights, model.bias)

    def partial_fit(self, X: Any, y: Any, classes: Sequence[Any] | None = None, sample_weight: Any = None) -> Self:
        """Go on learning from more rows, in one pass; the first call of a classifier names all `classes`.

        The scale of the columns is that of the first call's rows. The model is one candidate's, with its default threshold.
        """
        first = not hasattr(self, "coef_")
        features, labels, weights = self._training_rows(X, y, sample_weight, classes, first=first)
        recipe = self._recipe(len(labels), num_models=1)
        learner = getattr(self, "_learner", None) or self._begun(recipe, features, labels, first)
        for batch in ShuffledRows(features, labels, weights, recipe.mini_batch_size, self.shuffle, self.seed).epoch():
            learner.step(*batch)
        self._learner = learner
        weights_by_model, biases = learner.raw_weights([0])
        self.n_iter_ = getattr(self, "n_iter_", 0) + 1
        self.threshold_ = thresholds.DEFAULT.get(recipe.loss_name, 0.0)
        self._publish(weights_by_model[0], biases[0])
        return self

    @available_if(_classifies)
    def decision_function(self, X: Any) -> np.ndarray:
        """Margins: (rows,) float32 of two classes, positive where the second is likelier; (rows, classes) of more."""
        margins = self._margins(X)
        if margins.shape[1] == 1:
            return margins[:, 0]
        return margins[:, 1] - margins[:, 0] if margins.shape[1] == 2 else margins

    @available_if(_gives_probabilities)
    def predict_proba(self, X: Any) -> np.ndarray:
        """(rows, classes) float64 probabilities."""
        margins = self._margins(X).astype(np.float64)
        if margins.shape[1] > 1:
            return losses.softmax_shares(margins)
        positive = losses.sigmoid(margins[:, 0])
        return np.column_stack([1 - positive, positive])

    def predict(self, X: Any) -> np.ndarray:
        """(rows,) the predicted class, or the predicted value (float32)."""
        margins = self._margins(X)
        if not _classifies(self):
            return margins[:, 0]
        if margins.shape[1] > 1:
            return self.classes_[margins.argmax(axis=1)]
        scores = judging.score(margins[:, 0].astype(np.float64), "hinge_loss" if self.loss == "hinge_loss" else "logistic")
        return self.classes_[(scores > self.threshold_).astype(np.int64)]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy of classes, R² of values; `sample_weight` is (rows,)."""
        predicted, truth = self.predict(X), np.asarray(y)
        weights = _check_sample_weight(sample_weight, X)
        if _classifies(self):
            return float(np.average(truth == predicted, weights=weights))
        return metrics.r2(truth, predicted) if sample_weight is None else _weighted_r2(truth, predicted, weights)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.sparse = True
        if _classifies(self):
            multiclass = self.predictor_type == "multiclass_classifier"
            tags.estimator_type, tags.classifier_tags = "classifier", ClassifierTags(multi_class=multiclass)
        else:
            tags.estimator_type, tags.regressor_tags = "regressor", RegressorTags()
        return tags

    def _recipe(self, rows: int, **changed: Any) -> Recipe:
        """The constructor's arguments as a recipe for so many rows. Raises `ValueError`."""
        names = [name for name in Recipe.names() if name in self.get_params(deep=False)]
        unknown = sorted(set(self.parameters or {}) - set(Recipe.names()))
        if unknown:
            raise ValueError(f"parameters has {unknown[0]!r}, which is no hyperparameter of LinearLearner")
        given = {name: getattr(self, name) for name in names} | (self.parameters or {}) | changed
        if given["mini_batch_size"] == AUTO:
            given["mini_batch_size"] = int(np.clip(rows // 1000, 16, 1000))
        steps = rows // int(given["mini_batch_size"])
        given.setdefault("lr_scheduler_step", max(1, steps // CUTS_PER_EPOCH))
        return Recipe(**given)

    def _training_rows(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        classes: Sequence[Any] | None = None,
        *,
        first: bool = True,
        finite: bool = True,
    ) -> tuple[Any, np.ndarray, np.ndarray | None]:
        """Features, labels (codes of classes), and weights with mean 1, all float32; None where all weigh the same.

        `first` calls decide the columns and classes; without `finite`, features that are not finite pass.
        """
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse="csr",
            dtype=np.float32,
            order="C",
            ensure_all_finite=finite,
            y_numeric=not _classifies(self),
            reset=first,
        )
        labels = self._coded(y, classes, first) if _classifies(self) else np.asarray(y, np.float32)
        if sample_weight is None:
            return X, labels, None
        weights = _check_sample_weight(sample_weight, X, dtype=np.float32, ensure_non_negative=True)
        kept = weights > 0
        if not kept.any():
            raise ValueError("sample_weight must be above 0 for at least one row")
        return X[kept], labels[kept], weights[kept] / weights[kept].mean()

    def _coded(self, y: np.ndarray, classes: Sequence[Any] | None, first: bool) -> np.ndarray:
        """Labels as float32 positions in `classes_`, which the first call finds or is told."""
        check_classification_targets(y)
        if first:
            self.classes_ = np.unique(y if classes is None else np.asarray(classes))
        if len(self.classes_) < 2:
            raise ValueError(f"y must have at least 2 classes; it has one class, {self.classes_[0]!r}")
        if len(self.classes_) > 2 and self.predictor_type == "binary_classifier":
            raise ValueError(
                "Only binary classification is supported. The type of the target is multiclass: "
                f"y has {len(self.classes_)} classes; use predictor_type='multiclass_classifier'"
            )
        return _codes(y, self.classes_)

    def _statistics(self, recipe: Recipe, features: Any, labels: np.ndarray) -> Statistics:
        """Of a sample of the rows; classes are counted on all."""
        classes = len(self.classes_) if _classifies(self) else 0
        sample = spread(len(labels), recipe.num_point_for_scaler)
        statistics = Statistics.of(features[sample], labels[sample], classes)
        if classes:
            statistics.classes = np.bincount(labels.astype(np.int64), minlength=classes).astype(np.float64)
        return statistics

    def _judged(self, recipe: Recipe, features: Any, labels: np.ndarray, validation: Any) -> Batch | None:
        """The rows that choose among candidates and thresholds; None where the training loss does."""
        if validation is not None:
            X, y = validate_data(self, *validation, accept_sparse="csr", dtype=np.float32, order="C", reset=False)
            return Batch(X, self._coded(y, None, False) if _classifies(self) else np.asarray(y, np.float32))
        if recipe.num_models == 1 and recipe.criterion == "loss_function":
            return None
        sample = spread(len(labels), JUDGED_ROWS)
        return Batch(features[sample], labels[sample])

    def _begun(self, recipe: Recipe, features: Any, labels: np.ndarray, first: bool) -> Learner:
        """A learner for a stream that these rows begin, which goes on from the model so far if there is one."""
        start = None if first else (np.atleast_2d(self.coef_), np.atleast_1d(self.intercept_))
        learner = training.learner(recipe, self._statistics(recipe, features, labels), self.seed, start)
        learner.begin_epoch()
        return learner

    def _solve(self, recipe: Recipe, features: Any, labels: np.ndarray, weights: np.ndarray | None) -> None:
        scaling = self._statistics(recipe, features, labels).scaling(recipe)
        equations = NormalEquations(np.append(scaling.mean, scaling.label_mean)).add(features, labels, weights)
        if not np.isfinite(equations.products).all():
            raise FloatingPointError("the normal equations are not finite; scale the columns of X")
        decay = 0.0 if recipe.wd == AUTO else float(recipe.wd)
        coefficients, bias = equations.solve(decay, stdev=scaling.stdev, use_bias=recipe.use_bias)
        self.n_iter_, self.threshold_, self.history_ = 1, 0.0, []
        self.candidate_ = {"wd": decay}
        self._publish(coefficients[None], np.array([bias]))

    def _publish(self, weights: np.ndarray, bias: np.ndarray) -> None:
        self.coef_: np.ndarray = weights if _classifies(self) else weights[0]
        self.intercept_: Any = bias if _classifies(self) else float(bias[0])

    def _report(self, report: training.Report) -> None:
        self.history_.append(float(report.judgement.losses[report.best]))
        if self.verbose:
            print(f"epoch {report.epoch + 1} of {self.epochs}: loss {self.history_[-1]:.6g} (model {report.best})")

    def _margins(self, X: Any) -> np.ndarray:
        """(rows, outputs) float32; summed in float64, so that a row gets the same in any company."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=np.float32, reset=False)
        weights, bias = np.atleast_2d(self.coef_), np.atleast_1d(self.intercept_)
        products = X.astype(np.float64) @ weights.T
        return (np.asarray(products) + bias).astype(np.float32)


def _codes(y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """(rows,) float32 positions of labels in the sorted `classes`. Raises `ValueError` for a label that is none of them."""
    if len(classes) == 2:  # comparing costs a tenth of searching
        codes, known = y == classes[1], (y == classes[0]) | (y == classes[1])
    else:
        codes = np.searchsorted(classes, y).clip(max=len(classes) - 1)
        known = classes[codes] == y
    if not known.all():
        raise ValueError(f"y has the label {y[~known][0]!r}, which is none of the classes {classes.tolist()}")
    return codes.astype(np.float32)


def _weighted_r2(truth: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> float:
    centre = np.average(truth, weights=weights)
    residual, spread_ = (float((weights * (truth - each) ** 2).sum()) for each in (predicted, centre))
    return 1 - residual / spread_ if spread_ else float(residual == 0)
