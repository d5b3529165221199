"""The life of one job host, in order: lock, layout, data, training, checkpoints, upload, exit record."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import signal
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clary.compute.runner import job_directory, lock
from clary.compute.runner.observation import Observation
from clary.compute.supervisor import beneath, channels, failures, feeding, upload
from clary.compute.supervisor.checkpoints import Checkpoints
from clary.compute.supervisor.child import Child
from clary.compute.supervisor.failures import JobError, PeerLost, StopRequested
from clary.compute.supervisor.journal import JobJournal
from clary.compute.supervisor.layout import CHECKPOINTS, environment, lay_out
from clary.compute.supervisor.objects import Objects, parse_uri
from clary.compute.supervisor.peers import Peers
from clary.compute.supervisor.program import FAILURE
from clary.compute.supervisor.record import ExitRecord, Outcome, cause_of, is_consequence
from clary.compute.supervisor.script import Script
from clary.compute.supervisor.spec import OptMl, Spec
from clary.compute.supervisor.watch import Ending, Signals, watch
from clary.sandbox import Profile, SandboxUnavailable, check, give, notice, owner

DEFAULT_MAX_RUNTIME = 86400


def run(argument: dict[str, Any]) -> None:
    """Run the job host in `argument["directory"]`, unless some supervisor already did or does."""
    supervise(argument, Supervisor)


def supervise(argument: dict[str, Any], supervisor: type[Supervisor]) -> None:
    os.umask(0o022)  # what is made here is for the program, which may be another user's; the directory itself is closed
    directory = Path(argument["directory"])
    signals = Signals.install()
    if lock.take(directory):
        supervisor(directory, signals).run()


@contextlib.contextmanager
def naming(step: str) -> Iterator[None]:
    """Say in the reason of a failure which step it was."""
    try:
        yield
    except JobError as error:
        raise JobError(f"{step}: {error}") from error


class Supervisor:
    """One run of one host of a training job; `supervisor/processing.py` has that of a processing job."""

    RUNNING = "Training"
    """The status of a job whose program runs."""

    def __init__(self, directory: Path, signals: Signals):
        self.directory = directory
        self.signals = signals
        self.spec = Spec.parse(json.loads((directory / job_directory.SPEC).read_text()))
        self.opt_ml = OptMl.of(directory)
        self.journal = JobJournal(directory, self.spec.metrics)
        self.record = ExitRecord(started=time.time())
        self.objects = Objects(Path(self.spec.server_file), self.spec.region, self.spec.credentials, signals.stopping)
        self.checkpoints: Checkpoints | None = None
        self.script = self._script() if self.spec.script else None
        self.intermediate: Checkpoints | None = None
        self.profile = Profile(
            write={"/opt/ml": self.opt_ml.root, "/tmp": directory / "tmp"},
            read=self.script.read if self.script else {},
            hidden=Path(self.spec.server_file).parent,
            internet=not self.spec.is_isolated,
            demand=self.spec.sandbox,
        )
        self.peers = Peers(directory, self.spec, signals.stopping, owner(self.profile))

    def run(self) -> None:
        """Everything, ending in an exit record whatever happens short of being killed."""
        if (self.directory / job_directory.STOP).exists():
            self.signals.stopping.set()
        try:
            self._run_program()
        except StopRequested:
            self.record.outcome = "Stopped"
        except JobError as error:
            self._fail(f"ClientError: {error}", failures.describe(error))
        except PeerLost as error:
            self._fail(f"AlgorithmError: {error}", failures.describe(error))
        except Exception as error:
            traceback.print_exc()
            self._fail(f"InternalServerError: {type(error).__name__}: {error}", failures.describe(error))
        self.record.metrics = self.journal.final_metrics
        self.record.ended = time.time()
        job_directory.write_json(self.directory / job_directory.EXIT, self.record.document())
        self.peers.forget()
        for unneeded in (self._copies(), self.profile.write["/tmp"]):
            shutil.rmtree(unneeded, ignore_errors=True)
        (self.directory / job_directory.SPEC).unlink()  # it holds credentials

    def _script(self) -> Script:
        return Script(self.spec, self.opt_ml)

    def _copies(self) -> Path:
        """What is in S3 too, and not kept here."""
        return self.opt_ml.data

    def _lay_out(self) -> None:
        lay_out(self.opt_ml, self.spec)

    def _run_program(self) -> None:
        self._lay_out()
        self._check_sandbox()
        kills = failures.kernel_kills()
        child = Child(self._argument())  # before the first thread; it imports while the data come
        try:
            self._get_ready()
            give(self.profile)
            self.journal.status(self.RUNNING)
            child.go()
            self.record.training_started = time.time()
            ending = watch(child, self.journal, self.signals, self._max_runtime())
        except BaseException:
            child.signal(signal.SIGKILL)
            raise
        self.record.training_ended = time.time()
        self.record.exit_code = ending.code
        self._judge(ending, failures.kernel_kills() > kills)
        self._keep_results()

    def _keep_results(self) -> None:
        for kept, step in ((self.checkpoints, "Checkpoint upload failed"), (self.intermediate, "Intermediate upload failed")):
            if kept:
                with naming(step):
                    kept.finish()
        if self.spec.is_first_host:
            with naming("Artifact upload failed"):
                self._upload()

    def _check_sandbox(self) -> None:
        """Raises `JobError` when the program must not run here."""
        give(self.profile)
        try:
            check(self.profile)
        except SandboxUnavailable as error:
            raise JobError(str(error)) from error
        if warning := notice(self.profile):
            self.journal.log([warning])

    def _get_ready(self) -> None:
        """Everything that the program needs, and what it would be a pity to find missing when it has ended."""
        self.journal.status("Downloading")
        with naming("Artifact upload failed"):
            self.objects.check_bucket(parse_uri(self.spec.output["S3OutputPath"])[0])
        with naming("Data download failed"):
            self._feed()
        if self.script:
            self._get_script_ready(self.script)
        if self.spec.checkpoints:
            with naming("Checkpoint download failed"):
                self.checkpoints = self._restored(self.spec.checkpoints)
            self.checkpoints.start()

    def _get_script_ready(self, script: Script) -> None:
        with naming("Source download failed"):
            script.fetch(self.objects)
        if uri := script.intermediate_output:
            directory, scratch = self.opt_ml.root / "output" / "intermediate", self.directory / "intermediate.part"
            directory.mkdir(exist_ok=True)
            self.intermediate = Checkpoints(self.objects, uri, self.opt_ml.root, directory, scratch, self.signals.failed)
            self.intermediate.start()

    def _restored(self, config: dict[str, Any]) -> Checkpoints:
        directory = self.opt_ml.below(config.get("LocalPath", CHECKPOINTS))
        scratch = self.directory / "checkpoint.part"
        checkpoints = Checkpoints(self.objects, config["S3Uri"], self.opt_ml.root, directory, scratch, self.signals.failed)
        checkpoints.restore(self.objects)
        return checkpoints

    def _argument(self) -> dict[str, Any]:
        of_script = self.script.environment(self.objects.address()) if self.script else {}
        return {
            "program": self.spec.program,
            "profile": self.profile.document(),
            "environment": of_script | self._environment(),
            **(self.script.argument() if self.script else {}),
        }

    def _environment(self) -> dict[str, str]:
        return environment(self.spec) | self.peers.meeting_place()

    def _max_runtime(self) -> int:
        return self.spec.request.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME)

    def _feed(self) -> None:
        """File channels are complete when this returns, the others ready to be opened."""
        failed = self.signals.failed
        for channel in channels.resolve(self.objects, self.spec):
            directory = self.opt_ml.data / channel.name
            match channel.mode:
                case "Pipe":
                    feeding.PipeFeeder(self.objects, channel, self.opt_ml.data, failed).start()
                case "FastFile":
                    feeding.show_fast_files(self.objects, channel, directory, self.directory / "scratch", failed)
                case _:
                    feeding.download(self.objects, channel, directory)

    def _judge(self, ending: Ending, out_of_memory: bool) -> None:
        """What the program's end means for the job."""
        failure = failures.told(self.profile.write["/tmp"] / FAILURE)
        if ending.cause == "failed":
            error = self.signals.failure or JobError("a channel failed")
            prefix = "ClientError" if isinstance(error, JobError) else "InternalServerError"
            self._fail(f"{prefix}: {error}", failures.describe(error))
        elif ending.cause == "stopped":
            self.record.outcome = "Stopped"
        elif ending.cause == "deadline":
            self.record.outcome = "MaxRuntimeExceeded"
        elif ending.code == 0:
            self.record.outcome = "Completed"
        else:
            if self.script and failure is None:
                failure = self.script.failure(ending.code, list(self.journal.last_lines), out_of_memory)
            self._fail(failures.reason(ending.code, failure, self._failure_file(), out_of_memory), failure)

    def _failure_file(self) -> str:
        """The first bytes of what the program itself wrote to `/opt/ml/output/failure`."""
        return beneath.read_text(self.opt_ml.root, self.opt_ml.failure, failures.LONGEST_REASON)

    def _fail(self, reason: str, failure: dict[str, str] | None) -> None:
        """The first failure is the job's; what fails after it, only we want to know."""
        if self.record.reason:
            print(f"after {self.record.reason!r}: {reason}")
            return
        host = f", host: {self.spec.host}" if len(self.spec.hosts) > 1 else ""
        self.record.outcome = "Failed"
        self.record.reason = reason[: failures.LONGEST_REASON - len(host)] + host
        self.record.failure = failures.for_why(failure, list(self.journal.last_lines))

    def _upload(self) -> None:
        """The first host's part: the model of a job none of whose hosts failed, and whatever they left in output/data."""
        outcome = self.record.outcome
        others = self.peers.endings(outcome)
        hosts = [self.opt_ml, *(OptMl.of(host) for host, seen in others.items() if seen.state == "EXITED")]
        models, outputs = [(host.root, host.model) for host in hosts], [(host.root, host.output_data) for host in hosts]
        store = functools.partial(upload.store, self.objects.unstoppable(), job=self.spec.name, output=self.spec.output)
        if _is_whole(outcome, list(others.values())) and (outcome == "Completed" or upload.union(models)):
            self.journal.status("Uploading")
            self.record.artifact, self.record.artifact_bytes = store(models, "model")
        if upload.union(outputs):
            store(outputs, "output")


def _is_whole(outcome: Outcome, others: list[Observation]) -> bool:
    """Whether what the hosts left is a model: of a job that completed everywhere, or was ended from outside everywhere."""
    records = [seen.record for seen in others if seen.record is not None]
    if outcome == "Failed" or cause_of(records) or any(seen.state == "LOST" for seen in others):
        return False
    return outcome != "Completed" or (len(records) == len(others) and not any(is_consequence(record) for record in records))
