"""Training job overhead: from CreateTrainingJob to Completed, beyond the algorithm's own time, cold and warm.

Each job trains XGBoost on 500 rows, one after the other; a client polls DescribeTrainingJob every 2 ms. Cold is the first
job of a server: its fork server imports XGBoost first. The algorithm's own time is the time in secondary status Training.
No peer does this work: moto and ministack run nothing, SageMaker itself takes minutes.

    python -m benchmarks.jobs [--jobs 20] [--servers 3]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

BUCKET, POLL_SECONDS = "jobs-benchmark", 0.002
ROWS = "\n".join(f"{n % 2},{n % 13},{n % 7 + n % 2}" for n in range(500)).encode()
PHASES = ("create call", "start", "download", "algorithm", "upload", "commit", "total", "overhead")


@dataclass(frozen=True, slots=True)
class Run:
    """Milliseconds of each phase of one job, and of server CPU."""

    phases: dict[str, float]
    server_cpu: float


def main() -> None:
    options = _options()
    cold, warm = [], []
    for _ in range(options.servers):
        with _server() as (process, clients):
            cold.append(_job(clients, process, 0))
            warm += [_job(clients, process, number + 1) for number in range(options.jobs)]
    _show("cold: the first job of a server", cold)
    _show("warm", warm)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=20, help="warm jobs per server")
    parser.add_argument("--servers", type=int, default=3, help="servers started one after the other, for the cold figure")
    return parser.parse_args()


@contextmanager
def _server() -> Iterator[tuple[subprocess.Popen, dict[str, Any]]]:
    """A server with the training data in S3, and clients of it."""
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "clary.gateway.server", "--data", directory, "--port", "0"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            facts = Path(directory, "server.json")
            while not facts.exists():
                time.sleep(0.01)
            endpoint = f"http://127.0.0.1:{json.loads(facts.read_text())['port']}"
            keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
            clients = {name: boto3.client(name, endpoint_url=endpoint, **keys) for name in ("s3", "sagemaker")}
            clients["s3"].create_bucket(Bucket=BUCKET)
            clients["s3"].put_object(Bucket=BUCKET, Key="train/a.csv", Body=ROWS)
            yield process, clients
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def _job(clients: dict[str, Any], server: subprocess.Popen, number: int) -> Run:
    sagemaker, name = clients["sagemaker"], f"job-{number}"
    cpu, began = _cpu_seconds(server.pid), time.time()
    sagemaker.create_training_job(**_request(name))
    created = time.time()
    while (job := sagemaker.describe_training_job(TrainingJobName=name))["TrainingJobStatus"] == "InProgress":
        time.sleep(POLL_SECONDS)
    seen = time.time()
    if job["TrainingJobStatus"] != "Completed":
        raise SystemExit(f"{name}: {job['TrainingJobStatus']}: {job.get('FailureReason')}")
    phases = _phases(began, created, seen, job)
    return Run({phase: seconds * 1000 for phase, seconds in phases.items()}, (_cpu_seconds(server.pid) - cpu) * 1000)


def _phases(began: float, created: float, seen: float, job: dict[str, Any]) -> dict[str, float]:
    starts = {step["Status"]: step["StartTime"].timestamp() for step in job["SecondaryStatusTransitions"]}
    uploaded = job["TrainingEndTime"].timestamp()
    algorithm = starts["Uploading"] - starts["Training"]
    return {
        "create call": created - began,
        "start": starts["Downloading"] - created,
        "download": starts["Training"] - starts["Downloading"],
        "algorithm": algorithm,
        "upload": uploaded - starts["Uploading"],
        "commit": seen - uploaded,
        "total": seen - began,
        "overhead": seen - began - algorithm,
    }


def _request(name: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/train/"}
    return {
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": "sagemaker-xgboost:3.0-5", "TrainingInputMode": "File"},
        "RoleArn": "arn:aws:iam::000000000000:role/SageMakerRole",
        "InputDataConfig": [{"ChannelName": "train", "ContentType": "text/csv", "DataSource": {"S3DataSource": source}}],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
        "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        "HyperParameters": {"num_round": "10", "objective": "binary:logistic"},
    }


def _cpu_seconds(pid: int) -> float:
    """User and system time of a process so far; 0 where /proc is not there."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _show(title: str, runs: list[Run]) -> None:
    print(f"\n{title} ({len(runs)} jobs), ms")
    print(f"  {'phase':<12} {'p50':>8} {'p95':>8}")
    for phase in PHASES:
        _row(phase, [run.phases[phase] for run in runs])
    _row("server CPU", [run.server_cpu for run in runs])


def _row(name: str, values: list[float]) -> None:
    p95 = statistics.quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else values[0]
    print(f"  {name:<12} {statistics.median(values):8.1f} {p95:8.1f}")


if __name__ == "__main__":
    main()
