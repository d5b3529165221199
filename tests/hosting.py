"""A customer with a trained model, for tests of hosting and batch transform: `Customer(server, account)`."""

from __future__ import annotations

import io
import json
import tarfile
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import xgboost

COLUMNS = 4
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
WAIT_SECONDS = 60


def rows(number: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(number, COLUMNS)).round(3)


def csv(data: np.ndarray) -> bytes:
    return b"".join(",".join(map(str, row)).encode() + b"\n" for row in data)


@cache
def booster(sign: int = 1) -> xgboost.Booster:
    """A model of the sum of a row's cells, or of its opposite."""
    data = rows(200, seed=0)
    return xgboost.train({"max_depth": 3, "nthread": 1}, xgboost.DMatrix(data, sign * data.sum(axis=1)), 10)


def predictions(data: np.ndarray, sign: int = 1) -> list[float]:
    return booster(sign).predict(xgboost.DMatrix(data)).tolist()


@cache
def archive(sign: int = 1) -> bytes:
    return archive_of({"xgboost-model": bytes(booster(sign).save_raw("ubj"))})


def archive_of(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def policy(action: str) -> str:
    """A policy that allows one kind of action on everything."""
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def numbers(body: bytes) -> list[float]:
    return [float(line) for line in body.split()]


def wait_for(look: Callable[[], Any], seconds: float = WAIT_SECONDS) -> Any:
    """The first true answer of `look`."""
    deadline = time.monotonic() + seconds
    while not (answer := look()):
        assert time.monotonic() < deadline, f"still waiting after {seconds} s"
        time.sleep(0.02)
    return answer


class Customer:
    """An account with a bucket, a role and two models, `plus` and `minus`, that answer with opposite signs."""

    def __init__(self, server: Any, account: str = "000000000000", **credentials: str) -> None:
        """`credentials`: `access_key` and `secret`, where the server is strict."""
        self.server = server
        self.account = account
        self.credentials = credentials or {"account": account}
        self.connect()
        self.bucket = f"models-of-{account}"
        self.role = self._make_role()
        self.s3.create_bucket(Bucket=self.bucket)
        for name, sign in (("plus", 1), ("minus", -1)):
            self.model(name, archive(sign))

    def connect(self) -> None:
        """Clients of the server where it listens now."""
        self.s3, self.sagemaker = self.client("s3"), self.client("sagemaker")
        self.runtime, self.logs = self.client("sagemaker-runtime"), self.client("logs")

    def client(self, service: str) -> Any:
        return self.server.client(service, **self.credentials)

    def _make_role(self) -> str:
        statement = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
        trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam = self.client("iam")
        role = iam.create_role(RoleName="sagemaker", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        iam.put_role_policy(RoleName="sagemaker", PolicyName="data", PolicyDocument=policy("s3:*"))
        return role

    def model(self, name: str, packed: bytes, **container: Any) -> None:
        key = f"{name}/model.tar.gz"
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=packed)
        primary = {"Image": IMAGE, "ModelDataUrl": f"s3://{self.bucket}/{key}"} | container
        self.sagemaker.create_model(ModelName=name, ExecutionRoleArn=self.role, PrimaryContainer=primary)

    def config(self, name: str, *variants: dict[str, Any]) -> str:
        defaults = {"InitialInstanceCount": 1, "InstanceType": "ml.m5.large", "InitialVariantWeight": 1}
        self.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[defaults | one for one in variants])
        return name

    def deploy(self, name: str, model: str = "plus", **variant: Any) -> dict[str, Any]:
        """An endpoint with one variant, `AllTraffic`, in service; its description."""
        self.config(name, {"VariantName": "AllTraffic", "ModelName": model} | variant)
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
        return self.settled(name)

    def settled(self, name: str) -> dict[str, Any]:
        """The endpoint's description once nothing is in progress."""

        def look() -> dict[str, Any] | None:
            described = self.sagemaker.describe_endpoint(EndpointName=name)
            return None if described["EndpointStatus"] in ("Creating", "Updating", "Deleting") else described

        return wait_for(look)

    def gone(self, name: str) -> None:
        self.sagemaker.delete_endpoint(EndpointName=name)
        wait_for(lambda: name not in [e["EndpointName"] for e in self.sagemaker.list_endpoints(MaxResults=100)["Endpoints"]])

    def predict(self, name: str, data: np.ndarray, **parameters: Any) -> list[float]:
        answer = self.runtime.invoke_endpoint(EndpointName=name, Body=csv(data), ContentType="text/csv", **parameters)
        return numbers(answer["Body"].read())

    def transform(self, name: str, source: str, **request: Any) -> dict[str, Any]:
        """Start a transform of everything under `source` into `<name>/`; merges `request` into the defaults."""
        location = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{self.bucket}/{source}"}}
        inputs = {"DataSource": location, "ContentType": "text/csv", "SplitType": "Line"} | request.pop("TransformInput", {})
        output = {"S3OutputPath": f"s3://{self.bucket}/{name}/"} | request.pop("TransformOutput", {})
        resources = {"InstanceType": "ml.m5.large", "InstanceCount": 1}
        defaults = {"ModelName": "plus", "TransformInput": inputs, "TransformOutput": output, "TransformResources": resources}
        return self.sagemaker.create_transform_job(TransformJobName=name, **defaults | request)

    def transformed(self, name: str) -> dict[str, Any]:
        """The transform job's description once it is over."""

        def look() -> dict[str, Any] | None:
            described = self.sagemaker.describe_transform_job(TransformJobName=name)
            return None if described["TransformJobStatus"] in ("InProgress", "Stopping") else described

        return wait_for(look)

    def read(self, key: str) -> bytes:
        return self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def log(self, group: str, prefix: str = "") -> str:
        """Everything in a log group's streams that begin with `prefix`."""
        try:
            streams = self.logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=prefix)["logStreams"]
        except self.logs.exceptions.ResourceNotFoundException:
            return ""  # nobody has logged yet
        lines = []
        for stream in streams:
            events = self.logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True)
            lines += [event["message"] for event in events["events"]]
        return "\n".join(lines)
