"""Addresses that a server listens on, as clients write them."""

from __future__ import annotations


def reachable(host: str) -> str:
    """Where a client on this machine finds a server that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)


def bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
