"""Every algorithm that trains on several hosts: two hosts with a share each reach what one host with all rows reaches."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from clary.catalog import algorithms
from clary.formats import records

BUCKET = "algorithms-on-two-hosts"
PATIENCE = 300
ROWS, COLUMNS, OBJECTS = 1200, 6, 4
RNG = np.random.default_rng(0)
X = (RNG.normal(size=(ROWS, COLUMNS)) + 4 * RNG.integers(0, 3, size=(ROWS, 1))).round(3)
CLASS = (X[:, 0] - X[:, 1] + RNG.normal(scale=0.3, size=ROWS) > 0).astype(int)
LABELLED = np.column_stack([CLASS, X])
STRANGE = np.where(RNG.random(ROWS) < 0.02, 30.0, 0.0)
UNLABELLED, RECORDS = "text/csv;label_size=0", "application/x-recordio-protobuf"


@dataclass(frozen=True, slots=True)
class Case:
    """A job: how it is asked for, and the metric by which two hosts are compared with one, or a pattern of its log line."""

    image: str
    metric: str
    hyperparameters: dict[str, Any]
    train: list[bytes]
    held_out: bytes
    watched: str = "test"
    content_types: tuple[str, str] = ("text/csv", "text/csv")
    """Of the train channel and of the watched one."""
    relative: float = 0.05

    @property
    def name(self) -> str:
        return self.image.partition(":")[0]


def csv(rows: np.ndarray) -> bytes:
    return "".join(",".join(f"{value:g}" for value in row) + "\n" for row in rows).encode()


def record_io(rows: np.ndarray) -> bytes:
    return records.write(rows[:, 1:].astype(np.float32), rows[:, 0].astype(np.float32))


def split(rows: np.ndarray, write: Any = csv) -> tuple[list[bytes], bytes]:
    """The training objects and the held-out rows."""
    kept = len(rows) * 4 // 5
    return [write(part) for part in np.array_split(rows[:kept], OBJECTS)], write(rows[kept:])


def visits() -> tuple[list[bytes], bytes]:
    """Users and the networks they come from."""
    users = RNG.integers(0, 30, size=4000)
    lines = [f"user{user},10.{user}.{user}.{last}\n" for user, last in zip(users, RNG.integers(1, 255, size=4000), strict=True)]
    return ["".join(lines[n::5]).encode() for n in range(OBJECTS)], "".join(lines[OBJECTS::5]).encode()


def strange_rows() -> tuple[list[bytes], bytes]:
    """Rows without labels to train on, and held-out ones with: 1 is an anomaly."""
    kept, shifted = ROWS * 4 // 5, X + STRANGE[:, None]
    train = [csv(part) for part in np.array_split(shifted[:kept], OBJECTS)]
    return train, csv(np.column_stack([STRANGE > 0, shifted])[kept:].astype(float))


CASES = [
    Case(
        "sagemaker-xgboost:3.0-5",
        "validation:accuracy",
        {"num_round": 10, "objective": "binary:logistic", "eval_metric": "accuracy", "nthread": 1},
        *split(LABELLED),
        watched="validation",
    ),
    Case(
        "kmeans:1",
        "test:msd",
        {"k": 3, "feature_dim": COLUMNS, "mini_batch_size": 100},
        *split(X),
        content_types=(UNLABELLED, UNLABELLED),
    ),
    Case(
        "pca:1",
        r"#test_score \(algo-1\) : \('captured_variance', (\S+)\)",
        {"feature_dim": COLUMNS, "num_components": 2, "mini_batch_size": 100},
        *split(X),
        content_types=(UNLABELLED, UNLABELLED),
        relative=1e-4,
    ),
    Case(
        "linear-learner:1",
        "validation:binary_classification_accuracy",
        {"predictor_type": "binary_classifier", "feature_dim": COLUMNS, "mini_batch_size": 50, "epochs": 5},
        *split(LABELLED),
        watched="validation",
    ),
    Case(
        "knn:1",
        "test:accuracy",
        {"predictor_type": "classifier", "feature_dim": COLUMNS, "k": 5, "sample_size": ROWS},
        *split(LABELLED),
        relative=0.01,
    ),
    Case(
        "factorization-machines:1",
        "test:binary_classification_accuracy",
        {
            "predictor_type": "binary_classifier",
            "feature_dim": COLUMNS,
            "num_factors": 2,
            "mini_batch_size": 50,
            "epochs": 5,
        },
        *split(LABELLED, record_io),
        content_types=(RECORDS, RECORDS),
        relative=0.03,
    ),
    Case(
        "randomcutforest:1",
        "test:f1",
        {"feature_dim": COLUMNS, "num_trees": 50, "num_samples_per_tree": 128},
        *strange_rows(),
        content_types=(UNLABELLED, "text/csv;label_size=1"),
        relative=0.15,
    ),
    Case(
        "ipinsights:1",
        "validation:discriminator_auc",
        {"num_entity_vectors": 100, "vector_dim": 8, "epochs": 2, "mini_batch_size": 100, "learning_rate": 0.005},
        *visits(),
        watched="validation",
        relative=0.1,
    ),
]


def channel(case: Case, name: str, content_type: str, distribution: str) -> dict[str, Any]:
    uri = f"s3://{BUCKET}/{case.name}/{name}/"
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": distribution}
    return {"ChannelName": name, "ContentType": content_type, "DataSource": {"S3DataSource": source}}


def train(server: Any, case: Case, hosts: int) -> dict[str, Any]:
    """The end of a job on so many hosts."""
    sagemaker, name = server.client("sagemaker"), f"both-{case.name}-{hosts}"
    sagemaker.create_training_job(
        TrainingJobName=name,
        AlgorithmSpecification={"TrainingImage": case.image, "TrainingInputMode": "File"},
        RoleArn="arn:aws:iam::000000000000:role/SageMakerRole",
        InputDataConfig=[
            channel(case, "train", case.content_types[0], "ShardedByS3Key"),
            channel(case, case.watched, case.content_types[1], "FullyReplicated"),
        ],
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/out"},
        ResourceConfig={"InstanceCount": hosts, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
        HyperParameters={name: str(value) for name, value in case.hyperparameters.items()},
    )
    deadline = time.monotonic() + PATIENCE
    while True:
        job = sagemaker.describe_training_job(TrainingJobName=name)
        if job["TrainingJobStatus"] in ("Completed", "Failed", "Stopped"):
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.02)


def reached(server: Any, case: Case, job: dict[str, Any]) -> float:
    """The case's metric, as the first host reports it."""
    metrics = {metric["MetricName"]: metric["Value"] for metric in job["FinalMetricDataList"]}
    if case.metric in metrics:
        return metrics[case.metric]
    logs, group = server.client("logs"), {"logGroupName": "/aws/sagemaker/TrainingJobs"}
    streams = logs.describe_log_streams(**group, logStreamNamePrefix=f"{job['TrainingJobName']}/algo-1-")["logStreams"]
    events = logs.get_log_events(**group, logStreamName=streams[0]["logStreamName"], startFromHead=True)["events"]
    found = [match for event in events if (match := re.search(case.metric, event["message"]))]
    assert found, [event["message"] for event in events]
    return float(found[-1][1])


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_two_hosts_reach_what_one_reaches(server: Any, case: Case) -> None:
    s3 = server.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    for number, body in enumerate(case.train):
        s3.put_object(Bucket=BUCKET, Key=f"{case.name}/train/{number}", Body=body)
    s3.put_object(Bucket=BUCKET, Key=f"{case.name}/{case.watched}/rows", Body=case.held_out)
    values = []
    for hosts in (1, 2):
        job = train(server, case, hosts)
        assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
        values.append(reached(server, case, job))
    assert values[1] == pytest.approx(values[0], rel=case.relative)


def test_no_algorithm_is_forgotten() -> None:
    distributed = {repository for one in algorithms.every() if one.distributed for repository in one.repositories}
    tried = {case.name for case in CASES}
    assert tried <= distributed
    assert distributed - tried <= {"xgboost"}, "an algorithm that claims to train on several hosts is not tried here"
