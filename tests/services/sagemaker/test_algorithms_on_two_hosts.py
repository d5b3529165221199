"""Every algorithm that trains on several hosts: two hosts with a share each reach what one host with all rows reaches."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from clary.catalog import algorithms

BUCKET = "algorithms-on-two-hosts"
PATIENCE = 300
ROWS, COLUMNS, PARTS = 1200, 6, 4
RNG = np.random.default_rng(0)
X = (RNG.normal(size=(ROWS, COLUMNS)) + 4 * RNG.integers(0, 3, size=(ROWS, 1))).round(3)
CLASS = (X[:, 0] - X[:, 1] + RNG.normal(scale=0.3, size=ROWS) > 0).astype(int)
VALUE = (X @ np.arange(COLUMNS) + RNG.normal(scale=0.1, size=ROWS)).round(3)
UNLABELLED = "text/csv;label_size=0"


@dataclass(frozen=True, slots=True)
class Case:
    """A job: how it is asked for, and the metric by which two hosts are compared with one, or a pattern of its log line."""

    image: str
    metric: str
    hyperparameters: dict[str, Any]
    rows: np.ndarray
    content_type: str = "text/csv"
    relative: float = 0.05
    watched: str = "test"


def labelled(labels: np.ndarray) -> np.ndarray:
    return np.column_stack([labels, X])


CASES = [
    Case(
        "sagemaker-xgboost:3.0-5",
        "validation:accuracy",
        {"num_round": 10, "objective": "binary:logistic", "eval_metric": "accuracy", "nthread": 1},
        labelled(CLASS),
        watched="validation",
    ),
    Case("kmeans:1", "test:msd", {"k": 3, "feature_dim": COLUMNS, "mini_batch_size": 100}, X, UNLABELLED),
    Case(
        "pca:1",
        r"#test_score \(algo-1\) : \('captured_variance', (\S+)\)",
        {"feature_dim": COLUMNS, "num_components": 2, "mini_batch_size": 100},
        X,
        UNLABELLED,
        relative=1e-4,
    ),
    Case(
        "linear-learner:1",
        "validation:binary_classification_accuracy",
        {"predictor_type": "binary_classifier", "feature_dim": COLUMNS, "mini_batch_size": 50, "epochs": 5},
        labelled(CLASS),
        watched="validation",
    ),
]


def lines(rows: np.ndarray) -> bytes:
    return "\n".join(",".join(f"{value:g}" for value in row) for row in rows).encode()


def channel(name: str, case: Case, prefix: str, distribution: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{prefix}", "S3DataDistributionType": distribution}
    return {"ChannelName": name, "ContentType": case.content_type, "DataSource": {"S3DataSource": source}}


def train(server: Any, case: Case, name: str, hosts: int) -> dict[str, Any]:
    sagemaker = server.client("sagemaker")
    sagemaker.create_training_job(
        TrainingJobName=f"{name}-{hosts}",
        AlgorithmSpecification={"TrainingImage": case.image, "TrainingInputMode": "File"},
        RoleArn="arn:aws:iam::000000000000:role/SageMakerRole",
        InputDataConfig=[
            channel("train", case, f"{name}/train/", "ShardedByS3Key"),
            channel(case.watched, case, f"{name}/held-out/", "FullyReplicated"),
        ],
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/out"},
        ResourceConfig={"InstanceCount": hosts, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
        HyperParameters={name: str(value) for name, value in case.hyperparameters.items()},
    )
    deadline = time.monotonic() + PATIENCE
    while True:
        job = sagemaker.describe_training_job(TrainingJobName=f"{name}-{hosts}")
        if job["TrainingJobStatus"] in ("Completed", "Failed", "Stopped"):
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.02)


def value(server: Any, case: Case, job: dict[str, Any]) -> float:
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


@pytest.mark.parametrize("case", CASES, ids=[case.image.partition(":")[0] for case in CASES])
def test_two_hosts_reach_what_one_reaches(server: Any, case: Case) -> None:
    s3, name = server.client("s3"), f"both-{case.image.partition(':')[0]}"
    s3.create_bucket(Bucket=BUCKET)
    kept = len(case.rows) - len(case.rows) // 5
    for number, part in enumerate(np.array_split(case.rows[:kept], PARTS)):
        s3.put_object(Bucket=BUCKET, Key=f"{name}/train/{number}", Body=lines(part))
    s3.put_object(Bucket=BUCKET, Key=f"{name}/held-out/rows", Body=lines(case.rows[kept:]))
    reached = []
    for hosts in (1, 2):
        job = train(server, case, name, hosts)
        assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
        reached.append(value(server, case, job))
    assert reached[1] == pytest.approx(reached[0], rel=case.relative)


def test_no_algorithm_is_forgotten() -> None:
    distributed = {repository for one in algorithms.every() if one.distributed for repository in one.repositories}
    tried = {case.image.partition(":")[0] for case in CASES}
    assert tried <= distributed
    assert distributed - tried <= {"xgboost"}, "an algorithm that claims to train on several hosts is not tried here"
