"""The training process, from outside: a process group of its own, forked from this one or spawned."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from typing import Any

from clary.compute.runner import forked
from clary.compute.runner.start_method import environment, resolve, spawn_command, start_method

_PROGRAM = "clary.compute.supervisor.program:run"


class Child:
    """A started training process. `output` is the reading end of its stdout and stderr.

    Start it before the first thread: a fork copies one thread only, and whatever lock another one held stays locked.
    """

    def __init__(self, argument: dict[str, Any]):
        argument = argument | {"parent": os.getpid()}
        go_read, self._go = os.pipe()
        self.output, output_write = os.pipe()
        start = _fork if start_method() == "fork" else _spawn
        self.pid = start(argument, go_read, output_write)
        os.close(go_read)
        os.close(output_write)
        os.set_blocking(self.output, False)

    def go(self) -> None:
        """The data are there: begin."""
        with contextlib.suppress(BrokenPipeError):  # it failed while importing; its exit status says so
            os.write(self._go, b"g")

    def status(self) -> int | None:
        """None while it runs, then its exit code, negative for the signal that killed it. Asks once."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if pid else None

    def signal(self, number: signal.Signals) -> None:
        """Send `number` to the whole group, or to the process alone in the moment before it leads its group."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def _fork(argument: dict[str, Any], stdin: int, output: int) -> int:
    pid = os.fork()
    if pid == 0:
        forked.become(lambda: resolve(_PROGRAM)(argument), stdin, output)
    return pid


def _spawn(argument: dict[str, Any], stdin: int, output: int) -> int:
    process = subprocess.Popen(
        spawn_command(_PROGRAM, argument), stdin=stdin, stdout=output, stderr=output, start_new_session=True, env=environment()
    )
    process.returncode = 0  # `status` waits for it, not this object
    return process.pid
