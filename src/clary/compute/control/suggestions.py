"""The server's end of the advisor: the process is started with the first question and ends when nobody asks any more."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import orjson

from clary.compute.runner.start_method import environment

_LONGEST_ANSWER = 1 << 20
_SINGLE_THREADED = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Small matrices; and sums are taken in the same order every time, so that a question always has the same answer."""


class NoSuggestion(Exception):
    """The advisor failed at a question; its traceback is the message."""


class Suggestions:
    """Questions of all tuning jobs, one after the other."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def ask(self, question: dict[str, Any]) -> dict[str, float | int | str] | None:
        """What to try next; None when there is nothing left. A process that died is replaced once.

        Raises `NoSuggestion`.
        """
        async with self._turn:
            try:
                answer = await self._answer(question)
            except (ConnectionError, asyncio.IncompleteReadError):
                self._discard()
                answer = await self._answer(question)
        if "error" in answer:
            raise NoSuggestion(answer["error"])
        return answer["values"]

    async def _answer(self, question: dict[str, Any]) -> dict[str, Any]:
        process = await self._ready()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(orjson.dumps(question) + b"\n")
            await process.stdin.drain()
            return orjson.loads(await process.stdout.readuntil(b"\n"))
        except asyncio.CancelledError:
            self._discard()  # its answer would be taken for that of the next question
            raise

    async def _ready(self) -> asyncio.subprocess.Process:
        if self._process is None or _is_gone(self._process):
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "clary.compute.control.advisor",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=environment() | _SINGLE_THREADED,
                start_new_session=True,
                limit=_LONGEST_ANSWER,
            )
        return self._process

    def _discard(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
        self._process = None

    async def close(self) -> None:
        """End the process. The next question starts another."""
        process = self._process
        self._discard()
        if process is not None:
            await process.wait()


def _is_gone(process: asyncio.subprocess.Process) -> bool:
    """Whether it ended while nobody asked it anything."""
    return process.returncode is not None or process.stdin is None or process.stdin.is_closing()
