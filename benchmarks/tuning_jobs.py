"""Tuning jobs through boto3 on a real server: what a trial costs beyond training, and whole jobs against Optuna and Ray Tune.

1. A tuning job of 100 XGBoost trials on abalone, 2 at a time. Training itself is the time that a trial is in secondary status
   Training; `beyond` is what a slot spent otherwise, per trial: (2 x wall time of the job - training of all trials) / trials.
2. A script whose trials train for 5 seconds, 20 of them, 2 at a time; Optuna (threads) and Ray Tune drive the same function.
   Their wall time is that of their search; starting Ray, or our server, is not in it.

    python -m benchmarks.tuning_jobs [--data ../shared/data] [--trials 100] [--script-trials 20] [--peers PYTHON]

PYTHON is the interpreter of an environment with `optuna`, `ray[tune]` and `xgboost-cpu`; a peer that it lacks is left out.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from benchmarks.servers import cpu_seconds, running, until
from benchmarks.tuning_drivers import DEPTH, ETA, SUBSAMPLE
from benchmarks.tuning_tables import DATA
from benchmarks.tuning_training import rows as table_rows

from clary.formats import csv as csv_format

BUCKET, PARALLEL = "tuning-benchmark", 2
REGISTRY = "683313688378.dkr.ecr.us-east-1.amazonaws.com"
ENDED = ("Completed", "Failed", "Stopped")


def main() -> None:
    options = _options()
    table = options.data / "abalone" / "abalone.csv"
    if not table.exists():
        raise SystemExit(f"{table} is not there; give the folder of the data sets with --data DIR")
    with _server() as (pid, clients):
        _upload(clients["s3"], table)
        before = cpu_seconds([pid])
        _builtin(clients["sagemaker"], options.trials)
        print(f"CPU of the server, per trial: {1000 * (cpu_seconds([pid]) - before) / options.trials:.0f} ms")
        _script(clients["sagemaker"], options, table)


def _builtin(sagemaker: Any, trials: int) -> None:
    request = _job("abalone", trials, "validation:rmse", _trees())
    wall, job = _run(sagemaker, request)
    times = [_training(sagemaker, each) for each in _trials(sagemaker, "abalone")]
    slots = (PARALLEL * wall - sum(times)) / trials
    best = job["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
    print(f"XGBoost on abalone, {trials} trials, {PARALLEL} at a time: {wall:.2f} s, best RMSE {best:.4f}")
    print(f"  training: median {statistics.median(times):.3f} s, in all {sum(times):.2f} s")
    print(f"  beyond, a slot and trial: {slots:.3f} s (goal 0.3); wall time of the job per trial: {wall / trials:.3f} s")


def _script(sagemaker: Any, options: argparse.Namespace, table: Path) -> None:
    trials, seconds = options.script_trials, options.seconds
    wall, job = _run(sagemaker, _job("script", trials, "rmse", _scripted(seconds)))
    best = job["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
    ideal = trials * seconds / PARALLEL
    print(f"\na script that trains for {seconds:g} s, {trials} trials, {PARALLEL} at a time; {ideal:g} s at least")
    print(f"  {'Clary':10} {wall:7.2f} s                best RMSE {best:.4f}")
    for peer in ("optuna", "ray"):
        command = [
            options.peers,
            "-m",
            "benchmarks.tuning_drivers",
            peer,
            str(table),
            f"--trials={trials}",
            f"--seconds={seconds}",
        ]
        done = subprocess.run([*command, f"--parallel={PARALLEL}"], capture_output=True, text=True)
        if done.returncode:
            print(f"  {peer:10} left out: {done.stderr.strip().splitlines()[-1]}")
            continue
        said = json.loads(done.stdout.strip().splitlines()[-1])
        ratio = f"{wall / said['wall']:.3f} x"
        print(f"  {peer:10} {said['wall']:7.2f} s   ours {ratio}  best RMSE {said['best']:.4f}   start {said['start']:.1f} s")


@contextmanager
def _server() -> Iterator[tuple[int, dict[str, Any]]]:
    with tempfile.TemporaryDirectory() as directory:
        facts = Path(directory, "data", "server.json")
        command = [sys.executable, "-m", "clary.gateway.server", "--data", str(facts.parent), "--port", "0"]
        with running(command, Path(directory, "log")) as process:
            port = until(lambda: json.loads(facts.read_text()))["port"]
            keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
            yield (
                process.pid,
                {name: boto3.client(name, endpoint_url=f"http://127.0.0.1:{port}", **keys) for name in ("s3", "sagemaker")},
            )


def _upload(s3: Any, table: Path) -> None:
    """Abalone cut 70 to 30 as the algorithm takes it, the table as it is, and the script."""
    rows = table_rows(table)[:, [-1, *range(8)]]
    cut = len(rows) * 7 // 10
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="train/a.csv", Body=csv_format.format_rows(rows[:cut]))
    s3.put_object(Bucket=BUCKET, Key="validation/a.csv", Body=csv_format.format_rows(rows[cut:]))
    s3.put_object(Bucket=BUCKET, Key="table/abalone.csv", Body=table.read_bytes())
    source, packed = Path(__file__).with_name("tuning_training.py").read_bytes(), io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        member = tarfile.TarInfo("train.py")
        member.size = len(source)
        tar.addfile(member, io.BytesIO(source))
    s3.put_object(Bucket=BUCKET, Key="sourcedir.tar.gz", Body=packed.getvalue())


def _run(sagemaker: Any, request: dict[str, Any]) -> tuple[float, dict[str, Any]]:
    """Seconds from the call to the end of the job, and its description. Raises `SystemExit` if a trial has not completed."""
    name, began = request["HyperParameterTuningJobName"], time.monotonic()
    sagemaker.create_hyper_parameter_tuning_job(**request)
    while (job := _describe(sagemaker, name))["HyperParameterTuningJobStatus"] not in ENDED:
        time.sleep(0.05)
    wall = time.monotonic() - began
    limit = request["HyperParameterTuningJobConfig"]["ResourceLimits"]["MaxNumberOfTrainingJobs"]
    if job["TrainingJobStatusCounters"]["Completed"] != limit:
        raise SystemExit(f"{name}: {job['HyperParameterTuningJobStatus']}, {job.get('FailureReason')}")
    return wall, job


def _describe(sagemaker: Any, name: str) -> dict[str, Any]:
    return sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)


def _trials(sagemaker: Any, name: str) -> list[str]:
    pages = sagemaker.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job").paginate(
        HyperParameterTuningJobName=name
    )
    return [trial["TrainingJobName"] for page in pages for trial in page["TrainingJobSummaries"]]


def _training(sagemaker: Any, name: str) -> float:
    """Seconds that a trial was in secondary status Training."""
    steps = sagemaker.describe_training_job(TrainingJobName=name)["SecondaryStatusTransitions"]
    starts = {step["Status"]: step["StartTime"].timestamp() for step in steps}
    return starts["Uploading"] - starts["Training"]


def _job(name: str, trials: int, metric: str, definition: dict[str, Any]) -> dict[str, Any]:
    scale = {"ScalingType": "Logarithmic"}
    ranges = {
        "ContinuousParameterRanges": [
            {"Name": "eta", "MinValue": str(ETA[0]), "MaxValue": str(ETA[1])} | scale,
            {"Name": "subsample", "MinValue": str(SUBSAMPLE[0]), "MaxValue": str(SUBSAMPLE[1])},
        ],
        "IntegerParameterRanges": [{"Name": "max_depth", "MinValue": str(DEPTH[0]), "MaxValue": str(DEPTH[1])}],
    }
    config = {
        "Strategy": "Bayesian",
        "RandomSeed": 0,
        "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": metric},
        "ResourceLimits": {"MaxNumberOfTrainingJobs": trials, "MaxParallelTrainingJobs": PARALLEL},
        "ParameterRanges": ranges,
    }
    common = {
        "RoleArn": "arn:aws:iam::000000000000:role/SageMakerRole",
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
        "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": config,
        "TrainingJobDefinition": common | definition,
    }


def _trees() -> dict[str, Any]:
    return {
        "AlgorithmSpecification": {"TrainingImage": f"{REGISTRY}/sagemaker-xgboost:3.0-5", "TrainingInputMode": "File"},
        "InputDataConfig": [_channel("train", "train"), _channel("validation", "validation")],
        "StaticHyperParameters": {"num_round": "100", "nthread": "1"},
    }


def _scripted(seconds: float) -> dict[str, Any]:
    """The training function as a script of the XGBoost framework image."""
    metrics = [{"Name": "rmse", "Regex": "rmse=(.*?);"}]
    source = {"sagemaker_program": '"train.py"', "sagemaker_submit_directory": f'"s3://{BUCKET}/sourcedir.tar.gz"'}
    image = {"TrainingImage": f"{REGISTRY}/sagemaker-xgboost:3.0-5", "TrainingInputMode": "File", "MetricDefinitions": metrics}
    return {
        "AlgorithmSpecification": image,
        "InputDataConfig": [_channel("train", "table")],
        "StaticHyperParameters": source | {"seconds": str(seconds)},
    }


def _channel(name: str, prefix: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{prefix}/"}
    return {"ChannelName": name, "ContentType": "text/csv", "DataSource": {"S3DataSource": source}}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data sets")
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--script-trials", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=5, help="that a trial of the script trains")
    parser.add_argument("--peers", default=sys.executable, help="Python with optuna and ray[tune]")
    return parser.parse_args()


if __name__ == "__main__":
    main()
