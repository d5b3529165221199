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
import select
import signal
import socket
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from clary.compute.runner import forked
from clary.compute.runner.start_method import resolve


@dataclass(frozen=True, slots=True)
class Runtime:
    """What a warm process imports.

    first : before its first fork
    idle : one by one while no request waits; a program that is not there yet imports itself after the fork
    hidden : modules that `first` and `idle` must not find: they import them where they are installed, and need them not
    """

    first: tuple[str, ...]
    idle: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()


_JOBS = ("clary.compute.supervisor.main", "clary.compute.supervisor.objects", "clary.sandbox.level")
_PROGRAMS = "clary.algorithms.hosted"
_SCRIPTS = "clary.compute.toolkit.training"
_FRAMES = ("pandas", "pyarrow")
"""scikit-learn imports these where they are installed, for data frames, which no request or channel holds: 130 MB."""
RUNTIMES: dict[str, Runtime] = {
    "bare": Runtime(_JOBS),
    "numpy": Runtime((*_JOBS, "numpy")),
    "numba": Runtime(
        (*_JOBS, "numpy", "scipy.sparse", "numba", "sklearn.base", f"{_PROGRAMS}.serving", f"{_PROGRAMS}.rows"),
        idle=(
            f"{_PROGRAMS}.kmeans",
            f"{_PROGRAMS}.linear_learner",
            f"{_PROGRAMS}.randomcutforest",
            f"{_PROGRAMS}.pca",
            f"{_PROGRAMS}.factorization_machines",
            f"{_PROGRAMS}.ipinsights",
            f"{_PROGRAMS}.lda",
        ),
        hidden=_FRAMES,
    ),
    "faiss": Runtime((*_JOBS, "numpy", "scipy.sparse"), idle=(f"{_PROGRAMS}.knn",), hidden=_FRAMES),
    "xgboost": Runtime(
        (*_JOBS, "numpy", "scipy.sparse", "xgboost", f"{_PROGRAMS}.xgboost.training", f"{_PROGRAMS}.xgboost.serving"),
        idle=("clary.algorithms.trees.forest",),
        hidden=("sklearn", "pandas"),  # for interfaces that no program of it here uses: 0.6 s and 65 MB
    ),
    "scikit-learn": Runtime(
        (*_JOBS, _SCRIPTS, "numpy", "joblib", "pandas", "sklearn.ensemble", "sklearn.model_selection"),
        idle=("sklearn.linear_model", "sklearn.pipeline", "sklearn.compose", "sklearn.svm", "sklearn.datasets", "xgboost"),
    ),
    "torch": Runtime((*_JOBS, _SCRIPTS, "numpy", "torch"), idle=("pandas", "torch.utils.data")),
}
"""None of the modules may start a thread when imported."""

SINGLE_THREADED = {
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}
"""Set while importing: OpenBLAS otherwise starts its threads when it is loaded, and a fork copies only one thread."""


def main(runtime: str, descriptor: int) -> None:
    """Serve the control socket `descriptor` until the server closes it."""
    known = RUNTIMES[runtime]
    preload(known.first, known.hidden)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps what we fork; nobody asks for its status
    control = socket.socket(fileno=descriptor)
    with control, control.makefile("rb") as requests:
        for name in known.idle:
            while select.select([control], [], [], 0)[0]:
                if not _serve(control, requests.readline()):
                    return
            preload([name], known.hidden)
        while _serve(control, requests.readline()):
            pass


def _serve(control: socket.socket, line: bytes) -> bool:
    """Fork what `line` asks for; False at the end of the requests."""
    if not line:
        return False
    request = json.loads(line)
    pid = os.fork()
    if pid == 0:
        _become(request)
    control.sendall(json.dumps({"pid": pid}).encode() + b"\n")
    return True


def preload(names: Sequence[str], hidden: Sequence[str] = ()) -> None:
    """Import modules and call the `preload()` of those that have one.

    A missing module is reported here and again, with its reason, by the program that needs it.
    """
    with _hidden(hidden):
        for name in names:
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
    del sys.path[0]  # the server's working directory: what lies there is not for jobs to import
    main(sys.argv[1], int(sys.argv[2]))
