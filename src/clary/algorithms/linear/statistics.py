"""What is counted on a sample before training begins: moments of features and label, frequencies of classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from clary.algorithms.linear.candidates import AUTO, Auto
from clary.algorithms.linear.recipe import Recipe
from clary.algorithms.linear.scaling import Moments, Scaling


@dataclass(slots=True)
class Statistics:
    """Moments of features and label, and rows per class (0 classes in regression). Those of hosts merge."""

    features: Moments
    label: Moments
    classes: np.ndarray

    @classmethod
    def of(cls, features: Any, labels: np.ndarray, classes: int) -> Self:
        """Of (n, columns) rows and their (n,) labels: 0 to classes - 1, or any numbers when `classes` is 0."""
        counts = np.bincount(labels.astype(np.int64), minlength=classes) if classes else np.zeros(0)
        return cls(Moments.of(features), Moments.of(labels[:, None]), counts.astype(np.float64))

    def merged(self, other: Self) -> Self:
        return type(self)(self.features.merged(other.features), self.label.merged(other.label), self.classes + other.classes)

    def arrays(self) -> dict[str, np.ndarray]:
        """For the way to another host; `from_arrays` is the inverse."""
        features, label = self.features, self.label
        joined = {name: np.append(getattr(features, name), getattr(label, name)) for name in ("mean", "squares", "held")}
        return joined | {"rows": np.asarray(float(features.rows)), "classes": self.classes}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> Self:
        rows, parts = float(arrays["rows"]), [arrays[name] for name in ("mean", "squares", "held")]
        return cls(
            Moments(rows, *(each[:-1] for each in parts)), Moments(rows, *(each[-1:] for each in parts)), arrays["classes"]
        )

    def scaling(self, recipe: Recipe) -> Scaling:
        """How rows and labels are standardised. `auto`: scale, and centre where a bias can take the centre up."""
        columns = len(self.features.mean)
        unbias = _chosen(recipe.unbias_data, recipe.use_bias)
        normalize = _chosen(recipe.normalize_data, True)
        mean = self.features.mean if unbias else np.zeros(columns)
        stdev = self.features.stdev if normalize else np.ones(columns)
        if recipe.predictor_type != "regressor":
            return Scaling(mean, stdev)
        label_mean = float(self.label.mean[0]) if _chosen(recipe.unbias_label, recipe.use_bias) else 0.0
        label_stdev = float(self.label.stdev[0]) if _chosen(recipe.normalize_label, True) else 1.0
        return Scaling(mean, stdev, label_mean, label_stdev)

    def positive_weights(self, recipe: Recipe) -> tuple[float, ...]:
        """The weights of positive rows to try: the given one, n_negative / n_positive, or (`auto`) both ends and between."""
        wanted = recipe.positive_example_weight_mult
        if recipe.predictor_type != "binary_classifier":
            return (1.0,)
        if wanted not in ("balanced", AUTO):
            return (float(wanted),)
        balance = float(self.classes[0] / self.classes[1]) if self.classes.all() else 1.0
        return (balance,) if wanted == "balanced" else (1.0, balance, float(np.sqrt(balance)))

    def class_weights(self, recipe: Recipe) -> np.ndarray | None:
        """(classes,) float32 weights of a multiclass loss: 1 / frequency, with mean 1 over the rows; None without."""
        if recipe.predictor_type != "multiclass_classifier" or not recipe.balance_multiclass_weights:
            return None
        present = np.maximum(self.classes, 1)
        return (self.classes.sum() / (np.count_nonzero(self.classes) * present)).astype(np.float32)


def _chosen(value: bool | Auto, ours: bool) -> bool:
    return ours if value == AUTO else bool(value)
