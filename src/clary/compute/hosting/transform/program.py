"""The transform itself, in a process of its own: stream each input, invoke the model, store each output when it is whole."""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from clary.compute.hosting import archive
from clary.compute.hosting.transform import records
from clary.compute.hosting.transform.spec import MEGABYTE, TransformSpec
from clary.compute.runner import job_directory
from clary.compute.runner.start_method import resolve, spawn_command
from clary.compute.supervisor import program, upload
from clary.compute.supervisor.channels import base_of, checked_path
from clary.compute.supervisor.failures import JobError
from clary.compute.supervisor.feeding import gunzip
from clary.compute.supervisor.objects import Objects, S3Object, parse_uri
from clary.compute.toolkit.serving import SUBMIT_DIRECTORY
from clary.core.inference import InferenceRequest, InferenceResponse, Model


def run(opt_ml: Path) -> None:
    """Transform everything. `opt_ml` lies in the job host's directory, where the spec is.

    Raises `JobError` for what the user must mend, after saying on stdout which input it was.
    """
    transform = _transform(opt_ml)
    transform.fetch()
    if python := transform.other_python():
        sys.stdout.flush()
        command = spawn_command(f"{__name__}:go_on", {"opt_ml": str(opt_ml)})
        os.execv(python, [str(python), *command[1:]])
    transform.run()


def go_on(argument: dict[str, str]) -> None:
    """The second half of `run`, in the Python that the model's source asks for."""
    opt_ml = Path(argument["opt_ml"])
    try:
        _transform(opt_ml).run()
    except Exception as error:
        program.report(error, opt_ml.parent.parent / "tmp" / program.FAILURE)


def _transform(opt_ml: Path) -> Transform:
    spec = TransformSpec(**json.loads((opt_ml.parent.parent / job_directory.SPEC).read_text()))
    objects = Objects(Path(spec.server_file), spec.region, spec.credentials, threading.Event())
    return Transform(spec, objects, opt_ml)


class Transform:
    def __init__(self, spec: TransformSpec, objects: Objects, opt_ml: Path) -> None:
        self._spec = spec
        self._objects = objects
        self._opt_ml = opt_ml
        self._limit_bytes = spec.payload_megabytes * MEGABYTE
        self._concurrent = 1
        self._model_dir = opt_ml / "model"
        self._environment = spec.container_environment() | ({SUBMIT_DIRECTORY: str(opt_ml / "code")} if spec.code else {})

    def fetch(self) -> None:
        """Bring the model's data and the user's source."""
        self._fetch_model()
        if self._spec.code:
            self._unpack(self._spec.code["S3Uri"], self._opt_ml / "code")

    def other_python(self) -> Path | None:
        """The Python to go on in, when the source asks for what this one has not."""
        if not self._spec.prepare:
            return None
        return resolve(self._spec.prepare)(self._model_dir, self._environment, self._opt_ml.parent)

    def run(self) -> None:
        spec = self._spec
        self._model: Model = resolve(spec.load)(self._model_dir, self._environment)
        self._concurrent = spec.request.get("MaxConcurrentTransforms") or self._parameters().get("MaxConcurrentTransforms", 1)
        strategy = "SINGLE_RECORD" if spec.strategy == "SingleRecord" else "MULTI_RECORD"
        print(
            f"sagemaker logs: MaxConcurrentTransforms={self._concurrent}, MaxPayloadInMB={spec.payload_megabytes}, "
            f"BatchStrategy={strategy}",
            flush=True,
        )
        for source, name in self._inputs():
            self._transform(source, name)

    def _parameters(self) -> dict:
        return self._model.execution_parameters()

    def _fetch_model(self) -> None:
        """The model's data in its directory."""
        model_dir, source = self._model_dir, self._spec.model_data
        model_dir.mkdir(parents=True, exist_ok=True)
        if source is None:
            return
        bucket, key = parse_uri(source["S3Uri"])
        if source["CompressionType"] == "Gzip":
            self._unpack(source["S3Uri"], model_dir)
        elif source["S3DataType"] == "S3Object":
            self._save(self._objects.head(bucket, key), model_dir / key.rsplit("/", 1)[-1])
        else:
            for entry in self._objects.list(bucket, key.rstrip("/") + "/"):
                name = checked_path(entry.key[len(key.rstrip("/")) + 1 :], entry.uri)
                self._save(entry, model_dir / name)

    def _unpack(self, uri: str, directory: Path) -> None:
        packed = self._opt_ml / "archive.part"
        self._save(self._objects.head(*parse_uri(uri)), packed)
        archive.unpack(packed, directory)
        packed.unlink()

    def _save(self, source: S3Object, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            for piece in self._objects.read(source):
                file.write(piece)

    def _inputs(self) -> list[tuple[S3Object, str]]:
        """Every input with its name below the output's path."""
        uri = self._spec.input["DataSource"]["S3DataSource"]["S3Uri"]
        bucket, prefix = parse_uri(uri)
        found = [entry for entry in self._objects.list(bucket, prefix) if not entry.key.endswith("/")]
        if not found:
            raise JobError(f"no objects found under {uri}")
        base = base_of(prefix, [entry.key for entry in found])
        return [(entry, entry.key[len(base) :] + ".out") for entry in found]

    def _transform(self, source: S3Object, name: str) -> None:
        """One input. Its output appears in S3 when all of it is there."""
        path = self._opt_ml / "output.part"
        try:
            with path.open("wb") as output:
                self._answer(source, output)
        except (JobError, records.RecordTooLarge) as error:
            print(f"{source.bucket}/{source.key}: ClientError: {error}", flush=True)
            raise JobError(f"{source.uri}: {error}") from error
        bucket, prefix = parse_uri(self._spec.output["S3OutputPath"])
        key = f"{prefix.rstrip('/')}/{name}".lstrip("/")
        self._objects.upload(path, bucket, key, upload.encryption(self._spec.output))
        path.unlink()

    def _answer(self, source: S3Object, output: BinaryIO) -> None:
        payloads = self._payloads(source)
        while group := list(itertools.islice(payloads, self._concurrent)):
            for response in self._invoke(group):
                output.write(response.body)
                if self._spec.output.get("AssembleWith") == "Line" and not response.body.endswith(b"\n"):
                    output.write(b"\n")

    def _payloads(self, source: S3Object) -> Iterator[bytes]:
        pieces = self._objects.read(source)
        if self._spec.input.get("CompressionType") == "Gzip":
            pieces = gunzip(pieces, source.uri)
        if self._spec.input.get("SplitType", "None") == "None":
            return records.whole(pieces, self._limit_bytes)
        found = records.lines(pieces, self._limit_bytes)
        return found if self._spec.strategy == "SingleRecord" else records.pack(found, self._limit_bytes)

    def _invoke(self, payloads: list[bytes]) -> list[InferenceResponse]:
        """The model's answers. Raises `JobError` with the model's words when it refuses one."""
        requests = [self._request(payload) for payload in payloads]
        for attempt in range(self._spec.retries + 1):
            signal.alarm(self._spec.timeout_seconds)  # nobody catches it: a model that hangs ends the process
            responses = self._model.invoke(requests)
            signal.alarm(0)
            failed = next((response for response in responses if response.status >= 300), None)
            if failed is None:
                return responses
            if failed.status < 500 or attempt == self._spec.retries:
                raise JobError(f"{failed.status}: {failed.body[:4096].decode(errors='replace')}")
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _request(self, payload: bytes) -> InferenceRequest:
        content_type, accept = self._spec.input.get("ContentType", ""), self._spec.output.get("Accept", "")
        headers = {name: value for name, value in (("content-type", content_type), ("accept", accept)) if value}
        return InferenceRequest(payload, content_type, accept, headers)
