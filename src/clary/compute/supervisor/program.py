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
from clary.compute.supervisor.failures import describe
from clary.compute.toolkit.errors import CommandFailed
from clary.sandbox import Profile, confine, environment, isolate, place

CUSTOMER_ERROR_EXIT, ALGORITHM_ERROR_EXIT = 2, 1
FAILURE = "clary-failure.json"
"""In the program's `/tmp`: the description of its failure."""


def run(argument: dict[str, Any]) -> None:
    """Run `argument["program"]`, confined to `argument["profile"]`, once the supervisor says go (one byte on stdin).

    Imports come first: they are our own code, and Python may keep what it compiles. They and the confinement come before the
    go, so that they overlap with the download. When stdin ends without it, there is nothing to do. `argument["prepare"]`,
    where there is one, is called after it and not confined: it may do what the program itself may not.
    A failure's description goes to the file `FAILURE`, its exit status to the supervisor.
    """
    die_with_parent(argument["parent"])
    profile = Profile.parse(argument["profile"])
    failure = profile.write["/tmp"] / FAILURE
    os.environ.update(environment(profile) | argument["environment"])
    try:
        prepare, program = (resolve(argument[step]) if step in argument else None for step in ("prepare", "program"))
        assert program is not None, "every job has one"
        if not prepare:
            confine(profile)
        if not os.read(0, 1):
            return
        if not sys.platform.startswith("linux"):
            threading.Thread(target=_die_with_lifeline, daemon=True).start()
        if prepare:
            isolate(profile)
            prepare(profile.write["/opt/ml"])
            _say_where(place(profile, "/opt/ml"))
            confine(profile)
        failure = place(profile, "/tmp") / FAILURE
        program(place(profile, "/opt/ml"))
    except Exception as error:
        report(error, failure)


def _say_where(opt_ml: Path) -> None:
    """A script may name paths that only a container would have."""
    if str(opt_ml) != "/opt/ml":
        print(
            f"Clary: this process cannot have an /opt/ml of its own; its files are in {opt_ml}. "
            "Scripts that name paths below /opt/ml need Linux with user namespaces, or a server that root started.",
            flush=True,
        )


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
