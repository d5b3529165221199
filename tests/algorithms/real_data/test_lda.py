"""LDA on papers of NIPS, beside tomotopy's Gibbs sampler. Skipped where the data are not."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np
import pytest
from tests.algorithms.hosted.jobs import lay_out

from clary.algorithms import LDA
from clary.algorithms.hosted.lda import train
from clary.formats import records

PAPERS = Path(__file__).parents[4] / "shared" / "data" / "nips_bow" / "nips-train_1.pbr.gz"
TOPICS = 20

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not PAPERS.exists(), reason=f"{PAPERS} is not there")]


@pytest.fixture(scope="module")
def papers():
    return records.parse(gzip.decompress(PAPERS.read_bytes())).features.tocsr()


def test_held_out_papers_are_no_more_perplexing_than_to_a_gibbs_sampler(papers):
    tomotopy = pytest.importorskip("tomotopy")
    learned, judged = papers[:-50], papers[-50:]
    ours = LDA(TOPICS).fit(learned)
    sampler = tomotopy.LDAModel(k=TOPICS, alpha=1 / TOPICS, eta=0.02, seed=0)
    for paper in learned:
        sampler.add_doc([str(word) for word in np.repeat(paper.indices, paper.data.astype(int))])
    sampler.optim_interval = 0
    sampler.train(200, workers=1)
    topics = np.full((TOPICS, papers.shape[1]), 1e-9)
    for topic in range(TOPICS):
        topics[topic, [int(word) for word in sampler.used_vocabs]] = sampler.get_topic_word_dist(topic)
    theirs = LDA(TOPICS)
    theirs.components_ = (topics / topics.sum(axis=1, keepdims=True)).astype(np.float32)
    theirs.alpha_ = np.full(TOPICS, 1 / TOPICS, np.float32)
    theirs.n_features_in_ = papers.shape[1]
    assert ours.perplexity(judged) < 1.02 * theirs.perplexity(judged)


def test_a_job_reports_the_likelihood_of_held_out_papers(tmp_path, papers, capfd):
    columns = papers.shape[1]
    channels = {"train": {"a": records.write(papers[:-50])}, "test": {"b": records.write(papers[-50:])}}
    given = {"num_topics": str(TOPICS), "feature_dim": str(columns), "mini_batch_size": str(papers.shape[0] - 50)}
    train(lay_out(tmp_path, given, channels, content_type=None))
    (likelihood,) = re.findall(r"test pwll <score>=(\S+)", capfd.readouterr().out)
    counts = np.asarray(papers[:-50].sum(axis=0)).ravel() + 0.02
    unigrams = float(np.asarray(papers[-50:] @ np.log(counts / counts.sum())).sum() / papers[-50:].sum())
    assert float(likelihood) > unigrams + 0.1
