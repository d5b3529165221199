"""The log of a hosted training program: lines on stdout, written at once."""

from __future__ import annotations

import time


def line(message: str, level: str = "INFO") -> None:
    """`[2026-01-31 09:00:00:INFO] message`, as the hosted containers write it."""
    print(f"[{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime())}:{level}] {message}", flush=True)
