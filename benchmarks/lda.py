"""LDA: topics planted in synthetic documents, against tomotopy's Gibbs sampler and scikit-learn's variational Bayes.

    python -m benchmarks.lda [--repeats 3] [--data DIR]

5,000 words, 20 topics, 4,500 documents of about 120 words to learn from and 500 to judge by. `error` is the total variation
between true topics and those matched to them, the mean; `perplexity` is that of the odd words of held-out documents whose even
words gave the mixture, computed from the topics alone, alike for all. With --data, also documents of DIR/nips_bow.
"""

from __future__ import annotations

import argparse
import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from benchmarks.compare import compare
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix
from scipy.spatial.distance import cdist
from sklearn.decomposition import LatentDirichletAllocation
from threadpoolctl import threadpool_limits

from clary.algorithms import LDA
from clary.formats import records

WORDS, TOPICS, DOCUMENTS, TRAINING = 5000, 20, 5000, 4500
ALPHA, ETA = 0.1, 0.02
SEEDS = 5


@dataclass
class Corpus:
    """topics : (TOPICS, WORDS), the truth. documents : arrays of words, in the order they were drawn."""

    topics: np.ndarray
    documents: list[np.ndarray]

    @classmethod
    def made_up(cls, seed: int = 0) -> Corpus:
        rng = np.random.default_rng(seed)
        topics = rng.dirichlet(np.full(WORDS, ETA), TOPICS)
        bounds = topics.cumsum(axis=1)
        bounds[:, -1] = 1
        documents = []
        for _ in range(DOCUMENTS):
            drawn = rng.choice(TOPICS, rng.poisson(100) + 20, p=rng.dirichlet(np.full(TOPICS, ALPHA)))
            spots = rng.random(len(drawn))
            documents.append(np.array([np.searchsorted(bounds[topic], spot) for topic, spot in zip(drawn, spots, strict=True)]))
        return cls(topics, documents)

    @property
    def counts(self) -> csr_matrix:
        training = self.documents[:TRAINING]
        starts = np.cumsum([0, *map(len, training)])
        counts = csr_matrix((np.ones(starts[-1], np.float32), np.concatenate(training), starts), (TRAINING, WORDS))
        counts.sum_duplicates()
        return counts

    def quality(self, topics: np.ndarray) -> Mapping[str, float]:
        found = topics / topics.sum(axis=1, keepdims=True) + 1e-12
        found /= found.sum(axis=1, keepdims=True)
        apart = cdist(self.topics, found, "cityblock") / 2
        rows, columns = linear_sum_assignment(apart)
        return {"error": float(apart[rows, columns].mean()), "perplexity": self._perplexity(found)}

    def _perplexity(self, topics: np.ndarray) -> float:
        likelihood, words = 0.0, 0
        for document in self.documents[TRAINING:]:
            given, judged = topics[:, document[::2]], topics[:, document[1::2]]
            mixture = np.full(len(topics), 1 / len(topics))
            for _ in range(50):
                share = mixture[:, None] * given
                mixture = (share / share.sum(axis=0)).sum(axis=1) + ALPHA
                mixture /= mixture.sum()
            likelihood += float(np.log(mixture @ judged).sum())
            words += judged.shape[1]
        return float(np.exp(-likelihood / words))


def main() -> None:
    options = _options()
    with threadpool_limits(1):
        _synthetic(options.repeats)
        _seeds()
        if options.data:
            _nips(options.data / "nips_bow" / "nips-train_1.pbr.gz", options.repeats)


def _synthetic(repeats: int) -> None:
    corpus = Corpus.made_up()
    counts = corpus.counts
    compare(
        f"{TRAINING:,} documents, {int(counts.sum()):,} words, {TOPICS} topics",
        {
            "clary": lambda: _ours(counts).components_,
            "clary, spectral only": lambda: _ours(counts, polish=0).components_,
            "tomotopy, 200 sweeps": _tomotopy(corpus.documents[:TRAINING]),
            "scikit-learn, 10 passes": lambda: _variational(counts),
            "truth": lambda: corpus.topics,
        },
        corpus.quality,
        repeats=repeats,
    )


def _seeds() -> None:
    """Other documents, and other seeds of ours on the same documents."""
    first = Corpus.made_up()
    for seed in range(SEEDS):
        corpus = Corpus.made_up(seed)
        quality = corpus.quality(_ours(corpus.counts).components_)
        again = first.quality(LDA(TOPICS, alpha0=ALPHA * TOPICS, seed=seed).fit(first.counts).components_)
        print(
            f"documents {seed}: error {quality['error']:.4f}, perplexity {quality['perplexity']:.1f} "
            f"(the truth's: {corpus.quality(corpus.topics)['perplexity']:.1f}); "
            f"documents 0 with seed {seed}: error {again['error']:.4f}, perplexity {again['perplexity']:.1f}"
        )


def _nips(path: Path, repeats: int) -> None:
    """Perplexity of the last 50 documents, whose halves complete each other, by each one's topics."""
    if not path.exists():
        print(f"{path} is not there: real documents are skipped")
        return
    counts = csr_matrix(records.parse(gzip.decompress(path.read_bytes())).features)
    train, test = counts[:-50], counts[-50:]

    def judged(topics: np.ndarray) -> Mapping[str, float]:
        model = LDA(TOPICS)
        model.components_ = np.ascontiguousarray(topics / topics.sum(axis=1, keepdims=True), np.float32)
        model.alpha_ = np.full(TOPICS, 1 / TOPICS, np.float32)
        model.n_features_in_ = topics.shape[1]
        return {"perplexity": model.perplexity(test)}

    documents = [np.repeat(row.indices, row.data.astype(int)) for row in train]
    compare(
        f"NIPS: {train.shape[0]} papers, {int(train.sum()):,} words of {train.shape[1]:,}, {TOPICS} topics",
        {
            "clary": lambda: LDA(TOPICS).fit(train).components_,
            "tomotopy, 200 sweeps": _tomotopy(documents, train.shape[1], 1 / TOPICS),
            "scikit-learn, 10 passes": lambda: _variational(train, 1 / TOPICS) + 1e-9,
        },
        judged,
        repeats=repeats,
    )


def _ours(counts: csr_matrix, **options: int) -> LDA:
    return LDA(TOPICS, alpha0=ALPHA * TOPICS, **options).fit(counts)


def _tomotopy(documents: list[np.ndarray], words: int = WORDS, alpha: float = ALPHA) -> Callable[[], np.ndarray]:
    import tomotopy

    def run() -> np.ndarray:
        model = tomotopy.LDAModel(k=TOPICS, alpha=alpha, eta=ETA, seed=0)
        for document in documents:
            model.add_doc([str(word) for word in document])
        model.optim_interval = 0
        model.train(200, workers=1)
        found = np.full((TOPICS, words), 1e-9)
        known = [int(word) for word in model.used_vocabs]
        for topic in range(TOPICS):
            found[topic, known] = model.get_topic_word_dist(topic)
        return found

    return run


def _variational(counts: csr_matrix, alpha: float = ALPHA) -> np.ndarray:
    model = LatentDirichletAllocation(
        TOPICS, doc_topic_prior=alpha, topic_word_prior=ETA, learning_method="batch", max_iter=10, random_state=0
    )
    return model.fit(counts).components_


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="a folder that holds nips_bow")
    parser.add_argument("--repeats", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
