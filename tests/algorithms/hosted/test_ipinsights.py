"""IP Insights as a job and an endpoint: log lines, answers in all formats, several hosts, mistakes."""

from __future__ import annotations

import json
import re
import socket
import threading

import numpy as np
import orjson
import pytest
from tests.algorithms.hosted.jobs import lay_out

from clary.algorithms import IPInsights
from clary.algorithms.embeddings import events
from clary.algorithms.embeddings.network import Network
from clary.algorithms.hosted.cluster import Cluster
from clary.algorithms.hosted.errors import CustomerError
from clary.algorithms.hosted.ipinsights import load, train
from clary.algorithms.hosted.ipinsights.channel import EventChannel
from clary.algorithms.hosted.ipinsights.training import _training
from clary.algorithms.hosted.job import TrainingJob
from clary.catalog.builtin.ipinsights import ALGORITHM
from clary.core.inference import InferenceRequest

GIVEN = {"num_entity_vectors": "100", "vector_dim": "8", "epochs": "4", "mini_batch_size": "200", "learning_rate": "0.05"}


def logins(number, seed=0):
    """CSV lines: each of 30 users has a /24 of their own."""
    rng = np.random.default_rng(seed)
    users, hosts = rng.integers(0, 30, number), rng.integers(0, 256, number)
    lines = (f"user_{u},10.{u % 5}.{u}.{h}\n" for u, h in zip(users, hosts, strict=True))
    return "".join(lines).encode()


def job(tmp_path, hyperparameters=None, channels=None, **options):
    given = {name: value for name, value in (GIVEN | (hyperparameters or {})).items() if value is not None}
    channels = channels or {"train": {"a.csv": logins(1500), "b.csv": logins(500, 1)}, "validation": {"v.csv": logins(300, 2)}}
    return lay_out(tmp_path, given, channels, **options)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    opt_ml = job(tmp_path_factory.mktemp("job"))
    train(opt_ml)
    return opt_ml / "model"


def ask(model, body, content_type="text/csv", accept=""):
    (response,) = model.invoke([InferenceRequest(body, content_type, accept)])
    return response


def test_metric_lines_are_those_of_the_declaration(tmp_path, capfd):
    train(job(tmp_path, {"batch_metrics_publish_interval": "5"}))
    log = capfd.readouterr().out
    found = {metric.name: re.findall(metric.regex, log) for metric in ALGORITHM.metrics}
    assert {name: len(values) for name, values in found.items()} == dict.fromkeys(found, 4)
    assert float(found["validation:discriminator_auc"][-1]) > 0.99
    losses = [float(value) for value in found["train:binary_classification_cross_entropy"]]
    assert losses[-1] < losses[0]
    assert len(re.findall(r"epoch=0, batch=(?:5|10) train binary_classification_accuracy <score>=", log)) == 2
    assert '"Algorithm": "ipinsights"' in log


def test_the_model_is_the_estimator_s_file(trained):
    model = IPInsights.load(trained / "model_algo-1")
    assert model.score_samples([["user_7", "10.2.7.9"]])[0] > 0 > model.score_samples([["user_7", "203.0.113.9"]])[0]


def test_answers_in_every_format(trained):
    model, estimator = load(trained, {}), IPInsights.load(trained / "model_algo-1")
    events = [["user_7", "10.2.7.9"], ["user_8", "203.0.113.9"]]
    scores = estimator.score_samples(events).tolist()
    plain = [{"dot_product": score} for score in scores]
    vectors = zip(
        scores,
        estimator.entity_vectors([e for e, _ in events]).tolist(),
        estimator.ip_vectors([a for _, a in events]).tolist(),
        strict=True,
    )
    verbose = [{"dot_product": s, "entity_embedding": e, "ip_embedding": a} for s, e, a in vectors]
    body = b"user_7, 10.2.7.9\nuser_8,203.0.113.9"
    answer = ask(model, body)
    assert answer.content_type == "application/json"
    assert answer.body == orjson.dumps({"predictions": plain})
    for accept in ("application/json;verbose=True", "application/json; verbose=true"):
        assert ask(model, body, accept=accept).body == orjson.dumps({"predictions": verbose})
    as_json = {"instances": [{"features": events[0]}, {"data": {"features": {"values": events[1]}}}]}
    assert ask(model, orjson.dumps(as_json), "application/json").body == orjson.dumps({"predictions": plain})
    lines = b"\n".join(orjson.dumps(instance) for instance in as_json["instances"])
    expected = b"".join(orjson.dumps(one) + b"\n" for one in verbose)
    assert ask(model, lines, "application/jsonlines", "application/jsonlines;verbose=true").body == expected
    assert ask(model, body, accept="text/csv").body == "".join(f"{score}\n" for score in scores).encode()


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "status", "words"),
    [
        (b"user_7", "text/csv", "", 400, b"'user_7' is no event"),
        (b"", "text/csv", "", 400, b"no events"),
        (b"user_7,10.0.0.300", "text/csv", "", 400, b"row 1"),
        (b"{}", "application/json", "", 400, b"instances"),
        (b'{"instances": [{"features": ["u"]}]}', "application/json", "", 400, b"instance 1 is no event"),
        (b'{"instances": [{"features": ["u", 7]}]}', "application/json", "", 400, b"'7' is no IPv4 address"),
        (b'{"instances": ', "application/json", "", 400, b"unable to evaluate"),
        (b"a,10.0.0.1", "application/x-recordio-protobuf", "", 415, b"not supported"),
        (b"a,10.0.0.1", "text/csv", "image/png", 406, b"not supported"),
    ],
)
def test_bad_requests_are_refused_and_their_neighbours_answered(trained, body, content_type, accept, status, words):
    good = InferenceRequest(b"user_7,10.2.7.9", "text/csv")
    responses = load(trained, {}).invoke([good, InferenceRequest(body, content_type, accept), good])
    assert [response.status for response in responses] == [200, status, 200]
    assert words in responses[1].body
    assert responses[0].body == responses[2].body


def test_an_archive_without_a_model_is_named(tmp_path):
    with pytest.raises(ValueError, match="model_algo-1"):
        load(tmp_path, {})


@pytest.mark.parametrize(
    ("hyperparameters", "words"),
    [
        ({"vector_dim": None}, "'vector_dim' is a required property"),
        ({"vector_dim": "3"}, "hyperparameter vector_dim"),
        ({"random_negative_sampling_rate": "0", "shuffled_negative_sampling_rate": "0"}, "between 1 and 500"),
        ({"random_negative_sampling_rate": "400", "shuffled_negative_sampling_rate": "101"}, "are 501 together"),
        ({"num_entity_vectors": "250000000", "vector_dim": "128"}, "8 GB at most"),
        ({"layers": "1"}, "Additional properties are not allowed"),
    ],
)
def test_hyperparameters_that_do_not_fit_are_named(tmp_path, hyperparameters, words):
    with pytest.raises(CustomerError, match=words):
        train(job(tmp_path, hyperparameters))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"a,10.0.0.1\nb,10.0.0\n", r"channel 'train': a.csv, row 2: 'b,10.0.0' is no event"),
        (b"entity,ip\na,10.0.0.1\n", "a.csv, row 1"),
        (b"\n\n", "No data in train channel"),
    ],
)
def test_bad_rows_are_named(tmp_path, data, words):
    with pytest.raises(CustomerError, match=words):
        train(job(tmp_path, channels={"train": {"a.csv": data}}))


@pytest.mark.parametrize(
    ("options", "words"),
    [({"content_type": "application/x-recordio-protobuf"}, "use text/csv"), ({"mode": "Pipe"}, "File or FastFile")],
)
def test_channels_of_another_kind_are_refused(tmp_path, options, words):
    with pytest.raises(CustomerError, match=words):
        train(job(tmp_path, **options))


def test_a_channel_is_read_in_blocks_and_kept_when_it_is_one(tmp_path):
    opt_ml = job(tmp_path)
    small = EventChannel(TrainingJob.read(opt_ml, "1"), "train", block_events=600)
    assert [[len(block) for block in small.blocks()] for _ in range(2)] == [[1500, 500]] * 2
    whole = EventChannel(TrainingJob.read(opt_ml, "1"), "train")
    first = next(whole.blocks())
    (opt_ml / "input/data/train/a.csv").unlink()
    np.testing.assert_array_equal(next(whole.blocks()).addresses, first.addresses)


def test_two_hosts_end_with_one_model():
    """Each learns of the other's users, though one has three times as many events."""
    links = socket.socketpair()
    clusters = [Cluster(0, ("algo-1", "algo-2"), {1: links[0]}), Cluster(1, ("algo-1", "algo-2"), {0: links[1]})]
    values = ALGORITHM.hyperparameters.parse(GIVEN | {"epochs": "10"}, (1,))
    trained = [Network(100, 8, 1, np.random.default_rng(0)) for _ in range(2)]
    seen = [0, 0]

    def host(rank):
        trained[rank].draw_from(np.random.default_rng(rank))
        lines = f"user_{rank},192.{rank}.2.9\nboth,10.0.0.1\n" * (300 if rank else 100)
        training = _training(trained[rank], values, clusters[rank])
        for epoch in range(values["epochs"]):
            seen[rank] += sum(progress.events for progress in training.epoch(epoch, [events.parse(lines.encode(), "f")]))

    other = threading.Thread(target=host, args=(1,))
    other.start()
    host(0)
    other.join()
    assert seen == [2000, 6000]
    weights = [network.weights() for network in trained]
    np.testing.assert_array_equal(weights[0].entities, weights[1].entities)
    for network in trained:
        model = IPInsights.of_network(network, num_entity_vectors=100, vector_dim=8)
        assert (model.score_samples([["user_0", "192.0.2.9"], ["user_1", "192.1.2.9"]]) > 0).all()


def test_settings_are_json(trained):
    assert json.loads(orjson.dumps(load(trained, {}).execution_parameters()))["BatchStrategy"] == "MULTI_RECORD"
