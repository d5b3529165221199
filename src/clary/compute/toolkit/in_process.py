"""Runs a script as `python script.py` would, in this process, which has the script's libraries imported already."""

from __future__ import annotations

import atexit
import builtins
import contextlib
import os
import sys
import threading
import types
from collections.abc import Sequence
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import TracebackType
from typing import NoReturn


def run(script: Path, arguments: Sequence[str], name: str) -> NoReturn:
    """Run `script`, whose `sys.argv` is `[name, *arguments]`, and leave with its exit status (`SystemExit`)."""
    make_lines_visible()
    use_all_processors()
    sys.argv = [name, *arguments]
    sys.path.insert(0, str(script.parent))
    module = types.ModuleType("__main__")
    module.__file__, module.__builtins__ = str(script), builtins  # type: ignore[attr-defined]
    module.__loader__ = SourceFileLoader("__main__", str(script))
    sys.modules["__main__"] = module
    status = _status_of(script, module)
    threading._shutdown()  # type: ignore[attr-defined]  # waits for the script's threads, as the end of an interpreter does
    atexit._run_exitfuncs()
    raise SystemExit(status)


def _status_of(script: Path, module: types.ModuleType) -> int:
    try:
        exec(compile(script.read_bytes(), str(script), "exec"), module.__dict__)
    except SystemExit as leaving:
        return _status(leaving.code)
    except BaseException as error:
        error = error.with_traceback(_of_the_script(error.__traceback__, script))
        sys.excepthook(type(error), error, error.__traceback__)
        return 130 if isinstance(error, KeyboardInterrupt) else 1
    return 0


def _status(code: object) -> int:
    """The exit status of `sys.exit(code)`."""
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)
    return 1


def _of_the_script(trace: TracebackType | None, script: Path) -> TracebackType | None:
    """The traceback from the script's first frame on: a script that does not compile has none."""
    while trace and trace.tb_frame.f_code.co_filename != str(script):
        trace = trace.tb_next
    return trace


def make_lines_visible() -> None:
    """Lines reach the log when they are printed, whatever the encoding of the server's own terminal."""
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        getattr(sys, name).flush()
        stream = open(descriptor, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def use_all_processors() -> None:
    """Libraries were loaded with one thread (`runner/warm.SINGLE_THREADED`), for the fork; now they may have them all."""
    for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.pop(name, None)
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(processors)
    if "numpy" in sys.modules:
        with contextlib.suppress(ImportError):
            from threadpoolctl import threadpool_limits

            threadpool_limits(limits=processors, user_api="blas")
