"""A data scientist with scripts, for tests of script mode: `Scientist(server, account)` trains and serves them."""

from __future__ import annotations

import io
import json
import tarfile
import textwrap
from typing import Any

from tests.hosting import wait_for

REGISTRY = "683313688378.dkr.ecr.us-east-1.amazonaws.com"
SKLEARN = f"{REGISTRY}/sagemaker-scikit-learn:1.2-1-cpu-py3"
XGBOOST = f"{REGISTRY}/sagemaker-xgboost:1.7-1"
PYTORCH = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.6.0-cpu-py312"
ROLE = "arn:aws:iam::{}:role/SageMakerRole"
PATIENCE = 180
"""Seconds: machines that test are busy."""
GROUP = "/aws/sagemaker/TrainingJobs"


def bundle(files: dict[str, str | bytes]) -> bytes:
    """A `sourcedir.tar.gz`; text is dedented."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files.items():
            data = content if isinstance(content, bytes) else textwrap.dedent(content).lstrip().encode()
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o644
            tar.addfile(member, io.BytesIO(data))
    return packed.getvalue()


class Scientist:
    """An account with a bucket."""

    group = GROUP

    def __init__(self, server: Any, account: str):
        self.server, self.account = server, account
        self.s3, self.sagemaker = server.client("s3", account=account), server.client("sagemaker", account=account)
        self.runtime = server.client("sagemaker-runtime", account=account)
        self.logs = server.client("logs", account=account)
        self.bucket = f"scripts-of-{account}"
        self.s3.create_bucket(Bucket=self.bucket)

    def upload(self, key: str, body: bytes) -> str:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)
        return f"s3://{self.bucket}/{key}"

    def start(
        self,
        name: str,
        source: dict[str, str | bytes] | bytes | str,
        hyperparameters: dict[str, Any] | None = None,
        program: str = "train.py",
        image: str = SKLEARN,
        hosts: int = 1,
        **more: Any,
    ) -> None:
        """A job as a framework estimator sends it: every hyperparameter as JSON. A `source` of text is the script itself."""
        files = {program: source} if isinstance(source, str) else source
        packed = files if isinstance(files, bytes) else bundle(files)
        uri = self.upload(f"{name}/source/sourcedir.tar.gz", packed)
        toolkit = {
            "sagemaker_program": program,
            "sagemaker_submit_directory": uri,
            "sagemaker_container_log_level": 20,
            "sagemaker_job_name": name,
            "sagemaker_region": "us-east-1",
        }
        parameters = {key: json.dumps(value) for key, value in (toolkit | (hyperparameters or {})).items()}
        seconds = more.pop("seconds", 3600)
        algorithm = {"TrainingImage": image, "TrainingInputMode": "File"} | more.pop("AlgorithmSpecification", {})
        self.sagemaker.create_training_job(
            TrainingJobName=name,
            AlgorithmSpecification=algorithm,
            RoleArn=ROLE.format(self.account),
            OutputDataConfig={"S3OutputPath": f"s3://{self.bucket}/"},
            ResourceConfig={"InstanceCount": hosts, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 5},
            StoppingCondition={"MaxRuntimeInSeconds": seconds},
            HyperParameters=parameters,
            **more,
        )

    def channel(self, name: str, prefix: str, **more: Any) -> dict[str, Any]:
        source = {
            "S3DataType": "S3Prefix",
            "S3Uri": f"s3://{self.bucket}/{prefix}",
            "S3DataDistributionType": "FullyReplicated",
        }
        return {"ChannelName": name, "DataSource": {"S3DataSource": source}} | more

    def ended(self, name: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            job = self.sagemaker.describe_training_job(TrainingJobName=name)
            return job if job["TrainingJobStatus"] in ("Completed", "Failed", "Stopped") else None

        return wait_for(look, PATIENCE)

    def train(self, name: str, source: Any, *arguments: Any, **more: Any) -> dict[str, Any]:
        """A job that must complete; its description."""
        self.start(name, source, *arguments, **more)
        job = self.ended(name)
        assert job["TrainingJobStatus"] == "Completed", (job.get("FailureReason"), self.log(name))
        return job

    def failure(self, name: str, source: Any, *arguments: Any, **more: Any) -> str:
        """The FailureReason of a job that must fail."""
        self.start(name, source, *arguments, **more)
        job = self.ended(name)
        assert job["TrainingJobStatus"] == "Failed", (job["TrainingJobStatus"], self.log(name))
        return job["FailureReason"]

    def log(self, name: str, host: str = "algo-1") -> list[str]:
        streams = self.logs.describe_log_streams(logGroupName=self.group, logStreamNamePrefix=f"{name}/{host}-")["logStreams"]
        lines: list[str] = []
        for stream in streams:
            token: dict[str, str] = {}
            while True:
                page = self.logs.get_log_events(
                    logGroupName=self.group, logStreamName=stream["logStreamName"], startFromHead=True, **token
                )
                if not page["events"]:
                    break
                lines += [event["message"] for event in page["events"]]
                token = {"nextToken": page["nextForwardToken"]}
        return lines

    def until_logged(self, name: str, text: str) -> None:
        def look() -> bool:
            try:
                return any(text in line for line in self.log(name))
            except self.logs.exceptions.ResourceNotFoundException:
                return False

        wait_for(look, PATIENCE)

    def artifact(self, name: str, what: str = "model") -> dict[str, bytes]:
        """What a job left in `/opt/ml/model`, or in `/opt/ml/output/data` (`what="output"`)."""
        body = self.s3.get_object(Bucket=self.bucket, Key=f"{name}/output/{what}.tar.gz")["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}  # type: ignore[union-attr]

    def deploy(
        self, name: str, model: dict[str, bytes | str] | str, image: str = SKLEARN, environment: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """An endpoint of a model (files, or the URI of an archive); its description once nothing is in progress."""
        uri = model if isinstance(model, str) else self.upload(f"{name}/model.tar.gz", bundle(model))
        container = {"Image": image, "ModelDataUrl": uri, "Environment": environment or {}}
        self.sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE.format(self.account), PrimaryContainer=container)
        variant = {"VariantName": "AllTraffic", "ModelName": name, "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
        self.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)

        def look() -> dict[str, Any] | None:
            endpoint = self.sagemaker.describe_endpoint(EndpointName=name)
            return None if endpoint["EndpointStatus"] == "Creating" else endpoint

        return wait_for(look, PATIENCE)

    def invoke(
        self, name: str, body: bytes | str, content_type: str = "application/json", accept: str = ""
    ) -> tuple[bytes, str]:
        """The answer's body and content type."""
        headers = {"ContentType": content_type} | ({"Accept": accept} if accept else {})
        answer = self.runtime.invoke_endpoint(EndpointName=name, Body=body, **headers)
        return answer["Body"].read(), answer["ContentType"]

    def report(self, name: str) -> Any:
        """The JSON that a script left as `report.json` in its model directory."""
        return json.loads(self.artifact(name)["report.json"])


REPORT = """
import json, os, sys

def report(content):
    with open(os.path.join(os.environ["SM_MODEL_DIR"], "report.json"), "w") as file:
        json.dump(content, file)
"""
"""A module `report` for scripts that tell what they saw."""
