"""A supervisor's bench: starts job hosts through the real runner, beside a real server for their S3."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clary.compute.control.training_decision import Finish, Retry, Start, Stop, decide
from clary.compute.runner import job_directory, process
from clary.compute.runner.fork_server import ForkServers
from clary.compute.runner.process import ProcessRunner
from clary.compute.supervisor.spec import Spec

BUCKET = "supervisor-tests"


class Bench:
    """Starts supervisors and waits for their exit records."""

    def __init__(self, directory: Path, server: Any):
        self.directory = directory / "algo-1"
        self.server = server
        self.s3 = server.client("s3")
        self.supervisor = process.SUPERVISOR
        self.hosts: tuple[str, ...] = ("algo-1",)

    def spec(self, program: Callable[[Path], None], *channels: dict[str, Any], host: str = "algo-1", **request: Any) -> Spec:
        return Spec(
            name=self.directory.parent.name,
            arn="arn:aws:sagemaker:us-east-1:000000000000:training-job/j",
            account="000000000000",
            region="us-east-1",
            host=host,
            hosts=self.hosts,
            program=f"{program.__module__}:{program.__name__}",
            image_tag="1",
            request={
                "AlgorithmSpecification": {"TrainingInputMode": "File"},
                "InputDataConfig": list(channels),
                "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out/"},
                "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large"},
            }
            | request,
            metrics=(("loss", r"loss=(\S+)"),),
            server_file=str(self.server.data / "server.json"),
            credentials={"AccessKeyId": "test", "SecretAccessKey": "secret", "SessionToken": ""},
        )

    def run(
        self,
        program: Callable[[Path], None],
        *channels: dict[str, Any],
        act: Callable[[ProcessRunner], object] | None = None,
        when: Callable[[], object] | None = None,
        **request: Any,
    ) -> dict[str, Any]:
        """Run `program` to its exit record; `act(runner)` is called once `when()` is true: it has printed something."""

        async def main() -> dict[str, Any]:
            servers = ForkServers()
            runner = ProcessRunner(servers, self.supervisor)
            try:
                await runner.start(self.directory, "bare", self.spec(program, *channels, **request).document())
                if act:
                    await until(when or self.log)
                    act(runner)
                await until(lambda: runner.observe(self.directory).state not in ("RUNNING", "ABSENT"))
                return runner.observe(self.directory).record or {"outcome": runner.observe(self.directory).state}
            finally:
                servers.close()

        return asyncio.run(asyncio.wait_for(main(), 180))

    def run_hosts(
        self,
        program: Callable[[Path], None],
        *channels: dict[str, Any],
        act: Callable[[ProcessRunner], object] | None = None,
        when: Callable[[], object] | None = None,
        attempt: int = 1,
        **request: Any,
    ) -> Finish | Retry:
        """Run `program` on all `hosts` as the server does, to the decision that ends the attempt."""

        async def main() -> Finish | Retry:
            servers = ForkServers()
            runner = ProcessRunner(servers, self.supervisor)
            acted = act is None
            try:
                while True:
                    seen = {host: runner.observe(self.at(host)) for host in self.hosts}
                    for action in decide("InProgress", attempt, seen):
                        match action:
                            case Start(host):
                                spec = self.spec(program, *channels, host=host, **request)
                                await runner.start(self.at(host), "bare", spec.document())
                            case Stop(host):
                                runner.stop(self.at(host))
                            case _:
                                return action
                    if not acted and act and (when is None or when()):
                        act(runner)
                        acted = True
                    await asyncio.sleep(0.01)
            finally:
                servers.close()

        return asyncio.run(asyncio.wait_for(main(), 180))

    def at(self, host: str) -> Path:
        return self.directory.parent / host

    def log_of(self, host: str) -> list[str]:
        path = self.at(host) / job_directory.LOG
        return [json.loads(line)["m"] for line in path.read_text().splitlines()] if path.exists() else []

    def lines(self, file: str) -> list[dict[str, Any]]:
        path = self.directory / file
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def log(self) -> list[str]:
        return [entry["m"] for entry in self.lines(job_directory.LOG)]

    def archive(self, uri: str) -> dict[str, bytes]:
        body = self.s3.get_object(Bucket=BUCKET, Key=uri.removeprefix(f"s3://{BUCKET}/"))["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]

    def put(self, **objects: bytes) -> str:
        """Store objects below a prefix of this test's own; its URI."""
        prefix = f"{self.directory.parent.name}/"
        for key, body in objects.items():
            self.s3.put_object(Bucket=BUCKET, Key=prefix + key.replace("__", "/"), Body=body)
        return f"s3://{BUCKET}/{prefix}"


async def until(condition: Callable[[], Any]) -> None:
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


def channel(name: str, uri: str, kind: str = "S3Prefix", **more: Any) -> dict[str, Any]:
    return {"ChannelName": name, "DataSource": {"S3DataSource": {"S3DataType": kind, "S3Uri": uri}}} | more
