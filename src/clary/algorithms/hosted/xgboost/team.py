"""Several hosts train one model: those that have rows form a team over XGBoost's collective, the others stand by.

The hosts first tell each other, over the job's own authenticated connections, how many rows and columns they have. The first
host runs the tracker that the library's workers meet at, on the address where the hosts of the job meet.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import xgboost
from scipy.sparse import issparse
from xgboost import collective
from xgboost.tracker import RabitTracker

from clary.algorithms.hosted import cluster, log
from clary.algorithms.hosted.cluster import Cluster
from clary.algorithms.hosted.errors import CustomerError
from clary.algorithms.hosted.rendezvous import PeerLost
from clary.algorithms.hosted.xgboost import loopback
from clary.algorithms.hosted.xgboost.data import Data
from clary.formats.batch import Batch

PATIENCE_SECONDS = 3600
"""How long a host waits for another within a round."""


@dataclass(frozen=True, slots=True)
class Team:
    """What the hosts that train know of each other. `columns` is the width of the widest, `rows` are all training rows."""

    rank: int
    size: int
    rows: int
    columns: int

    @property
    def is_leader(self) -> bool:
        return self.rank == 0


def alone(data: Data, columns: int) -> Team:
    """The team of a job with one host."""
    return Team(0, 1, sum(batch.rows for batch in data["train"]), columns)


@contextlib.contextmanager
def gathered(hosts: Cluster, data: Data) -> Iterator[Team | None]:
    """The team, connected; None on a host that has no rows in one of its channels and takes no part.

    Raises `CustomerError` when no host has rows, or hosts have rows of different widths.
    """
    table = _told(hosts, data)  # (hosts, 4): rows, columns, whether sparse, whether rows in every channel
    members = np.flatnonzero(table[:, 3])
    if not len(members):
        raise CustomerError("No data in train channel on any host, or none in validation where train has some")
    columns = _width(table[members])
    for host in np.flatnonzero(table[:, 3] == 0) if hosts.is_leader else ():
        log.line(f"Host {hosts.hosts[host]} has no data in one of its channels and does not take part in training", "WARNING")
    with _tracker(hosts, len(members)) as place:
        if not table[hosts.rank, 3]:
            yield None
            return
        team = Team(int(np.searchsorted(members, hosts.rank)), len(members), int(table[members, 0].sum()), columns)
        with _communicator(place, team):
            yield team


def _told(hosts: Cluster, data: Data) -> np.ndarray:
    """(hosts, 4) int64: what every host says of its rows."""
    train = data["train"]
    whole = all(data.values())
    mine = np.array([_rows(train), _columns(train), bool(train) and issparse(train[0].features), whole], dtype=np.int64)
    table = np.zeros((hosts.size, len(mine)), dtype=np.int64)
    table[hosts.rank] = mine
    return hosts.sum({"table": table})["table"]


def _rows(batches: Sequence[Batch]) -> int:
    return sum(batch.rows for batch in batches)


def _columns(batches: Sequence[Batch]) -> int:
    return max((batch.columns for batch in batches), default=0)


def _width(table: np.ndarray) -> int:
    widths = np.unique(table[:, 1])
    if len(widths) > 1 and not table[:, 2].all():
        raise CustomerError(
            f"Channel train has {widths[0]} feature columns on one host and {widths[-1]} on another; "
            "all files of a channel must have the same columns"
        )
    return int(widths[-1])


@contextlib.contextmanager
def _tracker(hosts: Cluster, workers: int) -> Iterator[tuple[str, int] | None]:
    """Where the workers meet, which the first host provides until all have left; None where one works alone."""
    if workers == 1:
        yield None
        return
    address = os.environ[cluster.ADDRESS].rpartition(":")[0]
    if not hosts.is_leader:
        yield address, int(hosts.broadcast(None)["port"])
        return
    tracker = RabitTracker(workers, host_ip=address, sortby="task")
    tracker.start()
    port = int(tracker.worker_args()["dmlc_tracker_port"])
    hosts.broadcast({"port": np.asarray(port)})
    yield address, port
    tracker.wait_for()


@contextlib.contextmanager
def _communicator(place: tuple[str, int] | None, team: Team) -> Iterator[None]:
    if place is None:
        yield
        return
    address, port = place
    collective.init(
        dmlc_communicator="rabit",
        dmlc_tracker_uri=address,
        dmlc_tracker_port=port,
        dmlc_task_id=f"{team.rank:06d}",  # workers are ranked by it
        dmlc_timeout=PATIENCE_SECONDS,
    )
    loopback.bind_listeners()
    try:
        yield
    except xgboost.core.XGBoostError as error:
        if "/collective/" in str(error):  # a source file of the library, in the trace that its errors carry
            raise PeerLost("another host was lost while they trained together") from error
        raise
    # only now: after a failure the connections end with this process, which first says why it failed
    collective.finalize()


def together(values: np.ndarray) -> np.ndarray:
    """The rows of `values` (rows, ...) of all hosts of the team, in order of rank, on every host."""
    if not collective.is_distributed():
        return values
    rank = collective.get_rank()
    sizes = np.zeros(collective.get_world_size(), dtype=np.int64)
    sizes[rank] = len(values)
    sizes = collective.allreduce(sizes, collective.Op.SUM)
    start = int(sizes[:rank].sum())
    whole = np.zeros((int(sizes.sum()), *values.shape[1:]), dtype=values.dtype)
    whole[start : start + len(values)] = values
    return collective.allreduce(whole, collective.Op.SUM).reshape(whole.shape)


def any_of_team(flag: bool) -> bool:
    """Whether any host of the team says so, the same on every host."""
    if not collective.is_distributed():
        return flag
    return bool(collective.allreduce(np.array([flag], dtype=np.int32), collective.Op.MAX)[0])


def model_of_leader(team: Team, model: bytes | None) -> bytes | None:
    """The serialized model that the leader of the team has, on every host; None when it has none."""
    if not collective.is_distributed():
        return model
    mine = np.frombuffer(model or b"", dtype=np.uint8) if team.is_leader else np.empty(0, dtype=np.uint8)
    return together(mine).tobytes() or None
