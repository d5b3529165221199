"""How the hosts of a job meet: the leader listens at a known place, the others come there, and both ends prove themselves.

A proof is an HMAC-SHA256 over both ends' nonces under the job's secret, so it is worth nothing on another connection.
"""

from __future__ import annotations

import hmac
import secrets
import socket
import struct
import time
from dataclasses import dataclass, field

_HANDSHAKE_SECONDS = 5.0
_FIRST_DELAY, _LONGEST_DELAY = 0.005, 0.2
_NONCE, _PROOF = 32, 32
_HELLO = struct.Struct(f"<I{_NONCE}s{_PROOF}s")
"""Rank, nonce and proof of a host that comes."""
_KEEP_ALIVE = {"TCP_KEEPIDLE": 20, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 4}


class PeerLost(Exception):
    """Another host ended or fell silent in the middle of a job. Its own failure is the cause; this is the consequence."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the leader listens, what proves that a host is one of ours, who is expected, and for how many seconds."""

    address: tuple[str, int]
    secret: bytes = field(repr=False)
    hosts: tuple[str, ...]
    patience: float


def wait_for_peers(place: Place) -> dict[int, socket.socket]:
    """The leader's part: listen until every other host has come; its rank -> connection, in order of rank.

    Raises `PeerLost` with the names of those that do not come.
    """
    links: dict[int, socket.socket] = {}
    deadline = time.monotonic() + place.patience
    with _listening(place) as listener:
        while len(links) < len(place.hosts) - 1:
            listener.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                link, _ = listener.accept()
            except TimeoutError as error:
                missing = ", ".join(host for rank, host in enumerate(place.hosts) if rank and rank not in links)
                raise PeerLost(f"{missing} did not join within {place.patience:g} s") from error
            rank = _admit(link, place.secret)
            if rank is None or rank in links or not 0 < rank < len(place.hosts):
                link.close()  # a stranger
            else:
                links[rank] = _settled(link, place.patience)
    return dict(sorted(links.items()))


def _listening(place: Place) -> socket.socket:
    listener = socket.socket()
    # the supervisor of this host holds the port without listening on it, so that nobody else is given it
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(place.address)
    listener.listen(len(place.hosts) + 8)
    return listener


def _admit(link: socket.socket, secret: bytes) -> int | None:
    """The rank of whoever connected, once it has shown the secret and been shown it; None for anybody else."""
    link.settimeout(_HANDSHAKE_SECONDS)
    nonce = secrets.token_bytes(_NONCE)
    try:
        link.sendall(nonce)
        rank, theirs, proof = _HELLO.unpack(read_exactly(link, _HELLO.size))
        if not hmac.compare_digest(proof, _proof(secret, b"peer", rank, nonce, theirs)):
            return None
        link.sendall(_proof(secret, b"leader", rank, nonce, theirs))
    except OSError:  # it went away, or said nothing
        return None
    return rank


def find_leader(place: Place, rank: int) -> socket.socket:
    """Every other host's part: knock until the leader, which may have more to download, answers. Raises `PeerLost`."""
    deadline, delay = time.monotonic() + place.patience, _FIRST_DELAY
    while True:
        try:
            link = socket.create_connection(place.address, timeout=_HANDSHAKE_SECONDS)
            _introduce(link, place.secret, rank)
            return _settled(link, place.patience)
        except OSError as error:
            if time.monotonic() > deadline:
                raise PeerLost(f"{place.hosts[0]} could not be reached within {place.patience:g} s") from error
        time.sleep(delay)
        delay = min(2 * delay, _LONGEST_DELAY)


def _introduce(link: socket.socket, secret: bytes, rank: int) -> None:
    """Show the secret, and see it shown. Raises `ConnectionError` when the other end is not the leader of this job."""
    theirs = read_exactly(link, _NONCE)
    nonce = secrets.token_bytes(_NONCE)
    link.sendall(_HELLO.pack(rank, nonce, _proof(secret, b"peer", rank, theirs, nonce)))
    if not hmac.compare_digest(read_exactly(link, _PROOF), _proof(secret, b"leader", rank, theirs, nonce)):
        link.close()
        raise ConnectionError("whoever listens there is not the leader of this job")


def _proof(secret: bytes, role: bytes, rank: int, leaders: bytes, peers: bytes) -> bytes:
    return hmac.digest(secret, role + struct.pack("<I", rank) + leaders + peers, "sha256")


def _settled(link: socket.socket, patience: float) -> socket.socket:
    """`link` ready for work: small messages go at once, and a machine that is gone is noticed within a minute."""
    link.settimeout(patience)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE.items():
        if hasattr(socket, name):
            link.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return link


def read_exactly(link: socket.socket, length: int) -> bytes:
    """Raises `ConnectionError` when the other end closes before so many bytes have come."""
    content = bytearray(length)
    view = memoryview(content)
    while view:
        count = link.recv_into(view)
        if not count:
            raise ConnectionError("the connection was closed")
        view = view[count:]
    return bytes(content)
