"""Starting processes in milliseconds: one warm process per runtime, started on first use, that forks on request."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from clary.compute.runner.start_method import environment, spawn_command, start_method
from clary.compute.runner.warm import RUNTIMES, SINGLE_THREADED
from clary.core.service import Platform


class ForkServers:
    """The warm processes of one server; they end when it does, what they forked does not."""

    def __init__(self) -> None:
        self._warm: dict[str, _Warm] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._spawned: list[subprocess.Popen[bytes]] = []

    @staticmethod
    def of(platform: Platform) -> ForkServers:
        """The one set of warm processes that all loops of a server share."""
        return platform.extensions.setdefault("fork_servers", ForkServers())

    async def start(self, runtime: str, target: str, argument: Any, *, log: str | os.PathLike[str]) -> int:
        """Run `target(argument)` in a new process with a session of its own and return its pid.

        `runtime` is a key of `RUNTIMES`, `target` reads `module:function`, `argument` is anything JSON can carry;
        stdout and stderr are appended to the file `log`. A warm process that died is replaced once. It may have forked just
        before it died, so whoever must not run twice takes a lock of its own. Raises `ConnectionError` when the
        replacement dies as well, `KeyError` for an unknown runtime.
        """
        if start_method() == "spawn":
            return self._spawn(target, argument, Path(log))
        request = json.dumps({"target": target, "argument": argument, "log": os.fspath(log)}).encode() + b"\n"
        async with self._locks.setdefault(runtime, asyncio.Lock()):
            try:
                return await (await self._ready(runtime)).fork(request)
            except ConnectionError:
                self._discard(runtime)
                return await (await self._ready(runtime)).fork(request)

    def alive(self, pid: int) -> bool:
        """Whether a process that `start` answered still runs."""
        if any(process.pid == pid and process.poll() is not None for process in self._spawned):
            return False  # ended, and reaped by this very look
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True

    def pids(self) -> dict[str, int]:
        """Runtime -> pid of its warm process, for those that run."""
        return {runtime: warm.process.pid for runtime, warm in self._warm.items()}

    def close(self) -> None:
        """End the warm processes and wait for them."""
        for runtime in list(self._warm):
            self._discard(runtime)

    async def _ready(self, runtime: str) -> _Warm:
        if runtime not in self._warm:
            self._warm[runtime] = await _Warm.start(runtime)
        return self._warm[runtime]

    def _discard(self, runtime: str) -> None:
        if warm := self._warm.pop(runtime, None):
            warm.end()

    def _spawn(self, target: str, argument: Any, log: Path) -> int:
        self._spawned = [process for process in self._spawned if process.poll() is None]  # reaps those that ended
        with log.open("ab") as output:
            process = subprocess.Popen(
                spawn_command(target, argument),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env=environment(),
            )
        self._spawned.append(process)
        return process.pid


class _Warm:
    """The server's end of one warm process."""

    def __init__(self, process: subprocess.Popen[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.process = process
        self._reader = reader
        self._writer = writer

    @classmethod
    async def start(cls, runtime: str) -> _Warm:
        RUNTIMES[runtime]  # an unknown runtime is the caller's mistake: say so here
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(  # noqa: ASYNC220 - posix_spawn, a millisecond
                [sys.executable, "-m", "clary.compute.runner.warm", runtime, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # a Ctrl-C in the terminal is the server's to handle
                env=environment() | SINGLE_THREADED,
            )
        reader, writer = await asyncio.open_connection(sock=ours)
        return cls(process, reader, writer)

    async def fork(self, request: bytes) -> int:
        self._writer.write(request)
        await self._writer.drain()
        answer = await self._reader.readline()
        if not answer:
            raise ConnectionError(f"the warm process {self.process.pid} ended")
        return json.loads(answer)["pid"]

    def end(self) -> None:
        self._writer.close()
        self.process.kill()
        self.process.wait()
