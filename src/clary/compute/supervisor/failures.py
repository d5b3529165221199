"""Why a job failed: the reason a client reads, and what `clary why` adds to it."""

from __future__ import annotations

import json
import signal
import traceback
from pathlib import Path
from typing import Any

from clary.compute.supervisor import beneath
from clary.sandbox import SandboxUnavailable

LONGEST_REASON = 1024
_LONGEST_KEPT_LINE = 1000
_LONGEST_TOLD = 1 << 20


class JobError(Exception):
    """The job cannot go on, and it is the user's to mend: bad channels, missing objects, denied access."""


class StopRequested(Exception):
    """Somebody asked the job to stop while it was getting ready."""


class PeerLost(Exception):
    """Another host of the job is gone; its own failure is the cause. The train programs have an exception of this name too."""


def describe(error: BaseException) -> dict[str, str]:
    """What a failed program leaves about its exception: who must mend it, type, message and the end of the traceback."""
    # the train programs' CustomerError lives in a room that compute never imports
    customer = isinstance(error, JobError) or any(kind.__name__ == "CustomerError" for kind in type(error).__mro__)
    ours = isinstance(error, SandboxUnavailable)
    return {
        "prefix": "ClientError" if customer else "InternalServerError" if ours else "AlgorithmError",
        "type": type(error).__name__,
        "message": str(error) or type(error).__name__,
        "traceback": "".join(traceback.format_exception(error))[-4000:],
    }


def reason(code: int, failure: dict[str, str] | None, failure_file: str, out_of_memory: bool) -> str:
    """FailureReason of a program that ended with `code` (negative: the signal that killed it), at most 1024 characters.

    The program's own `/opt/ml/output/failure` comes first, then its exception, then the bare fact.
    """
    if failure_file.strip():
        text = failure_file[:LONGEST_REASON].strip()
        text = text if text.startswith(("AlgorithmError", "ClientError")) else f"AlgorithmError: {text}"
    elif failure:
        text = f"{failure['prefix']}: {failure['message']}"
    elif code < 0:
        text = f"AlgorithmError: the training process was killed by {_signal_name(-code)}"
        text += "; memory ran out and the kernel chose it (use less data, or a smaller model)" if out_of_memory else ""
    else:
        text = "AlgorithmError: the training process failed without giving a reason; see the job's log"
    suffix = f", exit code: {128 - code if code < 0 else code}"
    return text[: LONGEST_REASON - len(suffix)] + suffix


def told(file: Path) -> dict[str, str] | None:
    """What a program left about its exception (`describe`), as far as it is that: the file is the program's, so anything."""
    try:
        content = json.loads(beneath.read_text(file.parent, file, _LONGEST_TOLD))
        return {part: str(content[part]) for part in ("prefix", "type", "message", "traceback")}
    except (ValueError, KeyError, TypeError):
        return None


def _signal_name(number: int) -> str:
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        return f"signal {number}"


def kernel_kills() -> int:
    """How many processes the kernel has killed for want of memory since it booted; 0 where it does not say."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def for_why(failure: dict[str, str] | None, last_lines: list[str]) -> dict[str, Any]:
    """`exit.json`'s `failure`: exception type, message, traceback tail and the last lines of the log."""
    return (failure or {}) | {"log": [line[:_LONGEST_KEPT_LINE] for line in last_lines]}
