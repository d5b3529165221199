"""The hosts of one job as a cluster: arrays go from all hosts to the leader and back.

    with Cluster.join(job) as cluster:
        state = cluster.sum({"xtx": xtx, "rows": np.asarray(rows)})      # the same on every host
        parts = cluster.gather({"centers": centers})                     # one per host on the leader, None elsewhere
        model = cluster.broadcast({"centers": merged})                   # the leader's, on every host

Every host must make the same calls in the same order. The hosts form a star: each keeps one TCP connection to the leader,
the first host. `CLARY_CLUSTER` (`host:port`) says where the leader listens and `CLARY_CLUSTER_SECRET` proves that a host is
one of ours: both ends show that they know it before anything else is read. What travels are safetensors documents: numeric
and boolean arrays, never code.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

import numpy as np
import safetensors.numpy

from clary.algorithms.hosted import rendezvous
from clary.algorithms.hosted.job import TrainingJob
from clary.algorithms.hosted.rendezvous import PeerLost, read_exactly

ADDRESS, SECRET = "CLARY_CLUSTER", "CLARY_CLUSTER_SECRET"
PATIENCE_SECONDS = 3600.0
"""How long a host may be silent before it counts as lost: another one may have more data. A process that ends, or a machine
that goes away, is noticed within moments or a minute."""
_LENGTH = struct.Struct("<Q")
_left_open: list[socket.socket] = []
"""Connections of a program that failed: they end with its process, after it has written down why."""

Arrays = Mapping[str, np.ndarray]


class Cluster:
    """The cluster as one host sees it. `rank` 0 is the leader; with one host every call returns what it was given."""

    def __init__(self, rank: int, hosts: Sequence[str], links: Mapping[int, socket.socket]):
        self.rank = rank
        self.hosts = tuple(hosts)
        self._links = links
        """Rank -> connection: to every other host on the leader, to the leader elsewhere."""

    @classmethod
    def join(cls, job: TrainingJob, patience: float = PATIENCE_SECONDS) -> Cluster:
        """Connect this host with the others, which have `patience` seconds to come. Raises `PeerLost` when they do not."""
        if len(job.hosts) == 1:
            return cls(0, job.hosts, {})
        rank = job.rank
        host, _, port = os.environ[ADDRESS].rpartition(":")
        place = rendezvous.Place((host, int(port)), bytes.fromhex(os.environ[SECRET]), tuple(job.hosts), patience)
        links = rendezvous.wait_for_peers(place) if rank == 0 else {0: rendezvous.find_leader(place, rank)}
        return cls(rank, job.hosts, links)

    @property
    def size(self) -> int:
        return len(self.hosts)

    @property
    def is_leader(self) -> bool:
        return self.rank == 0

    def gather(self, arrays: Arrays) -> list[dict[str, np.ndarray]] | None:
        """The arrays of all hosts in order of rank on the leader, None elsewhere. Shapes may differ between hosts."""
        if not self.is_leader:
            self._send(0, _encode(arrays))
            return None
        return [dict(arrays), *(self._receive(rank) for rank in range(1, self.size))]

    def broadcast(self, arrays: Arrays | None) -> dict[str, np.ndarray]:
        """The leader's arrays, on every host; what other hosts pass is not looked at."""
        if not self.is_leader:
            return self._receive(0)
        assert arrays is not None
        document = _encode(arrays) if self._links else b""
        for rank in self._links:
            self._send(rank, document)
        return dict(arrays)

    def sum(self, arrays: Arrays) -> dict[str, np.ndarray]:
        """Sums over hosts, on every host: added in order of rank, so that the same inputs give the same bits."""
        parts = self.gather(arrays)
        return self.broadcast(None if parts is None else _added(parts))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            _left_open.extend(self._links.values())
            return
        for link in self._links.values():
            link.close()

    def _send(self, rank: int, document: bytes) -> None:
        with self._naming(rank):
            self._links[rank].sendall(_LENGTH.pack(len(document)))
            self._links[rank].sendall(document)

    def _receive(self, rank: int) -> dict[str, np.ndarray]:
        with self._naming(rank):
            (length,) = _LENGTH.unpack(read_exactly(self._links[rank], _LENGTH.size))
            return safetensors.numpy.load(read_exactly(self._links[rank], length))

    @contextlib.contextmanager
    def _naming(self, rank: int) -> Iterator[None]:
        """Turn what a broken connection raises into `PeerLost`, with the host's name."""
        host = self.hosts[rank]
        try:
            yield
        except TimeoutError as error:
            seconds = self._links[rank].gettimeout()
            raise PeerLost(f"host {host} was silent for {seconds:g} s, so this host gave up") from error
        except OSError as error:
            raise PeerLost(f"host {host} was lost while this host exchanged data with it; see the log of {host}") from error


def _encode(arrays: Arrays) -> bytes:
    # safetensors writes the memory as it lies, so arrays in another order than C's would come out wrong
    return safetensors.numpy.save({name: np.asarray(array, order="C") for name, array in arrays.items()})


def _added(parts: Sequence[Arrays]) -> dict[str, np.ndarray]:
    total = {name: np.array(array) for name, array in parts[0].items()}
    for part in parts[1:]:
        if _shapes(part) != _shapes(total):
            raise ValueError(f"the hosts sum different arrays: {_shapes(total)} and {_shapes(part)}")
        for name, array in total.items():
            array += part[name]
    return total


def _shapes(arrays: Arrays) -> dict[str, tuple[int, ...]]:
    return {name: np.shape(array) for name, array in arrays.items()}
