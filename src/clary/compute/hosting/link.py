"""The server's end of one worker's socket: asks, matches answers to questions, notices silence and death."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from clary.compute.hosting import frames
from clary.compute.hosting.errors import ModelTimedOut, WorkerLost
from clary.compute.hosting.frames import Frame

log = logging.getLogger(__name__)
LONGEST_SOCKET_PATH = 100
"""Bytes; systems allow a few more."""


class StartFailed(Exception):
    """A worker did not become ready; the message is the cause."""


class _Waiting(NamedTuple):
    answer: asyncio.Future[Frame]
    since: float
    size: int


class Link(asyncio.Protocol):
    """One worker's connection. `greeted(link, token)` is called when the worker has said which one it is."""

    def __init__(self, greeted: Callable[[Link, str], None]) -> None:
        self._greeted = greeted
        self._loop = asyncio.get_running_loop()
        self._reader = frames.FrameReader()
        self._waiting: dict[int, _Waiting] = {}
        self._last_id = 0
        self._outgoing: list[bytes] = []
        self._last_answer = self._loop.time()
        self.bytes_in_flight = 0
        self.draining = False
        self.ready: asyncio.Future[None] = self._loop.create_future()
        self.lost = asyncio.Event()

    @property
    def in_flight(self) -> int:
        return len(self._waiting)

    def ask(self, code: int, headers: dict[str, str], body: bytes = b"") -> asyncio.Future[Frame]:
        """Send a question; the future gets its answer, or raises `WorkerLost` or `ModelTimedOut`."""
        answer: asyncio.Future[Frame] = self._loop.create_future()
        if self.lost.is_set():
            answer.set_exception(WorkerLost())
            return answer
        self._last_id = id = self._last_id % 0xFFFFFFFF + 1
        self._waiting[id] = _Waiting(answer, self._loop.time(), len(body))
        self.bytes_in_flight += len(body)
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing.append(frames.encode(id, code, headers, body))
        return answer

    def _flush(self) -> None:
        """Everything that this turn of the event loop has asked goes out in one piece: the worker's next batch."""
        outgoing, self._outgoing = self._outgoing, []
        self._transport.write(b"".join(outgoing))

    def expire(self, limit_seconds: float) -> bool:
        """Give up on questions older than the limit; True when the worker has not answered anything for as long."""
        now = self._loop.time()
        overdue = [id for id, waiting in self._waiting.items() if now - waiting.since > limit_seconds]
        for id in overdue:
            waiting = self._take(id)
            if waiting and not waiting.answer.done():
                waiting.answer.set_exception(ModelTimedOut())
        return bool(overdue) and now - self._last_answer > limit_seconds

    def close(self) -> None:
        """Hang up; the worker ends. What is still in flight is lost."""
        self._transport.close()

    def close_when_idle(self) -> None:
        """Hang up after the last answer."""
        self.draining = True
        if not self._waiting:
            self.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        try:
            received = self._reader.feed(data)
        except frames.FrameError as error:
            log.error("a worker broke the protocol: %s", error)
            self._transport.abort()
            return
        for frame in received:
            if frame.id:
                self._answered(frame)
            else:
                self._notice(frame)

    def _answered(self, frame: Frame) -> None:
        self._last_answer = self._loop.time()
        waiting = self._take(frame.id)
        if waiting and not waiting.answer.done():
            waiting.answer.set_result(frame)
        if self.draining and not self._waiting:
            self.close()

    def _take(self, id: int) -> _Waiting | None:
        waiting = self._waiting.pop(id, None)
        if waiting:
            self.bytes_in_flight -= waiting.size
        return waiting

    def _notice(self, frame: Frame) -> None:
        if frame.code == frames.HELLO:
            self._greeted(self, frame.headers.get("token", ""))
        elif frame.code == frames.READY and not self.ready.done():
            self.ready.set_result(None)
        elif frame.code == frames.FAILED and not self.ready.done():
            self.ready.set_exception(StartFailed(frame.body.decode(errors="replace")))
        elif frame.code == frames.DRAINING:
            self.close_when_idle()

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.set()
        if not self.ready.done():
            self.ready.set_exception(StartFailed("the worker process ended while it was loading the model"))
        with contextlib.suppress(asyncio.CancelledError):
            self.ready.exception()  # nobody may be waiting for it
        waiting, self._waiting = self._waiting, {}
        for call in waiting.values():
            if not call.answer.done():
                call.answer.set_exception(WorkerLost())


class Reception:
    """The socket that workers connect to, and which of them are expected."""

    def __init__(self) -> None:
        self._expected: dict[str, asyncio.Future[Link]] = {}
        self._server: asyncio.Server | None = None
        self.path = ""

    async def open(self, directory: Path) -> None:
        """Listen in `directory`, or where the path of a Unix socket would be too long, in a private temporary one."""
        path = directory / "workers.sock"
        if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
            path = Path(tempfile.mkdtemp(prefix="clary-")) / "workers.sock"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # of a server that was killed
        self.path = str(path)
        self._server = await asyncio.get_running_loop().create_unix_server(lambda: Link(self._greeted), self.path)
        path.chmod(0o600)

    def close(self) -> None:
        if self._server:
            self._server.close()
            Path(self.path).unlink(missing_ok=True)

    def expect(self, token: str) -> asyncio.Future[Link]:
        """The link of the worker that will present `token`. Cancel it when the worker is no longer wanted."""
        link: asyncio.Future[Link] = asyncio.get_running_loop().create_future()
        self._expected[token] = link
        link.add_done_callback(lambda _: self._expected.pop(token, None))
        return link

    def _greeted(self, link: Link, token: str) -> None:
        expected = self._expected.get(token)
        if expected is None or expected.done():
            link.close()
        else:
            expected.set_result(link)
