"""Keep listening sockets that the library opened to this machine.

A worker of XGBoost's collective listens on all addresses for the news that another worker has failed, and takes any connection
for such news. On Linux a socket can be bound to the loopback device when it is listening already.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from clary.algorithms.hosted import log

_DEVICE = b"lo"
_DESCRIPTORS = Path("/proc/self/fd")


def bind_listeners() -> None:
    """Bind every TCP socket of this process that listens on all addresses to the loopback device; say so where it cannot be."""
    if not hasattr(socket, "SO_BINDTODEVICE") or not _DESCRIPTORS.is_dir():
        log.line("The collective of XGBoost listens on all addresses of this machine while the hosts train", "WARNING")
        return
    for listener in _listening_everywhere():
        with listener:
            try:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, _DEVICE)
            except PermissionError:  # kernels before 5.7
                port = listener.getsockname()[1]
                log.line(f"The collective of XGBoost listens on port {port} of all addresses of this machine", "WARNING")


def _listening_everywhere() -> Iterator[socket.socket]:
    for entry in os.listdir(_DESCRIPTORS):
        if not _is_socket(int(entry)):
            continue
        opened = socket.socket(fileno=os.dup(int(entry)))
        listens = opened.type == socket.SOCK_STREAM and opened.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        if listens and opened.family in (socket.AF_INET, socket.AF_INET6) and opened.getsockname()[0] in ("0.0.0.0", "::"):
            yield opened
        else:
            opened.close()


def _is_socket(descriptor: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(descriptor).st_mode)
    except OSError:  # the descriptor of the listing itself, closed by now
        return False
