"""SIGTERM, which a job gets when it is stopped: training ends in good order and what was learned so far is saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

import numpy as np

from clary.algorithms.hosted.cluster import Cluster

T = TypeVar("T")


class StopRequest:
    """Whether this process was told to stop. Hosts agree on it at the end of an epoch, so that all end after the same one."""

    def __init__(self) -> None:
        self.told = False
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._tell)

    def _tell(self, number: int, frame: object) -> None:
        self.told = True

    def until_told(self, items: Iterable[T]) -> Iterator[T]:
        """`items` up to the stop request: an epoch may take longer than the two minutes that a stopped job has."""
        for item in items:
            if self.told:
                return
            yield item

    def agreed(self, cluster: Cluster) -> bool:
        """Whether any host was told; every host must ask."""
        return bool(cluster.sum({"told": np.array([int(self.told)])})["told"][0])
