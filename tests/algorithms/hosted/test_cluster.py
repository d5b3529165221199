"""The hosts of a job exchanging arrays: real sockets, threads for hosts that live and processes for hosts that die."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clary.algorithms.hosted.cluster import ADDRESS, SECRET, Cluster
from clary.algorithms.hosted.job import TrainingJob
from clary.algorithms.hosted.rendezvous import PeerLost

Work = Callable[[Cluster], Any]
LOOKS_LIKE_A_HELLO = bytes(68)


def job(rank: int, size: int) -> TrainingJob:
    hosts = [f"algo-{number + 1}" for number in range(size)]
    return TrainingJob(Path(), "1", {}, {}, hosts, hosts[rank])


def on_every_host(size: int, work: Work) -> list[Any]:
    """What `work(cluster)` returns on each host, in order of rank."""

    def host(rank: int) -> Any:
        with Cluster.join(job(rank, size), patience=60) as cluster:
            return work(cluster)

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(host, range(size)))


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    """A port that is held as a supervisor holds it, and a secret."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        monkeypatch.setenv(ADDRESS, f"127.0.0.1:{holder.getsockname()[1]}")
        monkeypatch.setenv(SECRET, "00ff" * 16)
        yield holder.getsockname()


@pytest.mark.parametrize("size", [1, 2, 5])
def test_the_leader_gathers_in_order_of_rank(size: int) -> None:
    def work(cluster: Cluster) -> Any:
        return cluster.gather({"rank": np.asarray(cluster.rank), "rows": np.ones((cluster.rank, 2))})

    leader, *others = on_every_host(size, work)
    assert [int(part["rank"]) for part in leader] == list(range(size))
    assert [part["rows"].shape for part in leader] == [(rank, 2) for rank in range(size)]
    assert others == [None] * (size - 1)


@pytest.mark.parametrize("size", [1, 3])
def test_everybody_gets_what_the_leader_has(size: int) -> None:
    def work(cluster: Cluster) -> Any:
        return cluster.broadcast({"x": np.arange(6.0).reshape(2, 3)} if cluster.is_leader else None)

    for arrays in on_every_host(size, work):
        assert np.array_equal(arrays["x"], [[0, 1, 2], [3, 4, 5]])


@pytest.mark.parametrize("size", [1, 3])
def test_sums_are_the_same_bits_everywhere(size: int) -> None:
    numbers = np.random.default_rng(0).normal(size=(size, 50))

    def work(cluster: Cluster) -> Any:
        return cluster.sum({"numbers": numbers[cluster.rank], "rows": np.asarray(2)})

    expected = numbers[0].copy()
    for part in numbers[1:]:
        expected += part
    for arrays in on_every_host(size, work):
        assert np.array_equal(arrays["numbers"], expected)
        assert arrays["rows"] == 2 * size


@pytest.mark.parametrize(
    "array",
    [
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(12, dtype=np.int64).reshape(3, 4)[:, ::2],
        np.arange(6, dtype=np.float32).reshape(2, 3).T,
        np.array([True, False]),
        np.empty((0, 4), np.uint8),
        np.asarray(1.5),
        np.zeros(3_000_000),
    ],
    ids=["fortran", "strided", "transposed", "boolean", "empty", "scalar", "24 MB"],
)
def test_arrays_arrive_as_they_were(array: np.ndarray) -> None:
    leader, _ = on_every_host(2, lambda cluster: cluster.gather({"it": array}))
    assert leader[1]["it"].dtype == array.dtype
    assert np.array_equal(leader[1]["it"], array)


def test_many_exchanges_stay_in_step() -> None:
    def work(cluster: Cluster) -> float:
        total = 0.0
        for turn in range(200):
            total += float(cluster.sum({"x": np.asarray(turn + cluster.rank)})["x"])
            cluster.gather({"x": np.zeros(turn)})
        return total

    assert on_every_host(3, work) == [3 * 199 * 100 + 3 * 200] * 3


def test_hosts_that_sum_different_arrays_are_told() -> None:
    def work(cluster: Cluster) -> str:
        if not cluster.is_leader:
            cluster.gather({"x": np.zeros(3)})
            return ""
        with pytest.raises(ValueError, match="the hosts sum different arrays") as caught:
            cluster.sum({"x": np.zeros(1)})
        return str(caught.value)

    assert "(1,)" in on_every_host(2, work)[0]


def test_strangers_are_not_let_in(place: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Silent ones, talkative ones, and one that knows everything but the secret."""

    def join(rank: int) -> list[Any] | None:
        with Cluster.join(job(rank, 2), patience=60) as cluster:
            return cluster.gather({"x": np.asarray(rank)})

    with ThreadPoolExecutor(2) as pool:
        leader = pool.submit(join, 0)
        assert stranger(place, b"") == b""
        assert stranger(place, LOOKS_LIKE_A_HELLO) == b""
        pool.submit(join, 1)
        gathered = leader.result(60)
    assert gathered is not None
    assert [int(part["x"]) for part in gathered] == [0, 1]


def stranger(place: tuple[str, int], words: bytes) -> bytes:
    """What the leader answers to `words` after its nonce."""
    while True:
        try:
            with socket.create_connection(place) as link:
                link.recv(32)
                link.sendall(words)
                link.shutdown(socket.SHUT_WR)
                return link.recv(1)
        except ConnectionRefusedError:
            continue


def test_a_false_leader_is_not_believed(place: tuple[str, int]) -> None:
    def pretend(listener: socket.socket) -> None:
        link, _ = listener.accept()
        with link:
            link.sendall(bytes(32))
            link.recv(1024)
            link.sendall(bytes(32))

    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(place)
        listener.listen()
        impostor = threading.Thread(target=pretend, args=[listener])
        impostor.start()
        with pytest.raises(PeerLost, match="algo-1 could not be reached") as caught:
            Cluster.join(job(1, 2), patience=0)
        impostor.join()
    assert "not the leader of this job" in str(caught.value.__cause__)


def test_a_host_that_never_comes_is_named() -> None:
    with pytest.raises(PeerLost, match=r"algo-2, algo-3 did not join within 0\.05 s"):
        Cluster.join(job(0, 3), patience=0.05)


def test_a_silent_host_is_named() -> None:
    def silent() -> None:
        with Cluster.join(job(1, 2)):
            done.wait(60)

    done = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(silent)
        with (
            Cluster.join(job(0, 2), patience=0.2) as cluster,
            pytest.raises(PeerLost, match=r"algo-2 was silent for 0\.2 s"),
        ):
            cluster.gather({})
        done.set()


PEER = """
import sys, time
from tests.algorithms.hosted.test_cluster import job
from clary.algorithms.hosted.cluster import Cluster
with Cluster.join(job(1, 2)) as cluster:
    print("joined", flush=True)
    if sys.argv[1] == "fail":
        raise KeyError("my own mistake")
    time.sleep(600)
"""


@pytest.mark.parametrize("how", ["fail", "be killed"])
def test_a_host_that_dies_is_noticed_at_once(how: str) -> None:
    root = Path(__file__).parents[3]
    process = subprocess.Popen(
        [sys.executable, "-c", PEER, how], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=os.environ
    )
    with process, Cluster.join(job(0, 2)) as cluster:
        assert process.stdout is not None
        assert process.stdout.readline() == b"joined\n"
        if how == "be killed":
            process.send_signal(signal.SIGKILL)
        with pytest.raises(PeerLost, match="host algo-2 was lost"):
            cluster.gather({"x": np.zeros(1)})
