"""The log of a hosted training program: lines on stdout, written at once, in the forms of the two families of containers."""

from __future__ import annotations

import threading
import time


def line(message: str, level: str = "INFO") -> None:
    """`[2026-01-31 09:00:00:INFO] message`, as XGBoost's containers write it."""
    plain(f"[{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime())}:{level}] {message}")


def first_party(message: str, level: str = "INFO") -> None:
    """`[01/31/2026 09:00:00 INFO 140230] message`, as the first-party algorithms write it; the number is the thread's."""
    plain(f"[{time.strftime('%m/%d/%Y %H:%M:%S', time.gmtime())} {level} {threading.get_ident()}] {message}")


def plain(text: str) -> None:
    """A line without a prefix."""
    print(text, flush=True)
