"""Beside a transform: starts the program, records its output, ends it when asked, leaves the exit record."""

from __future__ import annotations

import json
import shutil
import signal
import time
import traceback
from pathlib import Path
from typing import Any

from clary.compute.hosting.transform.spec import TransformSpec
from clary.compute.runner import job_directory, lock
from clary.compute.supervisor import failures
from clary.compute.supervisor.child import Child
from clary.compute.supervisor.journal import JobJournal
from clary.compute.supervisor.program import FAILURE
from clary.compute.supervisor.record import ExitRecord
from clary.compute.supervisor.watch import Ending, Signals, watch
from clary.sandbox import Profile, give

PROGRAM = "clary.compute.hosting.transform.program:run"
MAX_RUNTIME_SECONDS = 5 * 86400
"""SageMaker's own limit for a transform job."""


def run(argument: dict[str, Any]) -> None:
    """Run the transform in `argument["directory"]`, unless some supervisor already did or does."""
    directory = Path(argument["directory"])
    signals = Signals.install()
    if lock.take(directory):
        _supervise(directory, signals)


def _supervise(directory: Path, signals: Signals) -> None:
    """Everything, ending in an exit record whatever happens short of being killed."""
    spec = TransformSpec(**json.loads((directory / job_directory.SPEC).read_text()))
    journal = JobJournal(directory, ())
    record = ExitRecord(started=time.time(), training_started=time.time())
    if (directory / job_directory.STOP).exists():
        signals.stopping.set()
    try:
        _run_program(spec, directory, signals, journal, record)
    except Exception as error:
        traceback.print_exc()
        record.outcome, record.reason = "Failed", f"InternalServerError: {type(error).__name__}: {error}"
        record.failure = failures.for_why(failures.describe(error), list(journal.last_lines))
    for unneeded in ("opt", "tmp"):  # copies and scraps; what was made of them is in S3
        shutil.rmtree(directory / unneeded, ignore_errors=True)
    record.ended = record.training_ended = time.time()
    job_directory.write_json(directory / job_directory.EXIT, record.document())


def _run_program(spec: TransformSpec, directory: Path, signals: Signals, journal: JobJournal, record: ExitRecord) -> None:
    profile = Profile(
        write={"/opt/ml": directory / "opt" / "ml", "/tmp": directory / "tmp"},
        read={},
        hidden=Path(spec.server_file).parent,
        demand="off",  # the program reads and writes S3 itself
    )
    give(profile)
    argument = {"program": PROGRAM, "profile": profile.document()}
    kills = failures.kernel_kills()
    child = Child(argument | {"environment": {"PYTHONUNBUFFERED": "1"} | spec.container_environment()})
    child.go()
    ending = watch(child, journal, signals, MAX_RUNTIME_SECONDS)
    record.exit_code = ending.code
    failure = failures.told(profile.write["/tmp"] / FAILURE)
    record.outcome, cause = _judge(ending, failure, spec, failures.kernel_kills() > kills)
    if cause:
        journal.log([cause])
        record.reason = f"{_prefix(failure)}: See job logs for more information. Cause: {cause}"[: failures.LONGEST_REASON]
        record.failure = failures.for_why(failure, list(journal.last_lines))


def _prefix(failure: dict[str, str] | None) -> str:
    return failure["prefix"] if failure else "AlgorithmError"


def _judge(ending: Ending, failure: dict[str, str] | None, spec: TransformSpec, out_of_memory: bool) -> tuple[Any, str]:
    """Outcome and, for a failure, its cause."""
    if ending.cause == "stopped":
        return "Stopped", ""
    if ending.cause == "exited" and ending.code == 0:
        return "Completed", ""
    if ending.code == -signal.SIGALRM:
        return "Failed", f"the model did not answer within InvocationsTimeoutInSeconds ({spec.timeout_seconds})"
    if ending.cause == "deadline":
        return "Failed", f"the job ran longer than {MAX_RUNTIME_SECONDS} seconds"
    if failure:
        return "Failed", failure["message"]
    hint = "; memory ran out: use a smaller MaxPayloadInMB or MaxConcurrentTransforms" if out_of_memory else ""
    return "Failed", f"the model's process ended with exit code {ending.code}{hint}"
