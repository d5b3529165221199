"""Linear algebra on one thread.

Matrices of a few hundred rows gain nothing by more; on a busy machine threads that wait for each other made a suggestion thirty
times slower; and sums in another order would make another suggestion.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache

import scipy.linalg  # noqa: F401  (its BLAS has to be loaded before it can be found)
from threadpoolctl import ThreadpoolController


def one_thread() -> AbstractContextManager:
    """A context in which numpy and scipy use one thread."""
    return _libraries().limit(limits=1, user_api="blas")


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()
