"""What the XGBoost library says went wrong, without its file names and stack traces."""

from __future__ import annotations

import re

import xgboost

_EXPLAINED = re.compile(r"(?:\[[\d:]+\] )?\S+:\d+: (?:Check failed: .*?: )?(?P<text>.*\S)")
"""`[12:00:00] file.cc:12: Check failed: a > b (1 vs. 2) : explanation`, whose explanation may be missing."""


def explanation(error: xgboost.core.XGBoostError) -> str | None:
    """The sentence in an error of the library; None when it has none, and a failed check of its own is all it names."""
    found = _EXPLAINED.match(str(error))
    return found["text"] if found and not found["text"].startswith("Check failed") else None
