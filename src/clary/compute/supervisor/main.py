"""The life of one job host, in order: lock, layout, data, training, upload, exit record."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clary.compute.runner import job_directory, lock
from clary.compute.supervisor import channels, failures, feeding, upload
from clary.compute.supervisor.child import Child
from clary.compute.supervisor.failures import JobError, StopRequested
from clary.compute.supervisor.journal import JobJournal
from clary.compute.supervisor.layout import environment, lay_out
from clary.compute.supervisor.objects import Objects
from clary.compute.supervisor.record import ExitRecord
from clary.compute.supervisor.spec import OptMl, Spec
from clary.compute.supervisor.watch import Ending, Signals, watch

DEFAULT_MAX_RUNTIME = 86400


def run(argument: dict[str, Any]) -> None:
    """Run the job host in `argument["directory"]`, unless some supervisor already did or does."""
    directory = Path(argument["directory"])
    signals = Signals.install()
    if lock.take(directory):
        Supervisor(directory, signals).run()


@contextlib.contextmanager
def _naming(step: str) -> Iterator[None]:
    """Say in the reason of a failure which step it was."""
    try:
        yield
    except JobError as error:
        raise JobError(f"{step}: {error}") from error


class Supervisor:
    """One run of one job host."""

    def __init__(self, directory: Path, signals: Signals):
        self.directory = directory
        self.signals = signals
        self.spec = Spec.parse(json.loads((directory / job_directory.SPEC).read_text()))
        self.opt_ml = OptMl(directory / "opt" / "ml")
        self.journal = JobJournal(directory, self.spec.metrics)
        self.record = ExitRecord(started=time.time())
        self.objects = Objects(Path(self.spec.server_file), self.spec.region, self.spec.credentials, signals.stopping)
        self._failure = directory / "failure.json"

    def run(self) -> None:
        """Everything, ending in an exit record whatever happens short of being killed."""
        if (self.directory / job_directory.STOP).exists():
            self.signals.stopping.set()
        try:
            self._train_and_upload()
        except StopRequested:
            self.record.outcome = "Stopped"
        except JobError as error:
            self._fail(f"ClientError: {error}", failures.describe(error))
        except Exception as error:
            traceback.print_exc()
            self._fail(f"InternalServerError: {type(error).__name__}: {error}", failures.describe(error))
        self.record.metrics = self.journal.final_metrics
        self.record.ended = time.time()
        job_directory.write_json(self.directory / job_directory.EXIT, self.record.document())
        shutil.rmtree(self.opt_ml.data, ignore_errors=True)  # copies of what is in S3
        (self.directory / job_directory.SPEC).unlink()  # it holds credentials

    def _train_and_upload(self) -> None:
        lay_out(self.opt_ml, self.spec)
        kills = failures.kernel_kills()
        child = Child(self._argument())  # before the first thread; it imports while the data come
        try:
            self.journal.status("Downloading")
            with _naming("Data download failed"):
                self._feed()
            self.journal.status("Training")
            child.go()
            self.record.training_started = time.time()
            ending = watch(child, self.journal, self.signals, self._max_runtime())
        except BaseException:
            child.signal(signal.SIGKILL)
            raise
        self.record.training_ended = time.time()
        self.record.exit_code = ending.code
        self._judge(ending, failures.kernel_kills() > kills)
        if self.spec.is_first_host:
            with _naming("Artifact upload failed"):
                self._upload()

    def _argument(self) -> dict[str, Any]:
        return {
            "program": self.spec.program,
            "opt_ml": str(self.opt_ml.root),
            "environment": environment(self.spec),
            "failure": str(self._failure),
        }

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
        failure = job_directory.read_json(self._failure)
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
            self._fail(failures.reason(ending.code, failure, self._failure_file(), out_of_memory), failure)

    def _failure_file(self) -> str:
        """The first bytes of what the program itself wrote to `/opt/ml/output/failure`."""
        if not self.opt_ml.failure.is_file():
            return ""
        with self.opt_ml.failure.open(errors="replace") as file:
            return file.read(failures.LONGEST_REASON)

    def _fail(self, reason: str, failure: dict[str, str] | None) -> None:
        self.record.outcome = "Failed"
        self.record.reason = reason[: failures.LONGEST_REASON]
        self.record.failure = failures.for_why(failure, list(self.journal.last_lines))

    def _upload(self) -> None:
        """The model of a job that did not fail, and whatever it left in output/data. An unfinished job may have no model."""
        objects = self.objects.unstoppable()
        output = self.spec.request["OutputDataConfig"]
        completed = self.record.outcome == "Completed"
        has_model = any(upload.files(self.opt_ml.model))
        if self.record.outcome != "Failed" and (completed or has_model):
            self.journal.status("Uploading")
            stored = upload.store(objects, self.opt_ml.model, "model", self.spec.name, output)
            self.record.artifact, self.record.artifact_bytes = stored
        if any(upload.files(self.opt_ml.output_data)):
            upload.store(objects, self.opt_ml.output_data, "output", self.spec.name, output)
