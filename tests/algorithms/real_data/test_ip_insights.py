"""IP Insights on a public OpenSSH log, with counts of what was seen before beside it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from clary.algorithms import IPInsights
from clary.algorithms.embeddings.training import discriminator_auc

EVENTS = Path(__file__).parents[4] / "shared" / "data" / "log_openssh" / "user_ip_pairs.csv"

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not EVENTS.exists(), reason=f"{EVENTS} is not there")]


def counts(train, test):
    """From how often the pair, the entity in the /24, and the address were seen: no learning at all."""
    pairs, addresses = Counter(map(tuple, train)), Counter(address for _, address in train)
    networks = Counter((entity, address.rpartition(".")[0]) for entity, address in train)
    seen = [(pairs[e, a], networks[e, a.rpartition(".")[0]], addresses[a]) for e, a in test]
    return np.log1p(np.array(seen)) @ [4, 2, 0.05]


def one_seed(events, seed):
    """AUC of ours and of counts: against random addresses, and against strange pairs of known ones. 700 events are learned."""
    rng = np.random.default_rng(seed)
    order, known = rng.permutation(len(events)), set(map(tuple, events))
    train, test = events[order[:700]], events[order[700:]]
    random = [[entity, ".".join(map(str, rng.integers(0, 256, 4)))] for entity in test[:, 0]]
    strange = [[e, a] for e in test[:, 0] for a in rng.choice(test[:, 1], 3) if (e, a) not in known]
    model = IPInsights(
        128, 16, epochs=60, learning_rate=0.03, batch_size=100, shuffled_negative_sampling_rate=2, seed=seed
    ).fit(train)
    return [
        discriminator_auc(score(test), score(others))
        for score in (model.score_samples, lambda pairs: counts(train, pairs))
        for others in (random, strange)
    ]


def test_openssh_log():
    events = pd.read_csv(EVENTS)[["entity", "ip"]].astype(str).to_numpy(object)
    found = np.mean([one_seed(events, seed) for seed in range(5)], axis=0)
    print("AUC random, strange pairs: ours {:.4f}, {:.4f}; counts {:.4f}, {:.4f}".format(*found))
    ours, peer = found[:2], found[2:]
    assert ours[0] > 0.99
    assert ours[1] > max(0.97, peer[1])
