"""IP Insights on a synthetic login log against a plain PyTorch form of the same network.

    python -m benchmarks.ip_insights [--events 500000] [--repeats 5]

20,000 users, 400 /16 networks of Zipf's popularity; a user has up to three of them at home and up to four /24 in each. Test
events are told from the same users with random addresses, and with addresses of other test events (the harder one). Both
networks have the same width, layers, negatives, batches, learning rates and first weights' distribution.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from benchmarks.compare import compare, pytorch
from threadpoolctl import threadpool_limits

from clary.algorithms.embeddings import network as networks
from clary.algorithms.embeddings.events import Events
from clary.algorithms.embeddings.network import Network
from clary.algorithms.embeddings.training import Settings, Training, discriminator_auc

torch = pytorch()
USERS, NETWORKS, WIDTH, LAYERS, SEEDS = 20_000, 400, 32, 1, 5
SETTINGS = Settings(epochs=5, batch_size=5000, rate=0.03, decay=0.0, random=1, shuffled=5)

Score = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Log:
    """Training events, test events, and the test users' addresses at random and swapped."""

    users: np.ndarray
    addresses: np.ndarray
    test_users: np.ndarray
    test_addresses: np.ndarray
    random: np.ndarray
    swapped: np.ndarray


def main() -> None:
    options = _options()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        log = synthetic(options.events, options.events // 10)
        compare(
            f"{options.events:,} events, {SETTINGS.epochs} epochs, width {WIDTH}, {LAYERS} layer(s), "
            f"{SETTINGS.random} random and {SETTINGS.shuffled} shuffled negatives",
            {"clary": lambda: ours(log, 0), "PyTorch, sparse Adam": lambda: peer(log, 0)},
            lambda score: quality(log, score),
            repeats=options.repeats,
            units=options.events * SETTINGS.epochs,
            unit="events",
        )
        for name, run in (("clary", ours), ("PyTorch", peer), ("clary, 2 hosts", two_hosts)):
            found = [quality(log, run(log, seed)) for seed in range(SEEDS)]
            for kind in found[0]:
                values = [one[kind] for one in found]
                print(f"{name}, {kind} of {SEEDS} seeds: {statistics.mean(values):.5f} +- {statistics.stdev(values):.5f}")


def synthetic(events: int, test: int, seed: int = 0) -> Log:
    rng = np.random.default_rng(seed)
    popularity = 1 / np.arange(1, NETWORKS + 1) ** 1.1
    popularity /= popularity.sum()
    prefixes = rng.choice(2**16, NETWORKS, replace=False).astype(np.int64)
    homes = np.stack([rng.choice(NETWORKS, USERS, p=popularity) for _ in range(3)], 1)
    shares = rng.dirichlet([1.5, 0.7, 0.3], USERS)
    subnets = rng.integers(0, 256, (USERS, 3, 4))
    activity = rng.pareto(1.2, USERS) + 0.2
    activity /= activity.sum()

    def draw(number: int) -> tuple[np.ndarray, np.ndarray]:
        users = rng.choice(USERS, number, p=activity)
        home = (rng.random(number)[:, None] > shares[users].cumsum(1)[:, :2]).sum(1)
        subnet = subnets[users, home, rng.integers(0, 4, number)]
        addresses = (prefixes[homes[users, home]] << 16) | (subnet << 8) | rng.integers(0, 256, number)
        return users, addresses.astype(np.uint32)

    users, addresses = draw(events)
    test_users, test_addresses = draw(test)
    strange = rng.integers(0, 2**32, test).astype(np.uint32)
    return Log(users, addresses, test_users, test_addresses, strange, test_addresses[rng.permutation(test)])


def quality(log: Log, score: Score) -> dict[str, float]:
    real = score(log.test_users, log.test_addresses)
    return {
        "AUC random": discriminator_auc(real, score(log.test_users, log.random)),
        "AUC shuffled": discriminator_auc(real, score(log.test_users, log.swapped)),
    }


def ours(log: Log, seed: int) -> Score:
    rng = np.random.default_rng(seed)
    network = Network(USERS, WIDTH, LAYERS, rng)
    training = Training(network, USERS, SETTINGS, rng)
    training.events_per_epoch = len(log.users)
    events = Events(log.users.astype(np.uint64), log.addresses)  # a user's number is the bucket: no collisions, as in the peer
    for epoch in range(SETTINGS.epochs):
        for _ in training.epoch(epoch, [events]):
            pass
    return _scorer(network)


def two_hosts(log: Log, seed: int) -> Score:
    """Each host has half of the events and half of each batch; both apply the sum of their gradients, as in a job."""
    hosts = [Network(USERS, WIDTH, LAYERS, np.random.default_rng(seed)) for _ in range(2)]
    for rank, network in enumerate(hosts):
        network.draw_from(np.random.default_rng((seed, rank)))
    rng = np.random.default_rng(seed)
    halves = np.array_split(rng.permutation(len(log.users)), 2)
    size = SETTINGS.batch_size // 2
    starts = range(0, min(map(len, halves)), size)
    for epoch in range(SETTINGS.epochs):
        orders = [rng.permutation(half) for half in halves]
        for start in starts:
            parts = []
            for network, order in zip(hosts, orders, strict=True):
                rows = order[start : start + size]
                batch = log.users[rows].astype(np.int32), log.addresses[rows]
                gradients, _ = network.gradients(*batch, random=SETTINGS.random, shuffled=SETTINGS.shuffled)
                parts.append(network.portable(gradients))
            total = networks.sum_portable(parts)
            rate = SETTINGS.rate * (1 - (epoch + start / starts.stop) / SETTINGS.epochs)
            for network in hosts:
                network.apply(network.adopted(total), rate, SETTINGS.decay)
    return _scorer(hosts[0])


def _scorer(network: Network) -> Score:
    return lambda users, addresses: np.einsum("nd,nd->n", network.entity_vectors(users), network.address_vectors(addresses))


def peer(log: Log, seed: int) -> Score:
    torch.manual_seed(seed)
    model = Plain(np.unique(log.addresses >> 8))
    optimizers: list[Any] = [
        torch.optim.SparseAdam([*model.users.parameters(), *model.prefixes.parameters()], lr=SETTINGS.rate),
        torch.optim.Adam(model.layers.parameters(), lr=SETTINGS.rate),
    ]
    users, addresses = torch.from_numpy(log.users), torch.from_numpy(log.addresses.astype(np.int64))
    steps = SETTINGS.epochs * -(-len(users) // SETTINGS.batch_size)
    step = 0
    for _ in range(SETTINGS.epochs):
        order = torch.randperm(len(users))
        for start in range(0, len(users), SETTINGS.batch_size):
            rows = order[start : start + SETTINGS.batch_size]
            for optimizer in optimizers:
                optimizer.zero_grad()
                for group in optimizer.param_groups:
                    group["lr"] = SETTINGS.rate * (1 - step / steps)
            model.loss(users[rows], addresses[rows]).backward()
            for optimizer in optimizers:
                optimizer.step()
            step += 1

    def score(of: np.ndarray, at: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            vectors = model.encode(torch.from_numpy(at.astype(np.int64)))
            return (model.users(torch.from_numpy(of)) * vectors).sum(1).numpy()

    return score


class Plain(torch.nn.Module):
    """The same network in PyTorch's own words."""

    def __init__(self, known: np.ndarray):
        super().__init__()
        start = 256 + 65536
        self.rows = torch.full((1 << 24,), start + len(known))  # networks that are not known share the padding row
        self.rows[torch.from_numpy(known.astype(np.int64))] = torch.arange(len(known)) + start
        self.users = torch.nn.Embedding(USERS, WIDTH, sparse=True)
        self.prefixes = torch.nn.EmbeddingBag(
            start + len(known) + 1, WIDTH, mode="sum", sparse=True, padding_idx=start + len(known)
        )
        self.layers = torch.nn.ModuleList(torch.nn.Linear(WIDTH, WIDTH) for _ in range(LAYERS))
        with torch.no_grad():
            self.users.weight.normal_(0.3, 0.1)
            self.prefixes.weight.normal_(0, 0.1)
            self.prefixes.weight[-1] = 0
        for layer in self.layers:
            torch.nn.init.normal_(layer.weight, 0, 0.3 / WIDTH**0.5)
            torch.nn.init.zeros_(layer.bias)

    def encode(self, addresses: torch.Tensor) -> torch.Tensor:
        rows = torch.stack([addresses >> 24, 256 + (addresses >> 16), self.rows[addresses >> 8]], 1)
        hidden = self.prefixes(rows)
        for layer in self.layers:
            hidden = hidden + torch.relu(layer(hidden))
        return hidden

    def loss(self, users: torch.Tensor, addresses: torch.Tensor) -> torch.Tensor:
        events = len(users)
        drawn = torch.randint(0, 1 << 32, (events * SETTINGS.random,))
        entities, vectors = self.users(users), self.encode(torch.cat([addresses, drawn]))
        softplus = torch.nn.functional.softplus
        total = softplus(-(entities * vectors[:events]).sum(1)).sum()
        others = list(vectors[events:].split(events))
        others += [vectors[:events].roll(int(torch.randint(1, events, (1,))), 0) for _ in range(SETTINGS.shuffled)]
        for other in others:
            total = total + softplus((entities * other).sum(1)).sum()
        return total / (1 + len(others))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=int, default=500_000)
    parser.add_argument("--repeats", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    main()
