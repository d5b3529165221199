"""IP Insights: the network against its plain NumPy form and numeric gradients, events as text, what is learned."""

from __future__ import annotations

import ipaddress

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from sklearn.utils.estimator_checks import check_estimator

from clary.algorithms import IPInsights, checks
from clary.algorithms.embeddings import events, kernels
from clary.algorithms.embeddings import network as networks
from clary.algorithms.embeddings.known_networks import START_16, START_24, KnownNetworks
from clary.algorithms.embeddings.network import Network
from clary.algorithms.embeddings.training import Settings, Training, discriminator_auc
from clary.formats.errors import FormatError

SMALL = IPInsights(64, 8, epochs=3, learning_rate=0.02, batch_size=200)


def logins(number, seed=0, users=30):
    """(number, 2) text: each user has a /24 of their own, one of five /16."""
    rng = np.random.default_rng(seed)
    user = rng.integers(0, users, number)
    host = rng.integers(0, 256, number)
    return [[f"user_{u}", f"10.{u % 5}.{u}.{h}"] for u, h in zip(user, host, strict=True)]


@pytest.fixture(scope="module")
def data():
    return np.array(logins(1000), dtype=object), np.zeros(1000)


# --- the contract


@pytest.mark.filterwarnings("ignore")
def test_scikit_learn_s_checks_pass():
    check_estimator(IPInsights())  # of rows of text it checks little


CONTRACT = [check for check in checks.ALL if check is not checks.wrong_shapes_are_named]


@pytest.mark.parametrize("layers", [0, 2])
@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
def test_our_contract_is_kept(check, layers, data):
    check(SMALL.clone().set_params(num_ip_encoder_layers=layers), *data)


def test_wrong_shapes_are_named(data):
    with pytest.raises(ValueError, match="got shape"):
        SMALL.clone().fit(data[0][:, :1])
    with pytest.raises(ValueError, match="1D array"):
        SMALL.clone().fit(data[0][:, 0])


def test_names_of_columns_are_remembered():
    frame = pd.DataFrame(logins(300), columns=["user", "ip"])
    model = SMALL.clone().fit(frame)
    assert model.feature_names_in_.tolist() == ["user", "ip"]
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame.rename(columns={"ip": "address"}))


# --- the network


def plain_loss(entities, prefixes, layers, ids, rows, random, shifts):
    """Sum over events of the mean logistic loss of their pairs, in float64: what a step descends."""
    hidden = np.where(rows[:, :, None] >= 0, prefixes[rows], 0).sum(axis=1)
    for layer in layers:
        hidden = hidden + np.maximum(hidden @ layer[:-1] + layer[-1], 0)
    n = len(ids)
    others = [hidden[k * n : (k + 1) * n] for k in range(1, random + 1)]
    others += [np.roll(hidden[:n], -shift, axis=0) for shift in shifts]
    users = entities[ids]
    losses = [np.logaddexp(0, -(users * hidden[:n]).sum(1))]
    losses += [np.logaddexp(0, (users * other).sum(1)) for other in others]
    return float(np.sum(losses) / len(losses)), float(np.sum(losses))


def numeric_gradient(loss, values, step=1e-5):
    gradient = np.empty_like(values)
    for place in np.ndindex(values.shape):
        kept = values[place]
        values[place] = kept + step
        above = loss()
        values[place] = kept - step
        gradient[place] = (above - loss()) / (2 * step)
        values[place] = kept
    return gradient


def adam(gradient, decay, values, rate):
    """The first step from zero moments: rate times the gradient's sign."""
    slope = gradient + decay * values
    return values - rate * slope / (np.abs(slope) + 1e-8)


@pytest.mark.parametrize("layers", [0, 1, 2])
def test_a_step_is_adam_along_the_numeric_gradient(layers):
    """Moments are zero before the first step, so that each weight moves by the rate, against its gradient."""
    network = Network(5, 4, layers, np.random.default_rng(0))
    ids = np.array([0, 1, 1, 3], dtype=np.int32)
    addresses = np.array([0x0A000001, 0x0A000102, 0x0B000003, 0x0A000004], dtype=np.uint32)
    network._know(addresses >> 8)
    before = network.weights()
    draws = np.random.default_rng(7)
    network.draw_from(np.random.default_rng(7))
    progress = network.step(ids, addresses, random=2, shuffled=1, rate=1e-3, decay=1e-4)
    drawn, shifts = draws.integers(0, 1 << 32, 8, dtype=np.uint32), draws.integers(1, 4, 1)
    after = network.weights()
    rows = KnownNetworks.of(before.networks).rows(np.concatenate([addresses, drawn]))
    touched = np.unique(rows[rows >= 0])
    entities, prefixes = before.entities.astype(float), before.prefixes.astype(float)
    weights = before.layers.astype(float)
    tables = {"entities": (entities, np.unique(ids)), "layers": (weights, slice(None)), "prefixes": (prefixes, touched)}
    part = prefixes[touched]

    def loss():
        prefixes[touched] = part
        return plain_loss(entities, prefixes, weights, ids, rows, 2, shifts)[0]

    assert progress.loss == pytest.approx(plain_loss(entities, prefixes, weights, ids, rows, 2, shifts)[1], rel=1e-5)
    for name, (values, moved) in tables.items():
        gradient = numeric_gradient(loss, part if name == "prefixes" else values)
        gradient = gradient if name == "prefixes" else gradient[moved]
        expected = adam(gradient, 1e-4, values[moved], 1e-3)
        clear = np.abs(gradient) > 1e-4  # elsewhere float32 decides the sign
        assert not clear.size or clear.mean() > 0.3
        np.testing.assert_allclose(getattr(after, name)[moved][clear], expected[clear], atol=2e-5)
    untouched = np.setdiff1d(np.arange(len(prefixes)), touched)
    np.testing.assert_array_equal(after.prefixes[untouched], before.prefixes[untouched])


def test_adam_is_the_published_algorithm():
    rng = np.random.default_rng(0)
    table = np.zeros((6, 3, 5), dtype=np.float32)
    table[:, 0] = rng.normal(size=(6, 5))
    values, first, second = table[:, 0].astype(float), np.zeros((6, 5)), np.zeros((6, 5))
    touched = np.array([4, 1], dtype=np.int32)
    for step in range(1, 6):
        gradient = rng.normal(size=(2, 5)).astype(np.float32)
        slope = gradient + 0.01 * values[touched]
        first[touched] = 0.9 * first[touched] + 0.1 * slope
        second[touched] = 0.999 * second[touched] + 0.001 * slope**2
        values[touched] -= 0.1 * (first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8))[touched]
        kernels.adam(table, touched, 2, gradient, 0.1, 1 / (1 - 0.9**step), 1 / (1 - 0.999**step), 0.01)
    np.testing.assert_allclose(table[:, 0], values, rtol=1e-4, atol=1e-5)


def test_networks_are_numbered_in_the_order_of_their_arrival():
    rng = np.random.default_rng(0)
    stream = rng.integers(0, 1 << 24, 20_000).astype(np.uint32)
    known = KnownNetworks()
    for start in range(0, len(stream), 3000):
        known.add(stream[start : start + 3000])
    first = stream[np.sort(np.unique(stream, return_index=True)[1])]
    assert len(known) == len(first)
    np.testing.assert_array_equal(known.networks(), first)
    addresses = (stream[:100] << np.uint32(8)) + np.uint32(9)
    rows = known.rows(addresses)
    np.testing.assert_array_equal(rows[:, 0], addresses >> 24)
    np.testing.assert_array_equal(rows[:, 1], START_16 + (addresses >> 16))
    np.testing.assert_array_equal(first[rows[:, 2] - START_24], stream[:100])
    strange = np.setdiff1d(np.arange(1000, dtype=np.uint32), stream)
    assert (known.rows(strange << np.uint32(8))[:, 2] == -1).all()


def test_an_address_of_a_strange_network_is_its_wider_prefixes(data):
    model = SMALL.clone().set_params(num_ip_encoder_layers=0).fit(data[0])
    weights = model.network_.weights()
    expected = weights.prefixes[10] + weights.prefixes[START_16 + (10 << 8) + 3]
    np.testing.assert_allclose(model.ip_vectors(["10.3.200.1"])[0], expected, rtol=1e-6)


# --- what is learned


@pytest.fixture(scope="module")
def model():
    return IPInsights(100, 16, epochs=20, learning_rate=0.05, batch_size=500, shuffled_negative_sampling_rate=3).fit(
        logins(4000)
    )


def test_strange_events_score_below_usual_ones(model):
    usual = logins(500, seed=1)
    swapped = [[name, address] for (name, _), (_, address) in zip(usual, usual[7:] + usual[:7], strict=True)]
    swapped = [pair for pair in swapped if pair[0].split("_")[1] != pair[1].split(".")[2]]
    scores, strange = model.score_samples(usual), model.score_samples(swapped)
    assert roc_auc_score([1] * len(scores) + [0] * len(strange), np.concatenate([scores, strange])) > 0.99
    assert model.discriminator_auc(usual) > 0.999
    assert (model.predict(usual) == 1).mean() > 0.95
    np.testing.assert_array_equal(model.predict(swapped), np.where(strange < 0, -1, 1))


def test_scores_are_products_of_the_vectors(model):
    pairs = logins(20, seed=2)
    users, addresses = model.entity_vectors([p[0] for p in pairs]), model.ip_vectors([p[1] for p in pairs])
    np.testing.assert_allclose(model.score_samples(pairs), (users * addresses).sum(axis=1), rtol=1e-5)


def test_the_area_under_the_curve_is_scikit_learn_s():
    rng = np.random.default_rng(0)
    real, made_up = rng.integers(0, 9, 200) + 1.0, rng.integers(0, 9, 300) + 0.0
    expected = roc_auc_score([1] * 200 + [0] * 300, np.concatenate([real, made_up]))
    assert discriminator_auc(real, made_up) == pytest.approx(expected)


def test_events_that_come_later_are_learned_too(model, tmp_path):
    model.save(tmp_path / "model")
    old = IPInsights.load(tmp_path / "model")
    newcomer = [["mallory", "172.16.5.9"]] * 500 + logins(2000, seed=5)
    assert old.score_samples(newcomer[:1])[0] < 0
    for _ in range(8):
        old.partial_fit(newcomer)
    assert old.score_samples([["mallory", "172.16.5.77"]])[0] > 0


def test_a_report_is_made_of_each_epoch():
    seen = []
    SMALL.clone().fit(logins(1000), report=lambda epoch, progress: seen.append((epoch, progress.cross_entropy)))
    assert [epoch for epoch, _ in seen] == [1, 2, 3]
    assert seen[-1][1] < seen[0][1]


def test_the_rate_falls_to_zero_over_the_epochs():
    settings = Settings(4, 10, 0.5, 0.0, 1, 1)
    training = Training(Network(5, 4, 0, np.random.default_rng(0)), 5, settings, np.random.default_rng(0))
    assert [training._rate(epoch, 30) for epoch in range(4)] == [0.5, 0.375, 0.25, 0.125]  # the length is not known yet
    training.events_per_epoch = 100
    assert training._rate(3, 50) == pytest.approx(0.0625)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"vector_dim": 0}, "vector_dim=0"),
        ({"epochs": 1.5}, "epochs=1.5"),
        ({"learning_rate": -1}, "learning_rate=-1"),
        ({"random_negative_sampling_rate": 0, "shuffled_negative_sampling_rate": 0}, "both 0"),
    ],
)
def test_parameters_that_do_not_fit_are_named(parameters, words):
    with pytest.raises(ValueError, match=words):
        SMALL.clone().set_params(**parameters).fit(logins(10))


# --- several hosts


def test_shared_steps_keep_networks_equal_and_know_the_networks_of_both():
    trained = [Network(64, 8, 1, np.random.default_rng(0)) for _ in range(2)]
    events_of_hosts = ([[1, 2, 1], [0x0A000001, 0x0A000102, 0x0B000003]], [[3, 1], [0xC0000207, 0x0A000001]])
    for host, network in enumerate(trained):
        network.draw_from(np.random.default_rng(host))
    for _ in range(5):
        parts = []
        for network, (ids, addresses) in zip(trained, events_of_hosts, strict=True):
            batch = np.array(ids, dtype=np.int32), np.array(addresses, dtype=np.uint32)
            parts.append(network.portable(network.gradients(*batch, random=1, shuffled=1)[0]))
        total = networks.sum_portable(parts)
        for network in trained:
            network.apply(network.adopted(total), 0.1, 1e-3)
    first, second = (network.weights() for network in trained)
    assert set(first.networks) == set(second.networks) == {0x0A0000, 0x0A0001, 0x0B0000, 0xC00002}
    np.testing.assert_array_equal(first.entities, second.entities)
    np.testing.assert_array_equal(first.layers, second.layers)
    addresses = np.array([0x0A000001, 0x0B000009, 0xC0000200, 0x01020304], dtype=np.uint32)
    np.testing.assert_array_equal(trained[0].address_vectors(addresses), trained[1].address_vectors(addresses))


def test_a_sum_of_gradients_is_that_of_the_whole_batch():
    """Without negatives of chance: each event of the batch of two is shuffled with the other."""
    network = Network(8, 4, 2, np.random.default_rng(0))
    ids, addresses = np.array([1, 2], dtype=np.int32), np.array([0x0A000001, 0x0B000003], dtype=np.uint32)
    whole = network.portable(network.gradients(ids, addresses, random=0, shuffled=1)[0])
    total = networks.sum_portable([whole, whole])
    for rows, values in (("entity_rows", "entities"), ("prefix_rows", "prefixes")):
        order = np.argsort(whole[rows])
        np.testing.assert_array_equal(total[rows], whole[rows][order])
        np.testing.assert_allclose(total[values], 2 * whole[values][order], rtol=1e-6)
    np.testing.assert_allclose(total["layers"], 2 * whole["layers"], rtol=1e-6)


# --- events as text


@given(st.integers(0, 2**32 - 1))
def test_addresses_are_read(number):
    text = str(ipaddress.IPv4Address(number))
    assert events.addresses_of([text, f" {text}\t"]).tolist() == [number, number]


@given(st.text(alphabet="0123456789. x", max_size=16))
def test_what_is_no_address_is_refused(text):
    try:
        expected = int(ipaddress.IPv4Address(text.strip(" ")))
    except ipaddress.AddressValueError:
        with pytest.raises(ValueError, match="no IPv4 address"):
            events.addresses_of(["10.0.0.1", text])
    else:
        assert events.addresses_of([text]).tolist() == [expected]


def test_hashes_are_fnv():
    value = 0xCBF29CE484222325
    for byte in "zoë".encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    assert events.hashes_of(["zoë", " zoë "]).tolist() == [value ^ (value >> 32)] * 2


def test_buckets_are_even():
    ids = events.buckets(events.hashes_of([f"user_{n}" for n in range(20_000)]), 100)
    assert np.bincount(ids, minlength=100).std() < 20  # Poisson: 14


def test_lines_are_events():
    found = events.parse(b"ann,10.0.0.1\r\n\n bob , 10.0.0.2 \nann,1.2.3.4", "f")
    np.testing.assert_array_equal(found.addresses, [0x0A000001, 0x0A000002, 0x01020304])
    np.testing.assert_array_equal(found.hashes, events.hashes_of(["ann", "bob", "ann"]))
    quoted = events.parse(b'"a,b",10.0.0.1\nann,10.0.0.2\n', "f")
    np.testing.assert_array_equal(quoted.hashes, events.hashes_of(["a,b", "ann"]))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"user,ip", "'user,ip' is no event"),
        (b"ann", "'ann' is no event"),
        (b"ann,10.0.0.1,5", "row 2"),
        (b"ann,10.0.0.256", "row 2"),
        (b"ann,010.0.0.1", "row 2"),
        (b"ann,fe80::1", "row 2"),
        (b",10.0.0.1", "row 2"),
        (b'"ann",10.0.0.1,5', "row 2 has 3 columns"),
        (b'"ann",ten', "'ten' is no IPv4 address"),
    ],
)
def test_lines_that_are_no_events_are_named(line, words):
    with pytest.raises(FormatError, match=words):
        events.parse(b"ann,10.0.0.1\n" + line + b"\nbob,10.0.0.2\n", "f")


def test_missing_entities_are_refused(data):
    for missing in (None, float("nan"), " "):
        with pytest.raises(ValueError, match=r"no entity|NaN"):
            SMALL.clone().fit(np.array([["ann", "10.0.0.1"], [missing, "10.0.0.1"]], dtype=object))
