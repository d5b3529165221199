"""What the toolkits say when a script cannot run, or has failed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence


class CustomerError(Exception):
    """The user's to mend: a bad entry point, a framework that is not installed. `supervisor/failures.py` knows the name."""


class CommandFailed(Exception):
    """A program that the toolkit started failed. `kind` is the name that the toolkit gives the failure."""

    def __init__(self, kind: str, code: int, output: Sequence[str], command: Sequence[str]):
        super().__init__(worded(kind, code, told(output), command))


LONGEST = 900
"""Characters of a worded failure: with what comes before and after it fits into a FailureReason of 1,024."""
_LONGEST_COMMAND = 300
_LAST_LINES = 5
_TRACEBACK = "Traceback (most recent call last):"
_ERROR = re.compile(r"^(\w+\.)*\w*(Error|Exception|Interrupt|Warning|Exit)\b|\b\w+Error\b")


def worded(kind: str, code: int, output: str, command: Sequence[str], extra: str = "") -> str:
    """`kind`, exit code, what was printed last and the command, in the training toolkit's own form."""
    shown = shlex.join(command)
    shown = shown if len(shown) <= _LONGEST_COMMAND else f"{shown[:_LONGEST_COMMAND]}…"
    more = f'\nExtraInfo "{extra}"' if extra else ""
    head, tail = f'{kind}:\nExitCode {code}\nErrorMessage "', f'"{more}\nCommand "{shown}"'
    return head + output[max(0, len(output) - max(0, LONGEST - len(head) - len(tail))) :] + tail


def told(lines: Sequence[str]) -> str:
    """The part of a program's last lines that says why it failed: the exception of the last traceback, or the end."""
    lines = [line.rstrip() for line in lines if line.strip()]
    traces = [at for at, line in enumerate(lines) if line.strip() == _TRACEBACK]
    if traces:
        after = lines[traces[-1] + 1 :]
        raised = next((at for at, line in enumerate(after) if not line[0].isspace()), len(after))
        if raised < len(after):
            return "\n".join(after[raised:])
    first = next((at for at, line in enumerate(lines) if _ERROR.search(line)), len(lines))
    return "\n".join(lines[max(first, len(lines) - _LAST_LINES) :] or lines[-_LAST_LINES:])


def traceback_of(lines: Sequence[str]) -> str:
    """The last traceback among the lines of a log, `""` when there is none."""
    traces = [at for at, line in enumerate(lines) if line.strip() == _TRACEBACK]
    return "\n".join(lines[traces[-1] :]) if traces else ""
