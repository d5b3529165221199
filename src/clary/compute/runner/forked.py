"""The first moments of a forked process: it cuts every tie to the process it is a copy of."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

_DEFAULT_SIGNALS = (signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def become(work: Callable[[], object], stdin: int, output: int) -> NoReturn:
    """In a fork: lead a session of our own with these descriptors and no others, do `work`, and end.

    The exit status is that of `sys.exit` in `work`, 0 when it returns, and 1, with a traceback on `output`, when it raises.
    """
    code = 1
    try:
        os.setsid()
        for source, target in ((stdin, 0), (output, 1), (output, 2)):
            os.dup2(source, target)
        _close_other_descriptors()
        signal.set_wakeup_fd(-1)
        for number in _DEFAULT_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _reseed()
        work()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        _leave(code)


def _leave(code: int) -> NoReturn:
    """Flush, then go without the exit handlers, which belong to the process this one was forked from."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # a closed pipe or a full disk cannot keep us here
            stream.flush()
    os._exit(code)


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
