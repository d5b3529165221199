"""The loop of `gibbs`: each feature's weight and factors drawn together from their Gaussian given all others."""

from __future__ import annotations

import numpy as np
from numba import njit

from clary.algorithms.recommend.lanes import LANES, add, load, multiply, splat, store, subtract, total
from clary.algorithms.vectors import prefetch

_AHEAD = 16
"""Values between a row's fetch from memory and its use: the rows of a feature lie anywhere."""


@njit(inline="always", error_model="numpy")
def _slopes(coefficients, feature, sums, row, value, slopes):  # type: ignore[no-untyped-def]
    """Fill `slopes` with the derivatives of the row's score by the feature's coefficients: x (1, sum_j x_j v_j - x v)."""
    width = coefficients.shape[1]
    scale = splat(value)
    for lane in range(0, width, LANES):
        others = subtract(load(sums, row * width + lane), multiply(scale, load(coefficients, feature * width + lane)))
        store(slopes, lane, multiply(scale, others))
    slopes[0] = value


@njit(inline="always", error_model="numpy")
def _factorize(matrix, least):  # type: ignore[no-untyped-def]
    """U with U'U = `matrix`, in its upper triangle; the diagonal holds reciprocals.

    No pivot is below its prior precision in `least`, whatever float32 makes of features that are nearly collinear.
    """
    width = len(matrix)
    for pivot in range(width):
        inverse = np.float32(1) / np.sqrt(max(matrix[pivot, pivot], least[pivot]))
        begin = pivot // LANES * LANES
        for lane in range(begin, width, LANES):
            store(matrix, pivot * width + lane, multiply(load(matrix, pivot * width + lane), splat(inverse)))
        for row in range(pivot + 1, width):
            scale = splat(matrix[pivot, row])
            for lane in range(row // LANES * LANES, width, LANES):
                change = multiply(scale, load(matrix, pivot * width + lane))
                store(matrix, row * width + lane, subtract(load(matrix, row * width + lane), change))
        matrix[pivot, pivot] = inverse


@njit(inline="always", error_model="numpy")
def _draw(upper, gradient, noise, feature, drawn):  # type: ignore[no-untyped-def]
    """Fill `drawn` with P^-1 g + P^-1/2 z, where P = U'U, g is `gradient` (overwritten) and z the feature's row of `noise`."""
    width = len(gradient)
    for row in range(width):
        solved = gradient[row] * upper[row, row]
        gradient[row] = solved
        scale = splat(solved)
        drawn[row] = solved + noise[feature, row]
        for lane in range(row // LANES * LANES, width, LANES):  # what is solved already may be spoilt: it is in `drawn`
            store(gradient, lane, subtract(load(gradient, lane), multiply(scale, load(upper, row * width + lane))))
    for row in range(width):
        gradient[row] = 0
    for row in range(width - 1, -1, -1):
        known = splat(np.float32(0))
        for lane in range(row // LANES * LANES, width, LANES):  # zero where nothing is known yet
            known = add(known, multiply(load(upper, row * width + lane), load(gradient, lane)))
        gradient[row] = (drawn[row] - total(known)) * upper[row, row]
    drawn[:] = gradient


@njit(
    "void(f4[::1], i4[::1], i8[::1], f4[:,::1], f4[:,::1], f4[::1], f4[::1], f4[:,::1], f4[:,::1], i4[::1], f4[:,::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
    fastmath={"contract", "reassoc", "nsz"},
)
def sweep(values, rows, starts, coefficients, sums, residuals, certainty, means, precisions, groups, noise):  # type: ignore[no-untyped-def]
    """Draw the coefficients of all features once, in their order; `sums` and `residuals` follow.

    values, rows, starts : the data by columns (CSC). coefficients : (features, width) weight, factors, zeros.
    sums : (rows, width) sum_j x_j of the coefficients. residuals : (rows,) label - score.
    certainty : (rows,) precision of each label.
    means, precisions : (groups, width) of the Gaussian prior of a group's coefficients; groups : (features,).
    noise : (features, width) standard normal, zero in the padding.
    """
    width = coefficients.shape[1]
    posterior = np.empty((width, width), np.float32)
    gradient = np.empty(width, np.float32)
    slopes = np.empty(width, np.float32)
    step = np.empty(width, np.float32)
    for feature in range(len(coefficients)):
        group = groups[feature]
        posterior[:] = 0
        for column in range(width):
            posterior[column, column] = precisions[group, column]
            gradient[column] = precisions[group, column] * (means[group, column] - coefficients[feature, column])
        for place in range(starts[feature], starts[feature + 1]):
            row = rows[place]
            soon = rows[min(place + _AHEAD, len(rows) - 1)]
            prefetch(sums, soon * width)
            prefetch(residuals, soon)
            prefetch(certainty, soon)
            _slopes(coefficients, feature, sums, row, values[place], slopes)
            error = splat(certainty[row] * residuals[row])
            for lane in range(0, width, LANES):
                store(gradient, lane, add(load(gradient, lane), multiply(error, load(slopes, lane))))
            for column in range(width):
                scale = splat(certainty[row] * slopes[column])
                for lane in range(column // LANES * LANES, width, LANES):
                    product = multiply(scale, load(slopes, lane))
                    store(posterior, column * width + lane, add(load(posterior, column * width + lane), product))
        _factorize(posterior, precisions[group])
        _draw(posterior, gradient, noise, feature, step)
        for place in range(starts[feature], starts[feature + 1]):
            row = rows[place]
            scale = splat(values[place])
            _slopes(coefficients, feature, sums, row, values[place], slopes)
            change = splat(np.float32(0))
            for lane in range(0, width, LANES):
                moved = load(step, lane)
                change = add(change, multiply(load(slopes, lane), moved))
                store(sums, row * width + lane, add(load(sums, row * width + lane), multiply(scale, moved)))
            residuals[row] -= total(change)
        for column in range(width):
            coefficients[feature, column] += step[column]
