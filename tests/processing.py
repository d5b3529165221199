"""Somebody with scripts and data, for tests of processing jobs: `Analyst(server, account)` processes them."""

from __future__ import annotations

import functools
import subprocess
import sys
import textwrap
from typing import Any

from tests.hosting import wait_for
from tests.scripts import PATIENCE, ROLE, SKLEARN, Scientist

GROUP = "/aws/sagemaker/ProcessingJobs"
CODE = "/opt/ml/processing/input/code"
OUTPUT = "/opt/ml/processing/output"


@functools.cache
def has_own_opt_ml() -> bool:
    """Whether the kernel gives processes an `/opt/ml` of their own, which scripts that name it need."""
    tries = "import sys; from clary.sandbox import level; sys.exit(not level().namespaces)"
    return subprocess.run([sys.executable, "-c", tries], capture_output=True, check=False).returncode == 0


class Analyst(Scientist):
    """An account with a bucket."""

    group = GROUP

    def input(self, name: str, key: str, path: str = "", **more: Any) -> dict[str, Any]:
        s3 = {
            "S3Uri": f"s3://{self.bucket}/{key}",
            "LocalPath": path or f"/opt/ml/processing/input/{name}",
            "S3DataType": "S3Prefix",
            "S3InputMode": "File",
            "S3DataDistributionType": "FullyReplicated",
            "S3CompressionType": "None",
        }
        return {"InputName": name, "AppManaged": False, "S3Input": s3 | more}

    def output(self, key: str, name: str = "result", path: str = OUTPUT, mode: str = "EndOfJob") -> dict[str, Any]:
        s3 = {"S3Uri": f"s3://{self.bucket}/{key}", "LocalPath": path, "S3UploadMode": mode}
        return {"OutputName": name, "AppManaged": False, "S3Output": s3}

    def begin(
        self,
        name: str,
        script: str,
        *arguments: str,
        inputs: tuple[dict[str, Any], ...] = (),
        outputs: tuple[dict[str, Any], ...] | None = None,
        hosts: int = 1,
        seconds: int = 3600,
        image: str = SKLEARN,
        entrypoint: tuple[str, ...] = ("python3", f"{CODE}/script.py"),
        **more: Any,
    ) -> None:
        """A job as a ScriptProcessor sends it, whose output goes to `<name>/output/`."""
        self.upload(f"{name}/input/code/script.py", textwrap.dedent(script).lstrip().encode())
        application = {"ImageUri": image, "ContainerEntrypoint": list(entrypoint)}
        self.sagemaker.create_processing_job(
            ProcessingJobName=name,
            AppSpecification=application | ({"ContainerArguments": list(arguments)} if arguments else {}),
            ProcessingInputs=[*inputs, self.input("code", f"{name}/input/code/script.py", CODE)],
            ProcessingOutputConfig={"Outputs": list((self.output(f"{name}/output"),) if outputs is None else outputs)},
            ProcessingResources={
                "ClusterConfig": {"InstanceCount": hosts, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 30}
            },
            RoleArn=ROLE.format(self.account),
            StoppingCondition={"MaxRuntimeInSeconds": seconds},
            **more,
        )

    def over(self, name: str) -> dict[str, Any]:
        """The description of a job that has ended."""

        def look() -> dict[str, Any] | None:
            job = self.sagemaker.describe_processing_job(ProcessingJobName=name)
            return job if job["ProcessingJobStatus"] in ("Completed", "Failed", "Stopped") else None

        return wait_for(look, PATIENCE)

    def process(self, name: str, script: str, *arguments: str, **more: Any) -> dict[str, bytes]:
        """The output of a job that must complete."""
        self.begin(name, script, *arguments, **more)
        job = self.over(name)
        assert job["ProcessingJobStatus"] == "Completed", (job.get("FailureReason"), self.log(name))
        return self.stored(f"{name}/output/")

    def reason(self, name: str, script: str, *arguments: str, **more: Any) -> str:
        """The FailureReason of a job that must fail."""
        self.begin(name, script, *arguments, **more)
        job = self.over(name)
        assert job["ProcessingJobStatus"] == "Failed", (job["ProcessingJobStatus"], self.log(name))
        return job["FailureReason"]

    def stored(self, prefix: str) -> dict[str, bytes]:
        """Key after `prefix` -> content of what is stored there."""
        keys = [entry["Key"] for entry in self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", [])]
        return {key.removeprefix(prefix): self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read() for key in keys}
