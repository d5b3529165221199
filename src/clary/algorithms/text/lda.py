"""Latent Dirichlet allocation by spectral decomposition."""

from __future__ import annotations

import math
import warnings
from typing import Any, Self

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from clary.algorithms.estimator import Estimator
from clary.algorithms.text.moments import whitened
from clary.algorithms.text.tensor_power import decompose
from clary.algorithms.text.topics import Polish, Topics

MORE_TOPICS = 1.25
"""Topics looked for per topic asked for; those with the largest alpha are kept."""
_POOL_SWEEPS = 7
"""Sweeps before the choice: alpha is known by then, and a topic that was split grows together again after it."""
_LEAST_SHARE = 1e-3
_BLOCK = 256
"""Documents judged at once."""


class LDA(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
    """Topics of documents given as word counts: each document mixes topics, each topic is a distribution of words.

    The first three moments of the words determine the topics (Anandkumar et al. 2014): they are read off a whitened third
    moment by the tensor power method, then polished by a few sweeps of EM. Unlike sampling and variational inference from a
    random start, it neither depends on luck nor needs hundreds of sweeps.

    Parameters
    ----------
    num_topics : int >= 1, default 10
    alpha0 : float > 0, default 1.0
        Sum of the Dirichlet's parameters alpha. Small: a document has few topics. Large: many.
    max_restarts : int >= 1, default 10
        Random starts per topic of the tensor power method.
    max_iterations : int >= 1, default 1000
        Iterations of the tensor power method, at most.
    tol : float > 0, default 1e-8
        The tensor power method stops when an eigenvalue changes by a smaller share.
    polish : int >= 0, default 20
        Sweeps of EM over the documents; 0 keeps the spectral topics as they are.
    topic_word_prior : float > 0, default 0.02
        Parameter of the symmetric Dirichlet prior of a topic's words, for the sweeps: small where topics have few words.
    seed : int, default 0
        Drives the random starts and the range finder; another seed gives nearly the same topics.

    Attributes
    ----------
    components_ : (num_topics, words) float32
        The topics; rows sum to 1.
    alpha_ : (num_topics,) float32
        The Dirichlet's parameters; they sum to alpha0.

    Examples
    --------
    >>> import numpy as np
    >>> from clary.algorithms import LDA
    >>> X = np.random.default_rng(0).poisson(np.repeat([[9, 9, 0, 0], [0, 0, 9, 9]], 50, axis=0))
    >>> mixtures = LDA(num_topics=2, alpha0=0.1).fit_transform(X)
    >>> len(set(mixtures.argmax(axis=1)[:50].tolist())), mixtures.shape
    (1, (100, 2))
    """

    def __init__(
        self,
        num_topics: int = 10,
        *,
        alpha0: float = 1.0,
        max_restarts: int = 10,
        max_iterations: int = 1000,
        tol: float = 1e-8,
        polish: int = 20,
        topic_word_prior: float = 0.02,
        seed: int = 0,
    ):
        self.num_topics = num_topics
        self.alpha0 = alpha0
        self.max_restarts = max_restarts
        self.max_iterations = max_iterations
        self.tol = tol
        self.polish = polish
        self.topic_word_prior = topic_word_prior
        self.seed = seed

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from `X` (documents, words), counts that are not negative, dense or sparse. `y` is not looked at."""
        self._check_parameters()
        counts = self._counts(X, reset=True)
        if not counts.nnz:
            raise ValueError("X holds no words: every count is zero")
        topics = self._chosen(counts, self._spectral(counts))
        self.components_ = np.ascontiguousarray(topics.words.T)
        self.alpha_ = topics.alpha
        return self

    def transform(self, X: Any) -> np.ndarray:
        """(documents, num_topics) float32: the mixture of each document's topics; rows sum to 1."""
        check_is_fitted(self)
        weights = self._topics().weights(self._counts(X))
        return weights / weights.sum(axis=1, keepdims=True)

    def score(self, X: Any, y: Any = None) -> float:
        """Mean log-likelihood per word of unseen documents `X`, in nats: half of a document's words, drawn at random with a
        fixed seed, give its mixture, and the other half is judged. Raises `ValueError` when no document has words for both.
        """
        check_is_fitted(self)
        given, judged = _halves(self._counts(X))
        usable = np.flatnonzero((given.getnnz(axis=1) > 0) & (judged.getnnz(axis=1) > 0))
        if not len(usable):
            raise ValueError("no document of X has two words, which a score needs")
        mixtures = self.transform(given[usable])
        return _log_likelihood(judged[usable], mixtures, self.components_)

    def perplexity(self, X: Any) -> float:
        """exp(-score): as uncertain as a choice between so many words."""
        return math.exp(-self.score(X))

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _check_parameters(self) -> None:
        for name in ("num_topics", "max_restarts", "max_iterations"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}")
        for name in ("alpha0", "tol", "topic_word_prior"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0; got {getattr(self, name)}")
        if self.polish < 0:
            raise ValueError(f"polish must not be negative; got {self.polish}")

    def _counts(self, X: Any, reset: bool = False) -> csr_matrix:
        X = validate_data(self, X, accept_sparse="csr", dtype=np.float32, reset=reset)
        counts = csr_matrix(X, copy=False)
        if counts.nnz and counts.data.min() < 0:
            raise ValueError("Negative values in data passed to LDA: X holds counts of words, which are not negative")
        return counts

    def _topics(self) -> Topics:
        return Topics(np.array(self.components_.T, order="C"), np.array(self.alpha_))  # copies: what joblib maps is read-only

    def _spectral(self, counts: csr_matrix) -> Topics:
        """A quarter more topics than asked for, or as many as the moments show; all of the same alpha."""
        wanted = math.ceil(self.num_topics * MORE_TOPICS)
        moments = whitened(counts, wanted, self.alpha0, self.seed)
        _, vectors = decompose(
            moments.third, starts=self.max_restarts, iterations=self.max_iterations, tolerance=self.tol, seed=self.seed
        )
        words = _distributions(moments.unwhiten @ vectors)
        if moments.rank < self.num_topics:
            warnings.warn(
                f"the moments of X show {moments.rank} topics where num_topics is {self.num_topics}; the others start from "
                "the mean distribution of words. Set num_topics lower, or give more documents",
                stacklevel=3,
            )
            words = np.concatenate([words, self._invented(counts, self.num_topics - moments.rank)], axis=1)
        alpha = np.full(words.shape[1], self.alpha0 / words.shape[1], np.float32)
        return Topics(np.ascontiguousarray(words, np.float32), alpha)

    def _invented(self, counts: csr_matrix, missing: int) -> np.ndarray:
        """(words, missing) topics that the moments do not show: the mean distribution, disturbed."""
        mean = np.asarray(counts.sum(axis=0), np.float64).ravel()
        return _distributions(mean[:, None] * np.random.default_rng(self.seed).gamma(1.0, size=(len(mean), missing)))

    def _chosen(self, counts: csr_matrix, topics: Topics) -> Topics:
        """The `num_topics` topics of largest alpha, polished."""
        polish = Polish(counts, topics, self.topic_word_prior)
        for number in range(self.polish):
            if number == _POOL_SWEEPS:
                polish.keep(self.num_topics)
            polish.step()
        polish.keep(self.num_topics)
        return polish.topics


def _distributions(columns: np.ndarray) -> np.ndarray:
    """Columns (words, n) made distributions: nothing below a thousandth of the even share, so that no word is impossible."""
    positive = np.maximum(columns, 0)
    sums = positive.sum(axis=0)
    shares = positive / np.where(sums > 0, sums, 1) + _LEAST_SHARE / len(columns)
    return shares / shares.sum(axis=0)


def _halves(counts: csr_matrix) -> tuple[csr_matrix, csr_matrix]:
    """Each occurrence of a word goes to one of two halves by a coin; fractions of an occurrence go to both."""
    whole = np.floor(counts.data)
    drawn = np.random.default_rng(0).binomial(whole.astype(np.int64), 0.5) + (counts.data - whole) / 2
    first, second = counts.copy(), counts.copy()
    first.data, second.data = drawn.astype(np.float32), (counts.data - drawn).astype(np.float32)
    first.eliminate_zeros()
    second.eliminate_zeros()
    return first, second


def _log_likelihood(counts: csr_matrix, mixtures: np.ndarray, topics: np.ndarray) -> float:
    """Mean over words of ln sum_k mixture_dk topic_kw."""
    total = 0.0
    for start in range(0, counts.shape[0], _BLOCK):
        rows = slice(start, start + _BLOCK)
        block = counts[rows].tocoo()
        total += float(block.data @ np.log((mixtures[rows] @ topics)[block.row, block.col]))
    return total / float(counts.sum(dtype=np.float64))
