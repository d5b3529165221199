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
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from clary.compute.runner import forked
from clary.compute.runner.start_method import resolve

_JOBS = ("clary.compute.supervisor.main", "clary.compute.supervisor.objects")
RUNTIMES: dict[str, tuple[str, ...]] = {
    "bare": (*_JOBS,),
    "numpy": (*_JOBS, "numpy"),
    "numba": (
        *_JOBS,
        "numpy",
        "scipy.sparse",
        "clary.algorithms.hosted.factorization_machines",
        "clary.algorithms.hosted.ipinsights",
        "clary.algorithms.hosted.kmeans",
        "clary.algorithms.hosted.lda",
        "clary.algorithms.hosted.linear_learner",
        "clary.algorithms.hosted.pca",
        "clary.algorithms.hosted.randomcutforest",
    ),
    "faiss": (*_JOBS, "numpy", "scipy.sparse", "clary.algorithms.hosted.knn"),
    "xgboost": (
        *_JOBS,
        "numpy",
        "scipy.sparse",
        "xgboost",
        "clary.algorithms.hosted.xgboost.training",
        "clary.algorithms.hosted.xgboost.serving",
    ),
}
"""Runtime -> modules to import before the first fork. None of them may start a thread when imported."""

_HIDDEN = {"xgboost": ("sklearn", "pandas")}
"""XGBoost imports these where they are installed, for interfaces that no program of it here uses: 0.6 s and 65 MB."""

SINGLE_THREADED = {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Set while importing: OpenBLAS otherwise starts its threads when it is loaded, and a fork copies only one thread."""


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
    """Import the modules of `runtime` and call the `preload()` of those that have one.

    A missing module is reported here and again, with its reason, by the program that needs it.
    """
    with _hidden(_HIDDEN.get(runtime, ())):
        for name in RUNTIMES[runtime]:
            try:
                module = importlib.import_module(name)
            except ImportError:
                traceback.print_exc()
                continue
            getattr(module, "preload", lambda: None)()
    gc.collect()
    gc.freeze()  # keeps the collector from touching, and so copying, the pages that every fork shares


@contextlib.contextmanager
def _hidden(names: Sequence[str]) -> Iterator[None]:
    """Make imports of `names` fail as if they were not installed; afterwards programs can import them."""
    hidden = {name: None for name in names if name not in sys.modules}
    sys.modules.update(hidden)  # type: ignore[arg-type]
    yield
    for name in hidden:
        del sys.modules[name]


def _become(request: dict[str, Any]) -> NoReturn:
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(request["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    forked.become(lambda: resolve(request["target"])(request["argument"]), nothing, output)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
