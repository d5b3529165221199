"""A warm process: imports what a runtime needs once, then forks a copy of itself for every request.

It has one thread and one file descriptor beside the standard ones, the control socket; when the server at its other end
goes, so does the warm process. What it forked lives on: every copy leads a session of its own.

Request, one JSON line: `{"target": "module:function", "argument": …, "log": path}`; answer, one JSON line: `{"pid": n}`.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import sys
import traceback
from typing import Any, NoReturn

from clary.compute.runner.start_method import resolve

_JOBS = ("clary.compute.supervisor.main", "clary.compute.supervisor.program")
RUNTIMES: dict[str, tuple[str, ...]] = {
    "bare": (*_JOBS,),
    "numpy": (*_JOBS, "numpy"),
    "xgboost": (*_JOBS, "numpy", "scipy.sparse", "xgboost"),
}
"""Runtime -> modules to import before the first fork. None of them may start a thread when imported."""

SINGLE_THREADED = {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Set while importing: OpenBLAS otherwise starts its threads when it is loaded, and a fork copies only one thread."""

_DEFAULT_SIGNALS = (signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def main(runtime: str, descriptor: int) -> None:
    """Preload `runtime`, then serve the control socket `descriptor` until the server closes it."""
    preload(runtime)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps what we fork; nobody asks for its status
    control = socket.socket(fileno=descriptor)
    with control, control.makefile("rb") as requests:
        for line in requests:
            request = json.loads(line)
            pid = os.fork()
            if pid == 0:
                _become(request)
            control.sendall(json.dumps({"pid": pid}).encode() + b"\n")


def preload(runtime: str) -> None:
    """Import the modules of `runtime`; a missing one is reported here and again, with its reason, by the program that needs it."""
    for module in RUNTIMES[runtime]:
        try:
            importlib.import_module(module)
        except ImportError:
            traceback.print_exc()
    gc.collect()
    gc.freeze()  # keeps the collector from touching, and so copying, the pages that every fork shares


def _become(request: dict[str, Any]) -> NoReturn:
    """In the fork: cut every tie to the warm process, then run the target."""
    code = 1
    try:
        os.setsid()
        _redirect(request["log"])
        _close_other_descriptors()
        for number in _DEFAULT_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _reseed()
        resolve(request["target"])(request["argument"])
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        leave(code)


def leave(code: int) -> NoReturn:
    """End a forked process: flush, then go without the exit handlers that belong to the process it was forked from."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # a closed pipe or a full disk cannot keep us here
            stream.flush()
    os._exit(code)


def _redirect(log: str) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)


def _close_other_descriptors() -> None:
    try:
        opened = [int(name) for name in os.listdir("/proc/self/fd")]
    except FileNotFoundError:
        opened = list(range(3, 256))
    for descriptor in opened:
        if descriptor > 2:
            with contextlib.suppress(OSError):  # the listing's own descriptor is closed already
                os.close(descriptor)


def _reseed() -> None:
    """numpy's global generator would otherwise give every fork the same numbers; `random` reseeds itself."""
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
