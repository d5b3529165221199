"""Factorization machines: image `factorization-machines:1`."""

from __future__ import annotations

from clary.catalog.algorithms import Metric
from clary.catalog.first_party import RECORDS, channels, first_party
from clary.catalog.hyperparameters import Categorical, Continuous, Hyperparameter, Integer, Interval, Schema, Tunable

_POSITIVE = Interval(1)
_NOT_NEGATIVE = Interval(0)
_TUNABLE = Tunable(1e-8, 512, "Logarithmic")
_TERMS = (("bias", "the bias"), ("linear", "linear weights"), ("factors", "factors"))
_SIGMAS = {"bias": "0.01", "linear": "0.01", "factors": "0.001"}
_RATES = {"bias": "0.1", "linear": "0.001", "factors": "0.0001"}
_DECAYS = {"bias": "0.01", "linear": "0.001", "factors": "0.00001"}


def _of_terms(term: str, words: str) -> tuple[Hyperparameter, ...]:
    """Start, step size and decay of a kind of terms."""
    return (
        Categorical(f"{term}_init_method", f"Where {words} begin", values=("uniform", "normal", "constant"), default="normal"),
        Continuous(
            f"{term}_init_scale",
            f"uniform: {words} from [-scale, scale]; 0.07 when absent",
            range=_NOT_NEGATIVE,
            tunable=_TUNABLE,
        ),
        Continuous(
            f"{term}_init_sigma",
            "normal: standard deviation",
            range=_NOT_NEGATIVE,
            default=_SIGMAS[term],
            tunable=_TUNABLE,
        ),
        Continuous(f"{term}_init_value", "constant: the value; 0 when absent", tunable=_TUNABLE),
        Continuous(f"{term}_lr", f"Step size of {words}", range=_NOT_NEGATIVE, default=_RATES[term], tunable=_TUNABLE),
        Continuous(f"{term}_wd", f"Decay (L2) of {words}", range=_NOT_NEGATIVE, default=_DECAYS[term], tunable=_TUNABLE),
    )


HYPERPARAMETERS = Schema(
    (
        Integer("feature_dim", "Features of a row", required=True, range=_POSITIVE),
        Integer("num_factors", "Factors of a feature", required=True, range=_POSITIVE),
        Categorical("predictor_type", "What is learned", required=True, values=("binary_classifier", "regressor")),
        Integer("epochs", "Passes over the rows", range=_POSITIVE, default="1", tunable=Tunable(1, 1000)),
        Integer("mini_batch_size", "Rows of a step", range=_POSITIVE, default="1000", tunable=Tunable(100, 10000)),
        *(declared for term, words in _TERMS for declared in _of_terms(term, words)),
        Continuous(
            "clip_gradient",
            "Largest size of a gradient's entry; no limit when absent",
            range=Interval(0, open_minimum=True),
        ),
        Continuous("eps", "What keeps Adam from dividing by zero; 1e-8 when absent", range=_NOT_NEGATIVE),
        Continuous("rescale_grad", "What a batch's summed gradient is multiplied by; 1 / mini_batch_size when absent"),
    ),
    words="json-schema",
)

_LOWER = {"rmse": "rmse", "binary_classification_cross_entropy": "binary_classification_cross_entropy"}
_HIGHER = {"binary_classification_accuracy": "binary_classification_accuracy", "binary_f_beta": r"binary_f_1\.000"}
"""Metric -> how the log calls it."""


def _metrics() -> tuple[Metric, ...]:
    found = []
    for name, shown in _LOWER.items():
        found += [Metric(metric, f"{place} {shown} <loss>=(\\S+)", "Minimize") for metric, place in _places(name).items()]
    for name, shown in _HIGHER.items():
        found += [Metric(metric, f"{place} {shown} <score>=(\\S+)", "Maximize") for metric, place in _places(name).items()]
    return tuple(found)


def _places(name: str) -> dict[str, str]:
    """The metric of the test channel, of each epoch, and of some batches, and what stands before its name in the log."""
    host = r"#quality_metric: host=\S+,"
    return {
        f"test:{name}": f"{host} test",
        f"train:{name}:epoch": rf"{host} epoch=\S+, train",
        f"train:{name}:batch": rf"{host} epoch=\S+, batch=\S+ train",
    }


ALGORITHM = first_party(
    "factorization-machines",
    HYPERPARAMETERS,
    _metrics(),
    channels("test", content_types=(RECORDS,)),
    requests=("application/json", "application/jsonlines", RECORDS),
)
