"""Log expected improvement (Ament et al. 2023), stable where the improvement itself underflows."""

from __future__ import annotations

import numpy as np
from scipy.special import erfcx, ndtr

from clary.tuning.gaussian_process import Posterior

LOG_ROOT_2PI = 0.5 * np.log(2 * np.pi)
FAR = -50.0
"""Below, an asymptotic series is more exact than the closed form."""


def log_h(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log(phi(z) + z Phi(z)) and its derivative Phi(z) / (phi(z) + z Phi(z))."""
    log_phi = -0.5 * z * z - LOG_ROOT_2PI
    near = np.maximum(z, FAR)
    mills = np.sqrt(np.pi / 2) * erfcx(-np.minimum(near, 0) / np.sqrt(2))  # Phi / phi, for z <= 0
    phi, Phi = np.exp(log_phi), ndtr(z)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        positive = np.log(phi + z * Phi)
        closed = log_phi + np.log1p(near * mills)
        s = 1 / (z * z)
        series = log_phi + np.log(s * (1 + s * (-3 + s * (15 - 105 * s))))
        value = np.where(z > -1, positive, np.where(z > FAR, closed, series))
        slope = np.where(z > -1, Phi / (phi + z * Phi), np.where(z > FAR, mills / (1 + near * mills), -z * (1 + 2 * s)))
    return value, slope


def log_expected_improvement(posterior: Posterior, best: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(n,), of minimization below best (m,), averaged over the m versions of the objectives."""
    mean, variance = posterior.at(rows)
    mean = mean if mean.ndim == 2 else mean[:, None]
    deviation = np.sqrt(variance)[:, None]
    each = log_h((best - mean) / deviation)[0] + np.log(deviation)
    return _log_mean(each)


def with_slope(posterior: Posterior, best: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,) log expected improvements, and their derivatives (n, numbers) by the numbers of the rows."""
    mean, variance, by_mean, by_variance = posterior.slopes(rows)
    deviation = np.sqrt(variance)
    z = (best - mean) / deviation[:, None]
    h, slope = log_h(z)
    each = h + np.log(deviation)[:, None]
    value = _log_mean(each)
    share = np.exp(each - value[:, None]) / each.shape[1]
    by_deviation = by_variance / (2 * deviation[:, None])
    gradient = -np.einsum("im,imd->id", share * slope, by_mean) / deviation[:, None]
    gradient += by_deviation * ((share * (1 - slope * z)).sum(axis=1) / deviation)[:, None]
    return value, gradient


def _log_mean(each: np.ndarray) -> np.ndarray:
    if each.shape[1] == 1:
        return each[:, 0]
    top = each.max(axis=1, keepdims=True)
    return top[:, 0] + np.log(np.exp(each - top).mean(axis=1))
