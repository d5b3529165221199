"""LDA as a hosted job: topics found, artifact, answers in every content type, and what it says about mistakes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix
from tests.algorithms.hosted.jobs import lay_out

from clary.algorithms.hosted.errors import CustomerError
from clary.algorithms.hosted.lda import load, train
from clary.catalog.builtin.lda import ALGORITHM
from clary.core.inference import InferenceRequest
from clary.formats import csv, ndarray_list, records

TOPICS, WORDS = 4, 16
RECORDS = "application/x-recordio-protobuf"


@pytest.fixture(scope="module")
def corpus():
    """Topics (4, 16) that share no word, and (600, 16) counts of documents that mix them."""
    rng = np.random.default_rng(0)
    topics = np.kron(np.eye(TOPICS), np.full(4, 0.25))
    mixtures = rng.dirichlet(np.full(TOPICS, 0.2), 600)
    return topics, np.array([rng.multinomial(60, mixture @ topics) for mixture in mixtures]).astype(np.float32)


def job(path, counts, hyperparameters=None, *, content_type: str | None = RECORDS, mode="File", tested=True) -> Path:
    given = {"num_topics": str(TOPICS), "feature_dim": str(WORDS), "mini_batch_size": str(len(counts)), "alpha0": "0.8"}
    given |= hyperparameters or {}
    body = csv.format_rows(counts) if content_type and "csv" in content_type else records.write(csr_matrix(counts))
    channels = {"train": {"a": body}} | ({"test": {"b": body}} if tested else {})
    given = {name: value for name, value in given.items() if value is not None}
    return lay_out(path, given, channels, content_type=content_type, mode=mode)


def arrays_of(opt_ml: Path) -> list[np.ndarray]:
    return ndarray_list.read((opt_ml / "model" / "model_algo-1").read_bytes())


def ask(model, body, content_type="application/json", accept=""):
    return model.invoke([InferenceRequest(body, content_type, accept)])[0]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, corpus):
    opt_ml = job(tmp_path_factory.mktemp("lda"), corpus[1])
    train(opt_ml)
    return opt_ml


def test_the_topics_and_the_log(tmp_path, corpus, capfd):
    topics, counts = corpus
    train(job(tmp_path, counts))
    printed = capfd.readouterr().out
    assert "Running LDA for 5 topics (4 requested)" in printed
    (likelihood,) = re.findall(next(metric.regex for metric in ALGORITHM.metrics if metric.name == "test:pwll"), printed)
    assert np.log(1 / WORDS) < float(likelihood) < np.log(1 / 4)  # better than all words alike; a topic has four
    alpha, beta = arrays_of(tmp_path)
    assert alpha.sum() == pytest.approx(0.8, abs=1e-5)
    np.testing.assert_allclose(beta.sum(axis=1), 1, atol=1e-5)
    apart = np.abs(topics[:, None] - beta).sum(axis=2) / 2
    assert apart[linear_sum_assignment(apart)].mean() < 0.02


@pytest.mark.parametrize("content_type", ["text/csv;label_size=0", "application/x-recordio-protobuf", None])
def test_every_content_type_gives_the_same_topics(tmp_path, corpus, trained, content_type):
    train(job(tmp_path, corpus[1], content_type=content_type, tested=False))
    for ours, theirs in zip(arrays_of(tmp_path), arrays_of(trained), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_every_form_of_a_document_is_answered_alike(corpus, trained):
    model = load(trained / "model", {})
    document = corpus[1][:1]
    keys = np.flatnonzero(document[0])
    sparse = {"data": {"features": {"keys": keys.tolist(), "shape": [WORDS], "values": document[0, keys].tolist()}}}
    dense = {"features": document[0].tolist()}
    reply = ask(model, json.dumps({"instances": [dense]}).encode())
    (answer,) = json.loads(reply.body)["predictions"]
    assert reply.content_type == "application/json"
    assert list(answer) == ["topic_mixture"]
    assert sum(answer["topic_mixture"]) == pytest.approx(1, abs=1e-5)
    shares = csr_matrix(document) @ np.kron(np.eye(TOPICS), np.ones((4, 1))) / document.sum()
    np.testing.assert_allclose(np.sort(answer["topic_mixture"]), np.sort(shares[0]), atol=0.05)
    for body, content_type in (
        (json.dumps({"instances": [sparse]}).encode(), "application/json"),
        (csv.format_rows(document), "text/csv"),
    ):
        np.testing.assert_allclose(
            json.loads(ask(model, body, content_type).body)["predictions"][0]["topic_mixture"],
            answer["topic_mixture"],
            atol=1e-5,
        )
    assert json.loads(ask(model, json.dumps(dense).encode(), "application/jsonlines").body) == answer
    assert b"topic_mixture" in ask(model, records.write(document), RECORDS).body


def test_an_edited_artifact_is_served(tmp_path, corpus, trained):
    alpha, beta = arrays_of(trained)
    edited = [alpha[::-1], beta[::-1] * 7]
    (tmp_path / "model_algo-1").write_bytes(ndarray_list.write(edited))
    body = csv.format_rows(corpus[1][:3])
    ours, theirs = (json.loads(ask(load(path, {}), body, "text/csv").body) for path in (tmp_path, trained / "model"))
    for mine, other in zip(ours["predictions"], theirs["predictions"], strict=True):
        np.testing.assert_allclose(mine["topic_mixture"], other["topic_mixture"][::-1], atol=1e-4)


@pytest.mark.parametrize("arrays", [[np.ones(3)], [np.ones(3), np.ones((2, 5))], [np.zeros(2), np.ones((2, 5))]])
def test_an_artifact_of_other_arrays_is_refused(tmp_path, arrays):
    (tmp_path / "model_algo-1").write_bytes(ndarray_list.write(arrays))
    with pytest.raises(ValueError, match="alpha"):
        load(tmp_path, {})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"num_topics": None}, "u'num_topics' is a required property"),
        ({"mini_batch_size": None}, "u'mini_batch_size' is a required property"),
        ({"alpha0": "0"}, "alpha0"),
        ({"topics": "3"}, r"Additional properties are not allowed \(u'topics' was unexpected\)"),
        ({"feature_dim": "15"}, "rows of 16 features where feature_dim is 15"),
    ],
)
def test_mistakes_are_named(tmp_path, corpus, given, words):
    with pytest.raises(CustomerError, match=words):
        train(job(tmp_path, corpus[1], given))


def test_counts_below_zero_are_named_by_document_and_word(tmp_path, corpus):
    counts = corpus[1].copy()
    counts[4, 7] = -3
    with pytest.raises(CustomerError, match="Channel train, document 5: word 7 has a count of -3"):
        train(job(tmp_path, counts))


def test_documents_without_words_are_refused(tmp_path, corpus):
    with pytest.raises(CustomerError, match="every count is zero"):
        train(job(tmp_path, np.zeros_like(corpus[1])))


def test_two_hosts_are_refused(tmp_path, corpus):
    opt_ml = job(tmp_path, corpus[1])
    (opt_ml / "input/config/resourceconfig.json").write_text(
        json.dumps({"current_host": "algo-1", "hosts": ["algo-1", "algo-2"]})
    )
    with pytest.raises(CustomerError, match="lda trains on one host; set InstanceCount to 1"):
        train(opt_ml)


def test_csv_in_pipe_mode_is_refused(tmp_path, corpus):
    with pytest.raises(CustomerError, match="use File mode for CSV"):
        train(job(tmp_path, corpus[1], content_type="text/csv", mode="Pipe"))


def test_what_is_odd_is_said_in_the_log(tmp_path, corpus, capfd):
    train(job(tmp_path, corpus[1], {"mini_batch_size": "10", "alpha0": "1", "epochs": "1"}, tested=False))
    printed = capfd.readouterr().out
    assert "has 600 documents where mini_batch_size is 10" in printed
    assert "alpha0 is 1" in printed
    assert "epochs has no effect" in printed
