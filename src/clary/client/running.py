"""Finding a server: what it announces in its data directory, and whether it answers."""

from __future__ import annotations

import fcntl
import http.client
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clary.core.addresses import bracketed, reachable

ANSWER_SECONDS = 5


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that answers. `health` is what `/_clary/health` says."""

    data: Path
    pid: int
    host: str
    port: int
    tls_port: int | None
    auth: str
    started: float
    health: dict[str, Any]

    @property
    def endpoint(self) -> str:
        return f"http://{bracketed(reachable(self.host))}:{self.port}"


def find(data: Path) -> RunningServer | None:
    """The server of this data directory, or None when none answers."""
    try:
        facts = json.loads((data / "server.json").read_text())
        status, body = ask(facts["host"], facts["port"], "GET", "/_clary/health")
        health = json.loads(body)
    except (OSError, ValueError, http.client.HTTPException):
        return None
    if status != 200:
        return None
    return RunningServer(data, health=health, **{name: facts.get(name) for name in RunningServer.__slots__ if name in facts})


def ask(
    host: str, port: int, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, bytes]:
    """Status and body of one HTTP request. Raises `OSError` or `HTTPException` when there is no proper answer."""
    connection = http.client.HTTPConnection(reachable(host), port, timeout=ANSWER_SECONDS)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def is_claimed(data: Path) -> bool:
    """Whether a server process holds the data directory, answering or not."""
    try:
        lock = (data / "server.lock").open("r+")
    except FileNotFoundError:
        return False
    with lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False
