"""LDA: moments against brute force, the tensor power method, planted topics, scikit-learn's checks and ours."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix
from sklearn.utils.estimator_checks import check_estimator

from clary.algorithms import LDA, checks
from clary.algorithms.text.moments import whitened
from clary.algorithms.text.tensor_power import decompose
from clary.algorithms.text.topics import Topics


def corpus(seed, topics, alpha, documents, length):
    """(documents, words) counts."""
    rng = np.random.default_rng(seed)
    mixtures = rng.dirichlet(alpha, documents)
    return np.array([rng.multinomial(max(rng.poisson(length), 1), mixture @ topics) for mixture in mixtures])


def bars():
    """The ten topics of Griffiths and Steyvers (2004): rows and columns of a 5 x 5 image."""
    square = np.zeros((10, 5, 5))
    for i in range(5):
        square[i, i] = 0.2
        square[5 + i, :, i] = 0.2
    return square.reshape(10, 25)


def matched(truth, found):
    """`found` in the order of `truth`, and the total variation of each pair."""
    apart = np.abs(truth[:, None] - found[None]).sum(axis=2) / 2
    order = linear_sum_assignment(apart)[1]
    return order, apart[np.arange(len(truth)), order]


def empirical_moments(counts, alpha0):
    """M1, M2 and M3 by going through all triples of words of each document."""
    words = counts.shape[1]
    first, second, third = np.zeros(words), np.zeros((words, words)), np.zeros((words, words, words))
    for document in counts:
        tokens = np.repeat(np.arange(words), document)
        length, share = len(tokens), 1 / len(counts)
        for token in tokens:
            first[token] += share / length
        for pair in itertools.permutations(tokens, 2):
            second[pair] += share / (length * (length - 1))
        for triple in itertools.permutations(tokens, 3):
            third[triple] += share / (length * (length - 1) * (length - 2))
    mixed = np.einsum("ij,k->ijk", second, first)
    mixed = mixed + mixed.transpose(0, 2, 1) + mixed.transpose(2, 1, 0)
    cubed = np.einsum("i,j,k->ijk", first, first, first)
    m3 = third - alpha0 / (alpha0 + 2) * mixed + 2 * alpha0**2 / ((alpha0 + 1) * (alpha0 + 2)) * cubed
    return first, second - alpha0 / (alpha0 + 1) * np.outer(first, first), m3


def test_moments_are_those_of_all_triples_of_words():
    counts = corpus(0, np.random.default_rng(1).dirichlet(np.ones(6), 3), np.ones(3), 40, 6)
    counts = counts[counts.sum(axis=1) >= 3]
    _, m2, m3 = empirical_moments(counts, alpha0=0.7)
    ours = whitened(csr_matrix(counts.astype(np.float32)), 2, 0.7, seed=0)
    w = ours.whiten.astype(np.float64)
    np.testing.assert_allclose(w.T @ m2 @ w, np.eye(2), atol=1e-4)
    np.testing.assert_allclose(ours.unwhiten, m2 @ w, atol=1e-4)
    np.testing.assert_allclose(ours.third, np.einsum("ijk,ia,jb,kc->abc", m3, w, w, w), atol=1e-3)


def test_the_power_method_finds_the_vectors_of_an_orthogonal_tensor():
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    strengths = np.array([5.0, 4, 3, 2, 1.5, 1])
    tensor = np.einsum("r,ir,jr,kr->ijk", strengths, basis, basis, basis)
    values, vectors = decompose(tensor, starts=5, iterations=100, tolerance=1e-12, seed=0)
    order = np.argsort(-values)
    np.testing.assert_allclose(values[order], strengths, atol=1e-9)
    np.testing.assert_allclose(vectors[:, order], basis, atol=1e-7)


def test_the_bars_are_found_far_closer_than_the_published_error():
    """AWS's notebook reports matrix-1-norms of the errors of 0.1726 (beta) and 0.1523 (alpha)."""
    truth = bars()
    model = LDA(10, alpha0=1.0).fit(corpus(0, truth, np.full(10, 0.1), 5400, 150))
    order, _ = matched(truth, model.components_)
    assert np.linalg.norm(truth - model.components_[order], 1) < 0.02
    assert np.abs(0.1 - model.alpha_[order]).sum() < 0.05


@pytest.mark.parametrize("polish", [0, 20])
def test_topics_of_unequal_share_are_found(polish):
    truth = np.kron(np.eye(4), np.full(5, 0.2))
    alpha = np.array([0.4, 0.2, 0.2, 0.1])
    model = LDA(4, alpha0=0.9, polish=polish).fit(corpus(1, truth, alpha, 3000, 60))
    order, apart = matched(truth, model.components_)
    assert apart.max() < (0.15 if polish == 0 else 0.01)
    if polish:
        np.testing.assert_allclose(model.alpha_[order], alpha, atol=0.02)


def test_another_seed_gives_the_same_topics():
    counts = corpus(0, bars(), np.full(10, 0.1), 2000, 100)
    first, second = (LDA(10, seed=seed).fit(counts).components_ for seed in (0, 1))
    assert matched(first, second)[1].max() < 0.01


def test_mixtures_are_those_that_documents_were_made_of():
    truth, rng = np.kron(np.eye(4), np.full(5, 0.2)), np.random.default_rng(5)
    mixtures = rng.dirichlet(np.full(4, 0.3), 500)
    counts = np.array([rng.multinomial(400, mixture @ truth) for mixture in mixtures])
    model = LDA(4, alpha0=1.2).fit(counts)
    order, _ = matched(truth, model.components_)
    found = model.transform(counts)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    assert np.abs(found[:, order] - mixtures).mean() < 0.02
    np.testing.assert_allclose(model.transform(np.zeros((1, 20)))[0], model.alpha_ / 1.2, atol=1e-5)


def test_inference_is_that_of_plain_numpy():
    rng = np.random.default_rng(0)
    words, alpha = rng.dirichlet(np.ones(8), 3).T.astype(np.float32), np.array([0.2, 0.3, 0.5], np.float32)
    counts = rng.poisson(2, size=(10, 8)).astype(np.float32)
    weights = np.outer(1 + counts.sum(axis=1), alpha)
    for _ in range(3):
        share = weights[:, None, :] * words[None]
        share *= (counts / share.sum(axis=2))[:, :, None]
        weights = alpha + share.sum(axis=1)
    ours = Topics(np.ascontiguousarray(words), alpha).weights(csr_matrix(counts), steps=3, tolerance=0)
    np.testing.assert_allclose(ours, weights, rtol=1e-4)


def test_the_score_is_the_likelihood_that_a_document_completes():
    """With topics of one word each and documents of one topic each, the other half is certain but for the prior."""
    counts = np.repeat(np.eye(3) * 500, 20, axis=0)
    model = LDA(3, alpha0=0.03).fit(counts)
    assert -0.01 < model.score(counts) < 0
    assert model.perplexity(counts) == pytest.approx(np.exp(-model.score(counts)))
    with pytest.raises(ValueError, match="two words"):
        model.score(np.eye(3))


def test_fewer_topics_in_the_data_than_asked_for_are_said():
    counts = np.repeat(np.eye(3) * 50, 20, axis=0)
    with pytest.warns(UserWarning, match="num_topics is 6"):
        model = LDA(6).fit(counts)
    assert model.components_.shape == (6, 3)
    assert np.isfinite(model.components_).all()


@pytest.mark.parametrize("documents", [[[1, 1, 0]], [[1, 1, 1, 1]] * 5], ids=["short", "without a direction"])
def test_moments_may_show_nothing(documents):
    """Documents of two words; and M2 of a word each, which is negative for all but the mean when alpha0 is large."""
    counts = csr_matrix(np.array(documents, np.float32))
    assert whitened(counts, 2, 1e9, seed=0).rank <= 1
    with pytest.warns(UserWarning, match="the moments of X show"):
        assert np.isfinite(LDA(2, alpha0=1e9).fit(counts).components_).all()


@pytest.mark.parametrize("name", ["num_topics", "alpha0", "max_restarts", "tol", "topic_word_prior"])
def test_parameters_that_cannot_be_are_named(name):
    with pytest.raises(ValueError, match=name):
        LDA(**{name: 0}).fit(np.ones((5, 3)))


def test_counts_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="not negative"):
        LDA(2).fit(np.array([[1.0, -1], [2, 2]]))
    with pytest.raises(ValueError, match="no words"):
        LDA(2).fit(np.zeros((5, 3)))


def test_scikit_learns_checks_pass():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the moments of X show")  # its data have few topics
        check_estimator(LDA(2), on_skip=None)


def test_columns_have_names():
    model = LDA(2).fit(corpus(0, np.eye(2, 4), np.ones(2), 100, 20)).set_output(transform="pandas")
    assert model.get_feature_names_out().tolist() == ["lda0", "lda1"]
    assert list(model.transform(np.ones((1, 4))).columns) == ["lda0", "lda1"]


@pytest.mark.parametrize("check", checks.ALL, ids=lambda check: check.__name__)
def test_the_contract_of_estimators_is_kept(check):
    counts = corpus(0, np.kron(np.eye(2), np.full(2, 0.5)), np.full(2, 0.3), 60, 20).astype(np.float32)
    check(LDA(2), counts, (counts[:, 0] > 5).astype(np.float32))
