"""The /24 networks that training has seen, and which row of the table is whose.

An address in a network that was never seen has no /24 vector: it is known by its /16 and /8 alone. So a model is as large as
what it has seen, networks do not collide, and negative samples cannot wear out vectors of networks that nobody uses.
"""

from __future__ import annotations

import numpy as np

from clary.algorithms.embeddings import kernels

ROWS_8, ROWS_16 = 1 << 8, 1 << 16
START_16 = ROWS_8
START_24 = ROWS_8 + ROWS_16
_EMPTY = 0xFFFFFFFF
_FIRST_CAPACITY = 1 << 12


class KnownNetworks:
    """A growing hash table from network (address >> 8) to number, 0, 1, 2, ... in the order of their arrival."""

    def __init__(self) -> None:
        self._count = 0
        self._keys = np.full(_FIRST_CAPACITY, _EMPTY, dtype=np.uint32)
        self._numbers = np.zeros(_FIRST_CAPACITY, dtype=np.int32)

    @classmethod
    def of(cls, networks: np.ndarray) -> KnownNetworks:
        """`networks` (n,) uint32 in the order of their numbers."""
        known = cls()
        known.add(networks)
        return known

    def __len__(self) -> int:
        return self._count

    def add(self, networks: np.ndarray) -> None:
        """Number those of `networks` (n,) uint32 that are new."""
        # half of the places stay free: a search that fails ends soon
        while 2 * (self._count + len(networks)) > len(self._keys):
            networks = np.unique(networks) if len(networks) > _FIRST_CAPACITY else networks
            self._grow()
        self._count = kernels.add_networks(self._keys, self._numbers, networks, self._count)

    def networks(self) -> np.ndarray:
        """(n,) uint32 in the order of their numbers."""
        present = self._keys != _EMPTY
        networks = np.empty(self._count, dtype=np.uint32)
        networks[self._numbers[present]] = self._keys[present]
        return networks

    def rows(self, addresses: np.ndarray) -> np.ndarray:
        """(n, 3) int32: rows of the prefix table for the /8, /16 and /24 of `addresses` (n,) uint32; -1 where not known."""
        out = np.empty((len(addresses), 3), dtype=np.int32)
        kernels.prefix_rows(self._keys, self._numbers, addresses, 0, START_16, START_24, out)
        return out

    def _grow(self) -> None:
        networks = self.networks()
        self._keys = np.full(2 * len(self._keys), _EMPTY, dtype=np.uint32)
        self._numbers = np.zeros(len(self._keys), dtype=np.int32)
        kernels.add_networks(self._keys, self._numbers, networks, 0)
