"""Log expected improvement (Ament et al. 2023), stable where the improvement itself underflows."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import erfcx, ndtr

from clary.tuning.gaussian_process import Posterior

LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)
ROOT_HALF, ROOT_HALF_PI = math.sqrt(0.5), math.sqrt(math.pi / 2)
FAR = -50.0
"""Below, an asymptotic series is more exact than the closed form."""


def log_h(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log(phi(z) + z Phi(z)) and its derivative Phi(z) / (phi(z) + z Phi(z)), elementwise."""
    if z.min() > -1:
        return _near(z)
    near, low = np.maximum(z, -1), np.minimum(z, -1)
    (value, slope), (far_value, far_slope) = _near(near), _far(np.maximum(low, FAR))
    value, slope = np.where(z > -1, value, far_value), np.where(z > -1, slope, far_slope)
    if z.min() > FAR:
        return value, slope
    furthest_value, furthest_slope = _furthest(np.minimum(z, FAR))
    return np.where(z > FAR, value, furthest_value), np.where(z > FAR, slope, furthest_slope)


def _near(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    Phi = ndtr(z)
    h = np.exp(-0.5 * z * z - LOG_ROOT_2PI) + z * Phi
    return np.log(h), Phi / h


def _far(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """With Mills' ratio Phi / phi, for z <= -1."""
    mills = ROOT_HALF_PI * erfcx(z * -ROOT_HALF)
    rest = 1 + z * mills
    return np.log(rest) - 0.5 * z * z - LOG_ROOT_2PI, mills / rest


def _furthest(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """With an asymptotic series of Mills' ratio."""
    s = 1 / (z * z)
    return np.log(s * (1 + s * (-3 + s * (15 - 105 * s)))) - 0.5 * z * z - LOG_ROOT_2PI, -z * (1 + 2 * s)


def log_expected_improvement(posterior: Posterior, rows: np.ndarray) -> np.ndarray:
    """(n,), of minimization below the best mean, averaged over the versions of the objectives."""
    mean, variance = posterior.at(rows)
    mean = mean if mean.ndim == 2 else mean[:, None]
    deviation = np.sqrt(variance)[:, None]
    each = log_h((posterior.best - mean) / deviation)[0] + np.log(deviation)
    return _log_mean(each)


def with_slope(posterior: Posterior, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,) log expected improvements, and their derivatives (n, numbers) by the numbers of the rows."""
    mean, variance, by_mean, by_variance = posterior.slopes(rows)
    deviation = np.sqrt(variance)
    z = (posterior.best - mean) / deviation[:, None]
    h, slope = log_h(z)
    each = h + np.log(deviation)[:, None]
    value = _log_mean(each)
    share = np.exp(each - value[:, None]) / each.shape[1]  # of each version in the slope
    by_deviation = by_variance / (2 * deviation[:, None])
    gradient = -np.einsum("im,imd->id", share * slope, by_mean) / deviation[:, None]
    gradient += by_deviation * ((share * (1 - slope * z)).sum(axis=1) / deviation)[:, None]
    return value, gradient


def _log_mean(each: np.ndarray) -> np.ndarray:
    if each.shape[1] == 1:
        return each[:, 0]
    top = each.max(axis=1, keepdims=True)
    return top[:, 0] + np.log(np.exp(each - top).mean(axis=1))
