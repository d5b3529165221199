"""The life of one host of a processing job, which differs from a training job's in its layout, its inputs and its outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clary.compute.supervisor import beneath, channels, feeding, processing_layout
from clary.compute.supervisor.channels import Channel
from clary.compute.supervisor.checkpoints import Checkpoints
from clary.compute.supervisor.main import Supervisor, naming, supervise
from clary.compute.supervisor.objects import parse_uri
from clary.compute.supervisor.script import ProcessingScript, Script
from clary.compute.supervisor.upload import encryption, files
from clary.compute.supervisor.watch import Signals

_LONGEST_MESSAGE = 1024


def run(argument: dict[str, Any]) -> None:
    """Run the job host in `argument["directory"]`, unless some supervisor already did or does."""
    supervise(argument, ProcessingSupervisor)


class ProcessingSupervisor(Supervisor):
    """One run of one host of a processing job. Every host stores its own outputs, as the service does."""

    RUNNING = "Processing"

    def __init__(self, directory: Path, signals: Signals):
        super().__init__(directory, signals)
        self._continuous: list[Checkpoints] = []

    @property
    def _inputs(self) -> list[dict[str, Any]]:
        return self.spec.request.get("ProcessingInputs", [])

    @property
    def _outputs(self) -> list[dict[str, Any]]:
        return [output["S3Output"] for output in self.spec.request.get("ProcessingOutputConfig", {}).get("Outputs", [])]

    def _script(self) -> Script:
        return ProcessingScript(self.spec, self.opt_ml)

    def _copies(self) -> Path:
        return self.opt_ml.root / "processing"

    def _lay_out(self) -> None:
        processing_layout.lay_out(self.opt_ml, self.spec)
        for output in self._outputs:
            self.opt_ml.below(output["LocalPath"]).mkdir(parents=True, exist_ok=True)

    def _environment(self) -> dict[str, str]:
        return processing_layout.environment(self.spec)

    def _get_ready(self) -> None:
        self.journal.status("Downloading")
        with naming("Failed to upload output"):
            for bucket in {parse_uri(output["S3Uri"])[0] for output in self._outputs}:
                self.objects.check_bucket(bucket)
        with naming("Data download failed"):
            for source in self._inputs:
                self._bring(source)
        for number, output in enumerate(self._outputs):
            if output["S3UploadMode"] == "Continuous":
                self._continuous.append(self._uploader(output, self.directory / f"output-{number}.part"))
                self._continuous[-1].start()

    def _bring(self, source: dict[str, Any]) -> None:
        """Copy an input to its place, or have it fed through a FIFO."""
        s3, path = source["S3Input"], self.opt_ml.below(source["S3Input"]["LocalPath"])
        channel = Channel(
            name=path.name,
            mode=s3.get("S3InputMode", "File"),
            items=tuple(channels.found(self.objects, self.spec, f"input {source['InputName']!r}", s3)),
            gzip=s3.get("S3CompressionType") == "Gzip",
            record_io=False,
            shuffle_seed=None,
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        if channel.mode == "Pipe":
            feeding.PipeFeeder(self.objects, channel, path.parent, self.signals.failed).start()
        else:
            feeding.download(self.objects, channel, path)

    def _uploader(self, output: dict[str, Any], scratch: Path) -> Checkpoints:
        directory = self.opt_ml.below(output["LocalPath"])
        return Checkpoints(
            self.objects, output["S3Uri"], self.opt_ml.root, directory, scratch, self.signals.failed, self._encryption()
        )

    def _encryption(self) -> dict[str, str]:
        return encryption(self.spec.request.get("ProcessingOutputConfig", {}))

    def _keep_results(self) -> None:
        """What was to be uploaded all along, however the job ended; the rest of a job that did not fail."""
        self.record.message = self._message()
        with naming("Failed to upload output"):
            for kept in self._continuous:
                kept.finish()
            if self.record.outcome == "Completed":
                for output in self._outputs:
                    if output["S3UploadMode"] == "EndOfJob":
                        self._store(output)

    def _store(self, output: dict[str, Any]) -> None:
        """The files of an output below its S3Uri; of a directory without files there is nothing to store."""
        directory = self.opt_ml.below(output["LocalPath"])
        bucket, prefix = parse_uri(output["S3Uri"])
        base = f"{prefix.rstrip('/')}/" if prefix else ""
        objects, keys = self.objects.unstoppable(), self._encryption()
        for path in files(self.opt_ml.root, directory):
            objects.upload(path, bucket, base + path.relative_to(directory).as_posix(), keys)

    def _message(self) -> str:
        """The first bytes of what the program left in `/opt/ml/output/message`."""
        path = self.opt_ml.root / "output" / "message"
        return beneath.read_text(self.opt_ml.root, path, _LONGEST_MESSAGE).strip()
