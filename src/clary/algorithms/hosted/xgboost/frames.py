"""XGBoost looks for pandas with the first batch that it is given, and imports it where it is installed, to find that no row of
ours is a series: 0.9 s of every job, whose process is new."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def without_pandas() -> Iterator[None]:
    """Inside, pandas is as if it were not installed, unless it is imported already."""
    if "pandas" in sys.modules:
        yield
        return
    sys.modules["pandas"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["pandas"]
