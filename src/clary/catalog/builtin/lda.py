"""Latent Dirichlet allocation: image `lda:1`."""

from __future__ import annotations

from clary.catalog.algorithms import Metric
from clary.catalog.first_party import channels, first_party
from clary.catalog.hyperparameters import Boolean, Continuous, Integer, Interval, Schema, Tunable

_POSITIVE = Interval(1)
_ABOVE_ZERO = Interval(0, open_minimum=True)

HYPERPARAMETERS = Schema(
    (
        Integer("num_topics", "Topics", required=True, range=_POSITIVE, tunable=Tunable(1, 150)),
        Integer("feature_dim", "Words of the vocabulary", required=True, range=_POSITIVE),
        Integer(
            "mini_batch_size",
            "Documents of the train channel; all are learned from, whatever it says",
            required=True,
            range=_POSITIVE,
        ),
        Continuous(
            "alpha0",
            "Sum of the Dirichlet's parameters: small where a document has few topics",
            range=_ABOVE_ZERO,
            default="1.0",
            tunable=Tunable(0.1, 10, "Logarithmic"),
        ),
        Integer("max_restarts", "Random starts for each eigenvector of the third moment", range=_POSITIVE, default="10"),
        Integer("max_iterations", "Iterations for each eigenvector, at most", range=_POSITIVE, default="1000"),
        Continuous("tol", "An eigenvalue that changes by a smaller share is found", range=_ABOVE_ZERO, default="1e-8"),
        Boolean("allow_svd_init", "No effect: the starts are random", default="true"),
        Integer("epochs", "No effect: the moments need one pass", range=_POSITIVE, default="1"),
    ),
    words="json-schema",
)

ALGORITHM = first_party(
    "lda",
    HYPERPARAMETERS,
    (Metric("test:pwll", r"#quality_metric: host=\S+, test pwll <score>=(\S+)", "Maximize"),),
    channels("test"),
    distributed=False,
)
