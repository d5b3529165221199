"""The Gaussian process against textbook formulas, scikit-learn, finite differences and high-precision references."""

from __future__ import annotations

import decimal
import math

import numpy as np
import pytest
from scipy.optimize import check_grad
from scipy.stats import norm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from clary.tuning import Categorical, Continuous, Space
from clary.tuning.acquisition import log_expected_improvement, log_h, with_slope
from clary.tuning.encoding import Encoding
from clary.tuning.gaussian_process import JITTER, OFFSET, Density, Layout, Observations, Posterior, fit
from clary.tuning.kernel import Features, matern, warp

MIXED = Encoding(Space((Continuous("a", 0, 1), Categorical("c", ("x", "y", "z")), Continuous("b", 0, 1))))
PLAIN = Encoding(Space((Continuous("a", 0, 1), Continuous("b", 0, 1), Continuous("c", 0, 1))))


def layout(encoding: Encoding, warped: bool) -> Layout:
    return Layout(Features.of(encoding), warped)


def data(encoding: Encoding, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows = encoding.snap(rng.random((n, len(encoding.space.parameters))))
    return rows, np.sin(5 * rows[:, 0]) + rows[:, 1] - rows[:, -1] ** 2 + 0.05 * rng.standard_normal(n)


def observed(rows: np.ndarray, y: np.ndarray, sources: np.ndarray | None = None) -> Observations:
    return Observations(rows, y, mine(rows) if sources is None else sources)


def mine(rows: np.ndarray) -> np.ndarray:
    return np.zeros(len(rows), dtype=int)


def hyperparameters(plan: Layout, seed: int = 1) -> np.ndarray:
    mean, _ = plan.prior
    theta = mean + 0.4 * np.random.default_rng(seed).standard_normal(plan.size)
    theta[plan.features.columns + 1] = math.log(0.01)
    return theta


def test_matern_is_scipys_special_function_and_has_its_slope():
    r2 = np.array([0.0, 1e-4, 0.3, 2.0, 40.0])
    expected = Matern(nu=2.5)(np.zeros((1, 1)), np.sqrt(r2)[:, None])[0]
    np.testing.assert_allclose(matern(r2)[0], expected, rtol=1e-12)
    h = 1e-6
    np.testing.assert_allclose(matern(r2[1:])[1], (matern(r2[1:] + h)[0] - matern(r2[1:] - h)[0]) / (2 * h), rtol=1e-4)


def test_warp_is_kumaraswamys_distribution_and_has_its_slopes():
    x = np.linspace(0.01, 0.99, 9)[:, None]
    a, b, h = np.array([1.7]), np.array([0.6]), 1e-6
    value, by_x, by_a, by_b = warp(x, a, b)
    np.testing.assert_allclose(value, 1 - (1 - x**1.7) ** 0.6, rtol=1e-12)
    np.testing.assert_allclose(by_x, (warp(x + h, a, b)[0] - warp(x - h, a, b)[0]) / (2 * h), rtol=1e-6)
    np.testing.assert_allclose(by_a, (warp(x, a * math.exp(h), b)[0] - warp(x, a * math.exp(-h), b)[0]) / (2 * h), rtol=1e-6)
    np.testing.assert_allclose(by_b, (warp(x, a, b * math.exp(h))[0] - warp(x, a, b * math.exp(-h))[0]) / (2 * h), rtol=1e-6)


@pytest.mark.parametrize("encoding", [PLAIN, MIXED], ids=["plain", "mixed"])
@pytest.mark.parametrize(("warped", "bent", "related"), [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)])
def test_the_gradient_of_the_density_is_that_of_finite_differences(encoding, warped, bent, related):
    plan = Layout(Features.of(encoding), bool(warped), bool(bent), bool(related))
    rows, y = data(encoding, 15)
    sources = np.array([0] * 2 + [1] * 6 + [2] * 7) * related
    density = Density(plan, observed(rows, y, sources))
    value = lambda theta: density.negative_logarithm(theta)[0]  # noqa: E731
    assert check_grad(value, lambda theta: density.negative_logarithm(theta)[1], hyperparameters(plan)) < 1e-4


def reference(theta: np.ndarray) -> GaussianProcessRegressor:
    lengths, signal, noise = np.exp(theta[:3]), np.exp(theta[3]), np.exp(theta[4])
    kernel = ConstantKernel(signal, "fixed") * Matern(lengths, "fixed", nu=2.5) + ConstantKernel(OFFSET, "fixed")
    return GaussianProcessRegressor(kernel + WhiteKernel(noise, "fixed"), alpha=JITTER, optimizer=None)


def test_posterior_and_likelihood_are_scikit_learns():
    plan = layout(PLAIN, warped=False)
    theta = hyperparameters(plan)
    (rows, y), (new, _) = data(PLAIN, 25), data(PLAIN, 7, seed=9)
    peer = reference(theta).fit(rows, y)
    mean, covariance = peer.predict(new, return_cov=True)
    ours, joint = Posterior(plan, theta, rows, mine(rows), y).joint(new)
    noise = np.exp(theta[4])
    np.testing.assert_allclose(ours, mean, atol=1e-9)
    np.testing.assert_allclose(joint, covariance - noise * np.eye(7), atol=1e-8)
    np.testing.assert_allclose(
        Posterior(plan, theta, rows, mine(rows), y).at(new)[1], np.diagonal(covariance) - noise, atol=1e-8
    )


def test_the_density_is_scikit_learns_likelihood_and_the_prior():
    plan = layout(PLAIN, warped=False)
    theta = hyperparameters(plan)
    rows, y = data(PLAIN, 25)
    density = Density(plan, observed(rows, y))
    standardized, _, of_the_map, _ = density.objectives.bent_at(None)
    likelihood = reference(theta).fit(rows, standardized).log_marginal_likelihood_value_
    away = (theta - plan.prior[0]) / plan.prior[1]
    expected = -likelihood - 12.5 * math.log(2 * math.pi) + 0.5 * away @ away + of_the_map
    assert density.negative_logarithm(theta)[0] == pytest.approx(expected, rel=1e-9)


def test_posterior_of_warped_mixed_inputs_is_the_textbooks():
    plan = layout(MIXED, warped=True)
    theta = hyperparameters(plan)
    (rows, y), (new, _) = data(MIXED, 12), data(MIXED, 5, seed=9)
    lengths, signal, noise = np.exp(theta[:3]), np.exp(theta[3]), np.exp(theta[4])
    a, b = plan.bends(theta)

    def covariance(left: np.ndarray, right: np.ndarray) -> float:
        bent = [kumaraswamy_cdf(row[[0, 2]], a, b) for row in (left, right)]
        r2 = ((bent[0] - bent[1]) ** 2 / lengths[[0, 2]] ** 2).sum() + (left[1] != right[1]) / lengths[1] ** 2
        s = math.sqrt(5 * r2)
        return signal * (1 + s + s * s / 3) * math.exp(-s) + OFFSET

    K = np.array([[covariance(p, q) for q in rows] for p in rows]) + (noise + JITTER) * np.eye(12)
    cross = np.array([[covariance(p, q) for q in rows] for p in new])
    own = np.array([covariance(p, p) for p in new])
    mean, variance = Posterior(plan, theta, rows, mine(rows), y).at(new)
    np.testing.assert_allclose(mean, cross @ np.linalg.solve(K, y), atol=1e-9)
    np.testing.assert_allclose(variance, own - np.diagonal(cross @ np.linalg.solve(K, cross.T)), atol=1e-8)


def kumaraswamy_cdf(x: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return 1 - (1 - x**a) ** b


def test_versions_of_the_objectives_have_their_own_means_and_one_variance():
    plan = layout(PLAIN, warped=True)
    theta = hyperparameters(plan)
    rows, y = data(PLAIN, 10)
    both = Posterior(plan, theta, rows, mine(rows), np.column_stack([y, -y])).at(rows[:3] + 0.01)
    np.testing.assert_allclose(both[0][:, 0], -both[0][:, 1], atol=1e-10)
    np.testing.assert_allclose(both[1], Posterior(plan, theta, rows, mine(rows), y).at(rows[:3] + 0.01)[1], atol=1e-12)


def test_map_finds_which_column_matters():
    plan = layout(PLAIN, warped=False)
    rows, _ = data(PLAIN, 40)
    y = np.sin(6 * rows[:, 1])
    lengths = fit(plan, observed(rows, y))[:3]
    assert lengths[1] < min(lengths[0], lengths[2]) - 1


def exact_log_h(z: float) -> float:
    """log(phi(z) + z Phi(z)) for z < 0 in 80 digits, by the continued fraction of Mills' ratio."""
    with decimal.localcontext(prec=80):
        t = -decimal.Decimal(z)
        tail = t
        for k in range(4000, 0, -1):
            tail = t + k / tail
        ratio = 1 / tail  # (1 - Phi(t)) / phi(t)
        log_phi = -t * t / 2 - (2 * decimal.Decimal(math.pi)).ln() / 2
        return float(log_phi + (1 - t * ratio).ln())


@pytest.mark.parametrize("z", [-0.99, -1.01, -3.0, -8.0, -20.0, -49.0, -51.0, -300.0, -1e4, -1e6])
def test_log_expected_improvement_far_below_underflow(z):
    value, slope = (float(part) for part in log_h(np.array(z)))
    assert value == pytest.approx(exact_log_h(z), rel=1e-11)
    h = abs(z) * 1e-5
    assert slope == pytest.approx((exact_log_h(z + h) - exact_log_h(z - h)) / (2 * h), rel=1e-6)


def test_expected_improvement_above_the_best():
    z = np.array([0.0, 1.0, 6.0, 40.0])
    value, slope = log_h(z)
    np.testing.assert_allclose(np.exp(value), norm.pdf(z) + z * norm.cdf(z), rtol=1e-12)
    np.testing.assert_allclose(slope, norm.cdf(z) / (norm.pdf(z) + z * norm.cdf(z)), rtol=1e-12)


@pytest.mark.parametrize("versions", [1, 3])
@pytest.mark.parametrize("warped", [False, True])
def test_the_slope_of_the_acquisition_is_that_of_finite_differences(versions, warped):
    plan = layout(MIXED, warped)
    rows, y = data(MIXED, 12)
    several = y[:, None] + 0.1 * np.random.default_rng(2).standard_normal((12, versions))
    posterior = Posterior(plan, hyperparameters(plan), rows, mine(rows), several)
    new, _ = data(MIXED, 6, seed=5)
    value, slope = with_slope(posterior, new)
    np.testing.assert_allclose(value, log_expected_improvement(posterior, new), rtol=1e-10)
    for number, column in enumerate([0, 2]):
        step = np.zeros(3)
        step[column] = 1e-6
        apart = log_expected_improvement(posterior, new + step) - log_expected_improvement(posterior, new - step)
        np.testing.assert_allclose(slope[:, number], apart / 2e-6, rtol=1e-4, atol=1e-5)


def test_log_expected_improvement_is_the_mean_of_sampled_improvements():
    plan = layout(PLAIN, warped=False)
    rows, y = data(PLAIN, 10)
    posterior = Posterior(plan, hyperparameters(plan), rows, mine(rows), y)
    new = rows[[int(posterior.at_points.argmin())]] + 0.1
    mean, variance = posterior.at(new)
    drawn = mean[0] + math.sqrt(variance[0]) * np.random.default_rng(0).standard_normal(400_000)
    expected = np.maximum(posterior.at_points.min() - drawn, 0).mean()
    assert math.exp(log_expected_improvement(posterior, new)[0]) == pytest.approx(expected, rel=0.01)
