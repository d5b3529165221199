"""Training on two hosts as boto3 users meet it: shards, logs, one model, one reason; and checkpoints of a job."""

from __future__ import annotations

import io
import json
import random
import tarfile
import time
from typing import Any

import pytest
import xgboost
from botocore.exceptions import ClientError

from clary.catalog import algorithms

BUCKET, GROUP = "several-hosts-tests", "/aws/sagemaker/TrainingJobs"
PATIENCE = 180
ROUNDS = 10


@pytest.fixture(scope="module")
def clients(server: Any) -> dict[str, Any]:
    clients = {name: server.client(name) for name in ("sagemaker", "s3", "logs")}
    s3 = clients["s3"]
    s3.create_bucket(Bucket=BUCKET)
    numbers = random.Random(0)
    for name in "abcd":
        rows = [[numbers.random() for _ in range(3)] for _ in range(100)]
        s3.put_object(Bucket=BUCKET, Key=f"train/{name}.csv", Body=csv(rows))
    s3.put_object(Bucket=BUCKET, Key="bad/1.csv", Body=csv([[0.1, 0.2, 0.3], [0.9, 0.9, 0.9]]))
    s3.put_object(Bucket=BUCKET, Key="bad/2.csv", Body=b"1,2,text,4\n")
    s3.put_object(
        Bucket=BUCKET, Key="list", Body=json.dumps([{"prefix": f"s3://{BUCKET}/train/"}, *(f"{n}.csv" for n in "abc")])
    )
    return clients


def csv(rows: list[list[float]]) -> bytes:
    return "\n".join(f"{row[0] > 0.5:d},{','.join(f'{value:.4f}' for value in row)}" for row in rows).encode()


def train(clients: dict[str, Any], name: str, *, uri: str = "train/", kind: str = "S3Prefix", **changes: Any) -> dict[str, Any]:
    """The end of a job of two hosts."""
    sagemaker = clients["sagemaker"]
    source = {"S3DataType": kind, "S3Uri": f"s3://{BUCKET}/{uri}", "S3DataDistributionType": "ShardedByS3Key"}
    request = {
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": "sagemaker-xgboost:3.0-5", "TrainingInputMode": "File"},
        "RoleArn": "arn:aws:iam::000000000000:role/SageMakerRole",
        "InputDataConfig": [{"ChannelName": "train", "ContentType": "text/csv", "DataSource": {"S3DataSource": source}}],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
        "ResourceConfig": {"InstanceCount": 2, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        "HyperParameters": {"num_round": str(ROUNDS), "objective": "binary:logistic", "nthread": "1"},
    }
    sagemaker.create_training_job(**request | changes)
    deadline = time.monotonic() + PATIENCE
    while True:
        job = sagemaker.describe_training_job(TrainingJobName=name)
        if job["TrainingJobStatus"] in ("Completed", "Failed", "Stopped"):
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.02)


def model(clients: dict[str, Any], job: dict[str, Any]) -> xgboost.Booster:
    key = job["ModelArtifacts"]["S3ModelArtifacts"].removeprefix(f"s3://{BUCKET}/")
    body = clients["s3"].get_object(Bucket=BUCKET, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        return xgboost.Booster(model_file=bytearray(tar.extractfile("xgboost-model").read()))  # type: ignore[union-attr]


def test_two_hosts_train_one_model_on_shards_and_log_apart(clients: dict[str, Any]) -> None:
    job = train(clients, "two-hosts")
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert job["ResourceConfig"]["InstanceCount"] == 2
    assert [step["Status"] for step in job["SecondaryStatusTransitions"]] == [
        "Starting",
        "Downloading",
        "Training",
        "Uploading",
        "Completed",
    ]
    assert model(clients, job).num_boosted_rounds() == ROUNDS
    streams = clients["logs"].describe_log_streams(logGroupName=GROUP, logStreamNamePrefix="two-hosts/")["logStreams"]
    assert [stream["logStreamName"].rpartition("-")[0] for stream in streams] == ["two-hosts/algo-1", "two-hosts/algo-2"]


def test_a_manifest_is_sharded_too(clients: dict[str, Any]) -> None:
    job = train(clients, "two-hosts-manifest", uri="list", kind="ManifestFile")
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")


def test_the_reason_is_that_of_the_host_that_failed(clients: dict[str, Any]) -> None:
    job = train(clients, "two-hosts-bad", uri="bad/")
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: Failed to load data of channel train: 2.csv")
    assert job["FailureReason"].endswith("host: algo-2")


def test_a_host_without_a_share_says_what_to_do(clients: dict[str, Any]) -> None:
    job = train(
        clients,
        "one-object-for-two",
        uri="train/a",
        AlgorithmSpecification={"TrainingImage": "linear-learner:1", "TrainingInputMode": "File"},
        HyperParameters={"predictor_type": "binary_classifier"},
    )
    assert "ShardedByS3Key leaves no object for algo-2; store the rows in at least 2 objects" in job["FailureReason"]


def test_more_hosts_than_this_machine_takes_are_refused(clients: dict[str, Any]) -> None:
    resources = {"InstanceCount": 21, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
    with pytest.raises(ClientError, match="usage' is 20 Instances") as caught:
        train(clients, "too-many-hosts", ResourceConfig=resources)
    assert caught.value.response["Error"]["Code"] == "ResourceLimitExceeded"


@pytest.mark.parametrize("image", [next(iter(one.repositories)) for one in algorithms.every() if not one.distributed])
def test_an_algorithm_for_one_host_says_so(clients: dict[str, Any], image: str) -> None:
    specification = {"TrainingImage": f"{image}:1", "TrainingInputMode": "File"}
    with pytest.raises(ClientError, match=r"ResourceConfig\.InstanceCount is 2, but .* trains on one host; set it to 1"):
        train(clients, "one-host-only", AlgorithmSpecification=specification)


def test_a_later_job_goes_on_from_the_checkpoints_of_an_earlier_one(clients: dict[str, Any]) -> None:
    config = {"CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/checkpoints", "LocalPath": "/opt/ml/checkpoints"}}
    first = train(clients, "checkpoints-1", **config)
    assert first["CheckpointConfig"] == config["CheckpointConfig"]
    stored = clients["s3"].list_objects_v2(Bucket=BUCKET, Prefix="checkpoints/")["Contents"]
    assert f"checkpoints/xgboost-checkpoint.{ROUNDS - 1}" in [entry["Key"] for entry in stored]
    more = {"num_round": str(ROUNDS + 3), "objective": "binary:logistic", "nthread": "1"}
    second = train(clients, "checkpoints-2", HyperParameters=more, **config)
    assert model(clients, second).num_boosted_rounds() == ROUNDS + 3
    logs = clients["logs"]
    (stream, _) = logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix="checkpoints-2/")["logStreams"]
    events = logs.get_log_events(logGroupName=GROUP, logStreamName=stream["logStreamName"], startFromHead=True)["events"]
    rounds = [event["message"].partition("]")[0] for event in events if "\ttrain-" in event["message"]]
    assert rounds == [f"[{number}" for number in range(ROUNDS, ROUNDS + 3)]


def test_a_missing_output_bucket_fails_the_job_before_training(clients: dict[str, Any]) -> None:
    job = train(clients, "no-bucket", OutputDataConfig={"S3OutputPath": "s3://there-is-no-such-bucket/out"})
    assert job["FailureReason"].startswith("ClientError: Artifact upload failed: s3://there-is-no-such-bucket/: NoSuchBucket")
    assert "Training" not in [step["Status"] for step in job["SecondaryStatusTransitions"]]
