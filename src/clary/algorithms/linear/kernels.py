"""The inner loops of a linear learner, compiled: standardised rows, losses with exponentials, steps, sparse products.

All arrays are C-contiguous and float32 unless said. Margins and weights are model-major (columns, rows) and (columns,
features), so that every inner loop runs along memory whatever the number of models. `losses` and `optimizers` have the
plain forms.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types

_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}
# "contract" allows fused multiply-add; exp below rests on additions staying in their order, so nothing more is allowed
_EXACT = {"contract"}
_REASSOCIATED = {"contract", "reassoc", "nsz"}

_ROWS = types.Array(types.float32, 2, "C", readonly=True)
_VALUES = types.Array(types.float32, 1, "C", readonly=True)
_INDICES = types.Array(types.int32, 1, "C", readonly=True)
_ENDS = types.Array(types.int64, 1, "C", readonly=True)
"""Arrays of the caller, which may be read-only (memory-mapped)."""
_MATRIX = types.float32[:, ::1]
_VECTOR = types.float32[::1]

_LOG2_E = np.float32(1.44269504)
_LN2_HIGH = np.float32(0.693359375)
_LN2_LOW = np.float32(-2.12194440e-4)
_LN2 = np.float32(0.693147181)
_ROUND = np.float32(12582912.0)
"""1.5 * 2^23: adding it leaves the nearest whole number in the low bits of the float."""
_LARGEST = np.float32(87.0)
_SQRT_2 = np.float32(1.41421356)
_TINY = np.float32(1e-8)


@njit(inline="always")
def _exp(x):  # type: ignore[no-untyped-def]
    """exp(x) for x in [-87, 87], to 2 units of the last place (Cephes `expf`); a form that compilers turn into vectors."""
    x = -_LARGEST if x < -_LARGEST else x
    x = _LARGEST if x > _LARGEST else x
    shifted = np.float32(x * _LOG2_E + _ROUND)
    power = shifted.view(np.int32)
    whole = shifted - _ROUND
    r = x - whole * _LN2_HIGH - whole * _LN2_LOW
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    p = p * (r * r) + r + np.float32(1)
    return p * np.int32((power + 127) << 23).view(np.float32)


@njit(inline="always")
def _log1p_of_share(x):  # type: ignore[no-untyped-def]
    """log(1 + x) for x in [0, 1] (Cephes `logf`)."""
    y = np.float32(1) + x
    large = y > _SQRT_2
    z = y * np.float32(0.5) - np.float32(1) if large else x
    p = np.float32(7.0376836292e-2)
    p = p * z - np.float32(1.1514610310e-1)
    p = p * z + np.float32(1.1676998740e-1)
    p = p * z - np.float32(1.2420140846e-1)
    p = p * z + np.float32(1.4249322787e-1)
    p = p * z - np.float32(1.6668057665e-1)
    p = p * z + np.float32(2.0000714765e-1)
    p = p * z - np.float32(2.4999993993e-1)
    p = p * z + np.float32(3.3333331174e-1)
    square = z * z
    return z + p * z * square - np.float32(0.5) * square + (_LN2 if large else np.float32(0))


@njit("float32(float32[::1])", fastmath=_REASSOCIATED, **_OPTIONS)
def total(values):  # type: ignore[no-untyped-def]
    """The sum of (rows,) values of one mini-batch."""
    result = np.float32(0)
    for i in range(values.shape[0]):
        result += values[i]
    return result


@njit(types.void(_ROWS, types.int64[::1], _VECTOR, _VECTOR, types.float32, _MATRIX), fastmath=_EXACT, **_OPTIONS)
def standardize(features, rows, mean, inverse_stdev, bias, out):  # type: ignore[no-untyped-def]
    """`out[i]` (len(rows), columns + 1): row `rows[i]` of `features`, shifted and scaled, then `bias` (1, or 0 for none)."""
    columns = features.shape[1]
    for i in range(rows.shape[0]):
        row = rows[i]
        for j in range(columns):
            out[i, j] = (features[row, j] - mean[j]) * inverse_stdev[j]
        out[i, columns] = bias


@njit("void(float32[:,::1],float32[::1],float32[::1],float32[::1],float64[::1])", fastmath=_EXACT, **_OPTIONS)
def logistic(margins, labels, weights, positive, losses):  # type: ignore[no-untyped-def]
    """Replace margins (models, rows) by weighted derivatives; add each model's weighted loss to `losses`.

    labels, weights : (rows,), labels 0 or 1
    positive : (models,) weight of rows whose label is 1
    """
    rows = margins.shape[1]
    values = np.empty(rows, np.float32)
    for model in range(margins.shape[0]):
        more = positive[model] - np.float32(1)
        for i in range(rows):
            margin = margins[model, i]
            label = labels[i]
            weight = weights[i] * (np.float32(1) + more * label)
            small = _exp(-abs(margin))
            share = np.float32(1) / (np.float32(1) + small)
            chance = share if margin >= 0 else small * share
            values[i] = weight * (_log1p_of_share(small) + max(margin, np.float32(0)) - label * margin)
            margins[model, i] = weight * (chance - label)
        losses[model] += total(values)


@njit("void(float32[:,:,::1],float32[::1],float32[::1],float64[::1])", fastmath=_EXACT, **_OPTIONS)
def softmax(margins, labels, weights, losses):  # type: ignore[no-untyped-def]
    """Replace margins (models, classes, rows) by weighted derivatives; add each model's weighted loss to `losses`.

    labels, weights : (rows,), labels 0 to classes - 1
    """
    models, classes, rows = margins.shape
    highest = np.empty(rows, np.float32)
    sums = np.empty(rows, np.float32)
    for model in range(models):
        highest[:] = margins[model, 0]
        for k in range(1, classes):
            for i in range(rows):
                highest[i] = max(highest[i], margins[model, k, i])
        sums[:] = 0
        loss = np.float64(0)
        for i in range(rows):  # the margin of the truth, before it is overwritten
            loss -= weights[i] * (margins[model, np.int64(labels[i]), i] - highest[i])
        for k in range(classes):
            for i in range(rows):
                power = _exp(margins[model, k, i] - highest[i])
                margins[model, k, i] = power
                sums[i] += power
        for i in range(rows):
            loss += weights[i] * np.log(sums[i])
            sums[i] = weights[i] / sums[i]
        for k in range(classes):
            for i in range(rows):
                margins[model, k, i] *= sums[i]
        for i in range(rows):
            margins[model, np.int64(labels[i]), i] -= weights[i]
        losses[model] += loss


@njit(fastmath=_EXACT, error_model="numpy", nogil=True)
def _adam(weights, gradient, first, second, mean, rate, l1, wd, beta_1, beta_2, correct_1, correct_2, blend):  # type: ignore[no-untyped-def]
    for j in range(weights.shape[0]):
        g = gradient[j] + wd * weights[j]
        first[j] = beta_1 * first[j] + (np.float32(1) - beta_1) * g
        second[j] = beta_2 * second[j] + (np.float32(1) - beta_2) * g * g
        step = rate / (np.sqrt(second[j] * correct_2) + _TINY)
        moved = weights[j] - step * correct_1 * first[j]
        kept = max(abs(moved) - step * l1, np.float32(0))
        weights[j] = kept if moved >= 0 else -kept
        mean[j] += (weights[j] - mean[j]) * blend


@njit(fastmath=_EXACT, error_model="numpy", nogil=True)
def _sgd(weights, gradient, velocity, mean, rate, l1, wd, momentum, blend):  # type: ignore[no-untyped-def]
    for j in range(weights.shape[0]):
        velocity[j] = momentum * velocity[j] + gradient[j] + wd * weights[j]
        moved = weights[j] - rate * velocity[j]
        kept = max(abs(moved) - rate * l1, np.float32(0))
        weights[j] = kept if moved >= 0 else -kept
        mean[j] += (weights[j] - mean[j]) * blend


@njit(
    "void(float32[:,::1],float32[:,::1],float32[:,::1],float32[:,::1],float32[:,::1],"
    "float32[::1],float32[::1],float32[::1],float32,float32,float32,float32,float32,float32,float32)",
    fastmath=_EXACT,
    **_OPTIONS,
)
def adam(  # type: ignore[no-untyped-def]
    weights, gradient, first, second, mean, rates, l1, wd, bias_rate, bias_wd, beta_1, beta_2, correct_1, correct_2, blend
):
    """One step of Adam with proximal L1; `mean` moves towards the new weights by the share `blend`.

    weights, gradient, mean : (columns, features + 1), the bias last; it has no L1 and its own multiples of rate and wd
    first, second : moments of the gradient; `correct_` is 1 / (1 - beta^t)
    rates, l1, wd : (columns,)
    RMSProp is beta_1 = 0 with both corrections 1.
    """
    n = weights.shape[1] - 1
    for c in range(weights.shape[0]):
        w, g, m, v, a = weights[c], gradient[c], first[c], second[c], mean[c]
        more = (beta_1, beta_2, correct_1, correct_2, blend)
        _adam(w[:n], g[:n], m[:n], v[:n], a[:n], rates[c], l1[c], wd[c], *more)
        _adam(w[n:], g[n:], m[n:], v[n:], a[n:], rates[c] * bias_rate, np.float32(0), wd[c] * bias_wd, *more)


@njit(
    "void(float32[:,::1],float32[:,::1],float32[:,::1],float32[:,::1],"
    "float32[::1],float32[::1],float32[::1],float32,float32,float32,float32)",
    fastmath=_EXACT,
    **_OPTIONS,
)
def sgd(weights, gradient, velocity, mean, rates, l1, wd, bias_rate, bias_wd, momentum, blend):  # type: ignore[no-untyped-def]
    """One step of gradient descent with momentum and proximal L1; shapes and `mean` as in `adam`."""
    n = weights.shape[1] - 1
    for c in range(weights.shape[0]):
        w, g, v, a = weights[c], gradient[c], velocity[c], mean[c]
        _sgd(w[:n], g[:n], v[:n], a[:n], rates[c], l1[c], wd[c], momentum, blend)
        _sgd(w[n:], g[n:], v[n:], a[n:], rates[c] * bias_rate, np.float32(0), wd[c] * bias_wd, momentum, blend)


@njit(types.void(_VALUES, _INDICES, _ENDS, types.int64[::1], _MATRIX, _MATRIX), fastmath=_EXACT, **_OPTIONS)
def sparse_margins(data, indices, indptr, rows, weights, margins):  # type: ignore[no-untyped-def]
    """`margins` (columns, len(rows)) of chosen CSR rows; `weights` is (features, columns)."""
    columns = weights.shape[1]
    sums = np.empty(columns, np.float32)
    for i in range(rows.shape[0]):
        sums[:] = 0
        for place in range(indptr[rows[i]], indptr[rows[i] + 1]):
            value = data[place]
            feature = indices[place]
            for c in range(columns):
                sums[c] += value * weights[feature, c]
        for c in range(columns):
            margins[c, i] = sums[c]


@njit(types.void(_VALUES, _INDICES, _ENDS, types.int64[::1], _MATRIX, _MATRIX), fastmath=_EXACT, **_OPTIONS)
def sparse_gradient(data, indices, indptr, rows, derivatives, gradient):  # type: ignore[no-untyped-def]
    """Add the gradient of chosen CSR rows to `gradient` (features, columns); `derivatives` is (columns, len(rows))."""
    columns = gradient.shape[1]
    slopes = np.empty(columns, np.float32)
    for i in range(rows.shape[0]):
        for c in range(columns):
            slopes[c] = derivatives[c, i]
        for place in range(indptr[rows[i]], indptr[rows[i] + 1]):
            value = data[place]
            feature = indices[place]
            for c in range(columns):
                gradient[feature, c] += value * slopes[c]
