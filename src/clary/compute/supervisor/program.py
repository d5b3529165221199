"""The training process, from inside: waits for its data, runs the algorithm, says why when it fails."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from clary.compute.runner import job_directory
from clary.compute.runner.start_method import die_with_parent, resolve
from clary.compute.supervisor import own_opt_ml
from clary.compute.supervisor.failures import describe
from clary.compute.toolkit.errors import CommandFailed

CUSTOMER_ERROR_EXIT, ALGORITHM_ERROR_EXIT = 2, 1


def run(argument: dict[str, Any]) -> None:
    """Run `argument["program"]` on `argument["opt_ml"]` once the supervisor says go (one byte on stdin).

    `argument["prepare"]`, which a script has, is called before it: it may do what the program itself may not.
    Imports come before the go, so that they overlap with the download. When stdin ends without it, there is nothing to do.
    A failure's description goes to the file `argument["failure"]`, its exit status to the supervisor.
    """
    die_with_parent(argument["parent"])
    os.environ.update(argument["environment"])
    try:
        prepare, program = (resolve(argument[step]) if step in argument else None for step in ("prepare", "program"))
        assert program is not None, "every job has one"
        if not os.read(0, 1):
            return
        if not sys.platform.startswith("linux"):
            threading.Thread(target=_die_with_lifeline, daemon=True).start()
        opt_ml = Path(argument["opt_ml"])
        if prepare:
            prepare(opt_ml)
            opt_ml = _own(opt_ml)
            die_with_parent(argument["parent"])  # other namespaces may have cancelled it
        program(opt_ml)
    except Exception as error:
        report(error, Path(argument["failure"]))


def _own(opt_ml: Path) -> Path:
    """Where the program finds `opt_ml`: at `/opt/ml`, where the kernel allows it."""
    try:
        return own_opt_ml.show(opt_ml)
    except OSError as error:
        print(
            f"Clary: this process cannot have an /opt/ml of its own ({error.strerror or error}); its files are in {opt_ml}. "
            "Scripts that name paths below /opt/ml need Linux with user namespaces, or a server that root started.",
            flush=True,
        )
        return opt_ml


def report(error: Exception, to: Path) -> None:
    """Say why the program fails: in its log, in the file `to`, and by its exit status."""
    failure = describe(error)
    if failure["prefix"] == "ClientError" or isinstance(error, CommandFailed):
        print(f"{failure['type']}: {error}", file=sys.stderr)
    else:
        traceback.print_exception(error)
    job_directory.write_json(to, failure)
    sys.exit(CUSTOMER_ERROR_EXIT if failure["prefix"] == "ClientError" else ALGORITHM_ERROR_EXIT)


def _die_with_lifeline() -> None:
    """Where the kernel does not tell of a parent's death, the end of stdin does."""
    os.read(0, 1)
    os._exit(1)
