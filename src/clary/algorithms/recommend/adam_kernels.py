"""The loops of `adam`: gradients of a batch, summed in a slot per feature that occurs, and Adam's steps of those features."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from clary.algorithms.recommend.lanes import (
    LANES,
    add,
    clip,
    divide,
    load,
    multiply,
    splat,
    square_root,
    store,
    subtract,
    total,
)

FIRST_MOMENT, SECOND_MOMENT = 0.9, 0.999
"""Shares of Adam's moving averages that a step keeps."""

_CSR = "Tuple((f4[::1], i4[::1], i8[::1]))"
_PARAMETERS = "Tuple((f4[::1], f4[::1], f4[:,::1]))"
_MOMENTS = "Tuple((f4[::1], f4[:,::1], f4[:,:,::1]))"
_WORKSPACE = "Tuple((i4[::1], i4[::1], f4[:,::1], f4[:,::1], f4[::1]))"


@njit(inline="always", error_model="numpy")
def _limited(slope, limit):  # type: ignore[no-untyped-def]
    return min(max(slope, -limit), limit)


@njit(inline="always", error_model="numpy")
def _direction(slope, moments, eps):  # type: ignore[no-untyped-def]
    """Adam's step for a step size of one; `moments` (2,) are renewed."""
    moments[0] += np.float32(1 - FIRST_MOMENT) * (slope - moments[0])
    moments[1] += np.float32(1 - SECOND_MOMENT) * (slope * slope - moments[1])
    return moments[0] / (np.sqrt(moments[1]) + eps)


@njit(inline="always", error_model="numpy")
def _add_to_slot(feature, slope, value, used, slots, features, linear, pairwise, summed):  # type: ignore[no-untyped-def]
    """Add one value's part of the gradient to the slot of its feature; returns how many slots are used."""
    width = len(summed)
    slot = slots[feature]
    scale = splat(slope)
    if slot < 0:
        slots[feature] = used
        features[used] = feature
        linear[used, 0] = slope
        linear[used, 1] = slope * value
        for lane in range(0, width, LANES):
            store(pairwise, used * width + lane, multiply(scale, load(summed, lane)))
        return used + 1
    linear[slot, 0] += slope
    linear[slot, 1] += slope * value
    for lane in range(0, width, LANES):
        store(pairwise, slot * width + lane, add(load(pairwise, slot * width + lane), multiply(scale, load(summed, lane))))
    return used


@njit(nogil=True, error_model="numpy")
def _gradients(rows, labels, importance, scores, parameters, space, start, stop, logistic):  # type: ignore[no-untyped-def]
    """Sum the gradients of a batch into the slots; returns how many are used, and the gradient of the bias.

    With s = sum_j x_j v_j and g = dloss/dscore: dw_j = g x_j and dv_j = (g x_j) s - (g x_j^2) v_j, whose two factors of v_j
    are summed apart, so that v_j is read once.
    """
    values, columns, starts = rows
    bias, weights, factors = parameters
    slots, features, linear, pairwise, summed = space
    width = factors.shape[1]
    used = 0
    slope = np.float32(0)
    for row in range(start, stop):
        begin, end = starts[row], starts[row + 1]
        score = bias[0]
        for place in range(begin, end):
            score += weights[columns[place]] * values[place]
        pairs = splat(np.float32(0))
        for lane in range(0, width, LANES):
            total_of_lane = splat(np.float32(0))
            for place in range(begin, end):
                term = multiply(load(factors, columns[place] * width + lane), splat(values[place]))
                total_of_lane = add(total_of_lane, term)
                pairs = subtract(pairs, multiply(term, term))
            store(summed, lane, total_of_lane)
            pairs = add(pairs, multiply(total_of_lane, total_of_lane))
        score += np.float32(0.5) * total(pairs)
        scores[row] = score
        guess = np.float32(1) / (np.float32(1) + np.exp(-score)) if logistic else score
        error = importance[row] * (guess - labels[row])
        slope += error
        for place in range(begin, end):
            used = _add_to_slot(
                columns[place], error * values[place], values[place], used, slots, features, linear, pairwise, summed
            )
    return used, slope


@njit(nogil=True, error_model="numpy")
def _update_weights(touched, weights, moments, space, rate, decay, limits):  # type: ignore[no-untyped-def]
    """A step of the weights that occur, whose slots are given back."""
    slots, features, linear = space[0], space[1], space[2]
    eps, rescale, limit = limits
    for slot in range(touched):
        feature = features[slot]
        slots[feature] = -1
        slope = _limited(linear[slot, 0] * rescale + decay * weights[feature], limit)
        weights[feature] -= rate * _direction(slope, moments[:, feature], eps)


@njit(nogil=True, error_model="numpy")
def _update_factors(touched, factors, moments, space, rate, decay, limits):  # type: ignore[no-untyped-def]
    """A step of the factors that occur."""
    features, linear, pairwise = space[1], space[2], space[3]
    width = factors.shape[1]
    second = factors.size
    eps, rescale, limit = splat(limits[0]), splat(limits[1]), splat(limits[2])
    keep_first, keep_second = splat(np.float32(FIRST_MOMENT)), splat(np.float32(SECOND_MOMENT))
    take_first, take_second = splat(np.float32(1 - FIRST_MOMENT)), splat(np.float32(1 - SECOND_MOMENT))
    size = splat(rate)
    for slot in range(touched):
        begin = features[slot] * width
        own = splat(decay - linear[slot, 1] * limits[1])
        for lane in range(0, width, LANES):
            value = load(factors, begin + lane)
            slope = add(multiply(load(pairwise, slot * width + lane), rescale), multiply(own, value))
            slope = clip(slope, limit)
            first = add(multiply(keep_first, load(moments, begin + lane)), multiply(take_first, slope))
            square = add(
                multiply(keep_second, load(moments, second + begin + lane)), multiply(take_second, multiply(slope, slope))
            )
            store(moments, begin + lane, first)
            store(moments, second + begin + lane, square)
            store(factors, begin + lane, subtract(value, divide(multiply(size, first), add(square_root(square), eps))))


@njit(
    f"i8({_CSR}, f4[::1], f4[::1], f4[::1], {_PARAMETERS}, {_MOMENTS}, {_WORKSPACE}, f4[::1], f4[::1], f4[::1],"
    "Tuple((i8, i8, b1)))",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def train(rows, labels, importance, scores, parameters, moments, space, rates, decays, limits, run):  # type: ignore[no-untyped-def]
    """Steps over all batches; returns the number of steps ever made. `run` is (rows per batch, steps before, logistic)."""
    batch, step, logistic = run
    bias, bias_moments = parameters[0], moments[0]
    for start in range(0, len(labels), batch):
        touched, slope = _gradients(
            rows, labels, importance, scores, parameters, space, start, min(start + batch, len(labels)), logistic
        )
        step += 1
        correction = math.sqrt(1 - SECOND_MOMENT**step) / (1 - FIRST_MOMENT**step)
        slope = _limited(slope * limits[1] + decays[0] * bias[0], limits[2])
        bias[0] -= rates[0] * np.float32(correction) * _direction(slope, bias_moments, limits[0])
        _update_weights(touched, parameters[1], moments[1], space, rates[1] * np.float32(correction), decays[1], limits)
        _update_factors(touched, parameters[2], moments[2], space, rates[2] * np.float32(correction), decays[2], limits)
    return step
