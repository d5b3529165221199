"""The other hosts of an attempt: where they meet, how they ended, what they left.

The directories of an attempt's hosts lie beside each other, and every supervisor can read them. A runner that starts hosts
on other machines has to provide that.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from pathlib import Path

from clary.compute.runner import job_directory
from clary.compute.runner.observation import Observation, observe
from clary.compute.supervisor.failures import PeerLost, StopRequested
from clary.compute.supervisor.record import Outcome
from clary.compute.supervisor.spec import Spec

MEETING_PLACE = "cluster.json"
"""In the directory of the first host: environment variables for the programs of all hosts. Holds a secret (mode 0600)."""
_LOOK_SECONDS = 0.02


class Peers:
    """The hosts of the attempt beside the one in `directory`."""

    def __init__(self, directory: Path, spec: Spec, stopping: threading.Event, owner: int | None = None):
        """`owner`: the user id of the programs, when it is another than this process's."""
        self._directory = directory
        self._spec = spec
        self._stopping = stopping
        self._others = [directory.parent / host for host in spec.hosts if host != spec.host]
        self._owner = owner
        self._held: socket.socket | None = None

    def meeting_place(self) -> dict[str, str]:
        """`CLARY_CLUSTER` (`host:port`) and `CLARY_CLUSTER_SECRET`, the same on every host; nothing for a single host.

        The first host takes a port that was free and holds it, without listening, while it lives, so that no other job and
        no other program is given it; its program binds it with SO_REUSEPORT. The others read what the first one wrote.
        """
        if not self._others:
            return {}
        if self._spec.is_first_host:
            self._held, place = _hold_a_port(self._owner)
            job_directory.write_json(self._directory / MEETING_PLACE, place)
            return place
        return self._await_meeting_place(self._directory.parent / self._spec.hosts[0])

    def _await_meeting_place(self, first: Path) -> dict[str, str]:
        while True:
            state = observe(first).state
            if (place := job_directory.read_json(first / MEETING_PLACE)) is not None:
                return place
            if state in ("EXITED", "LOST"):
                raise PeerLost(f"host {first.name} ended before this host began")
            self._look_again()
            if self._stopping.is_set():
                raise StopRequested

    def endings(self, outcome: Outcome) -> dict[Path, Observation]:
        """Directory -> observation of every other host, once it is time to look at what they left.

        After a failure that is now: the server must hear of it. Else when no other host runs and, unless this one was ended
        from outside, everybody has begun; the server stops this host when it gives the others up.
        """
        while True:
            seen = {directory: observe(directory) for directory in self._others}
            states = {one.state for one in seen.values()}
            everybody = outcome == "Completed" and not self._stopping.is_set()
            if outcome == "Failed" or ("RUNNING" not in states and (states <= {"EXITED"} or not everybody)):
                return seen
            self._look_again()

    def forget(self) -> None:
        """The attempt is over here: nobody needs the secret any more."""
        (self._directory / MEETING_PLACE).unlink(missing_ok=True)

    def _look_again(self) -> None:
        time.sleep(_LOOK_SECONDS)
        if not self._directory.exists():
            raise StopRequested("the data directory is gone")


def _hold_a_port(owner: int | None) -> tuple[socket.socket, dict[str, str]]:
    held = socket.socket()
    if owner is not None:
        os.fchown(held.fileno(), owner, owner)  # a port is reused by sockets of one user only
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind(("127.0.0.1", 0))
    address = "{}:{}".format(*held.getsockname())
    return held, {"CLARY_CLUSTER": address, "CLARY_CLUSTER_SECRET": secrets.token_hex(32)}
