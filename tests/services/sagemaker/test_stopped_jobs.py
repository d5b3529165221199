"""A job that is stopped, by its owner or early by a tuning job, keeps the model that it has learned so far."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from clary.formats import records

BUCKET = "stopped-job-tests"
PATIENCE = 300
RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 4)).astype(np.float32)
LABELS = (X[:, 0] > 0).astype(np.float32)
EVENTS = "".join(f"user{n % 20},10.0.{n % 20}.{n % 250}\n" for n in range(2000)).encode()
RECORDS = "application/x-recordio-protobuf"

LONG = [
    ("linear-learner:1", {"predictor_type": "binary_classifier", "early_stopping_patience": "1000000"}, RECORDS),
    ("factorization-machines:1", {"predictor_type": "binary_classifier", "feature_dim": "4", "num_factors": "2"}, RECORDS),
    ("ipinsights:1", {"num_entity_vectors": "100", "vector_dim": "4", "mini_batch_size": "1000"}, "text/csv"),
]
"""Jobs that would train for hours: a million epochs each."""


@pytest.fixture(scope="module")
def sagemaker(server: Any) -> Any:
    s3 = server.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key=f"{RECORDS}/rows", Body=records.write(X, LABELS))
    s3.put_object(Bucket=BUCKET, Key="text/csv/events", Body=EVENTS)
    return server.client("sagemaker")


def until(condition: Any) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.05)
    return value


@pytest.mark.parametrize(("image", "hyperparameters", "content_type"), LONG, ids=[image for image, _, _ in LONG])
def test_a_stopped_job_keeps_its_model(
    server: Any, sagemaker: Any, image: str, hyperparameters: dict[str, str], content_type: str
):
    name = f"stopped-{image.partition(':')[0]}"
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{content_type}/"}
    sagemaker.create_training_job(
        TrainingJobName=name,
        AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File"},
        RoleArn="arn:aws:iam::000000000000:role/SageMakerRole",
        InputDataConfig=[{"ChannelName": "train", "ContentType": content_type, "DataSource": {"S3DataSource": source}}],
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/out"},
        ResourceConfig={"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 3600},
        HyperParameters=hyperparameters | {"epochs": "1000000"},
    )
    logs = server.client("logs")
    group = "/aws/sagemaker/TrainingJobs"
    until(lambda: any("epoch=1" in event for event in printed(logs, group, name)))
    sagemaker.stop_training_job(TrainingJobName=name)
    until(lambda: sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"] == "Stopped")
    job = sagemaker.describe_training_job(TrainingJobName=name)
    key = job["ModelArtifacts"]["S3ModelArtifacts"].removeprefix(f"s3://{BUCKET}/")
    assert server.client("s3").head_object(Bucket=BUCKET, Key=key)["ContentLength"] > 100


def printed(logs: Any, group: str, name: str) -> list[str]:
    if not logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
        return []
    return [event["message"] for event in logs.filter_log_events(logGroupName=group, logStreamNamePrefix=name)["events"]]
