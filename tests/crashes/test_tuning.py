"""Tuning under `kill -9`: no trial is started twice, none is lost, and what is tried is what would have been tried anyway.

`CRASH_ROUNDS=20 pytest tests/crashes/test_tuning.py` repeats every test 20 times.
"""

from __future__ import annotations

import os
import random
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Server

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "1"))
pytestmark = pytest.mark.parametrize("repetition", range(ROUNDS))

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.0-5"
BUCKET, PATIENCE, SEED = "tuning-crash-tests", 600, 7
ROWS = "\n".join(f"{n % 7 + n % 3},{n % 7},{n % 3},{n * 7919 % 11}" for n in range(150)).encode()


@pytest.fixture(scope="module")
def data_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that is killed and restarted on one data directory all the time."""
    server = Server(tmp_path_factory.mktemp("crashes") / "data").start()
    s3 = server.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    for channel in ("train", "validation"):
        s3.put_object(Bucket=BUCKET, Key=f"{channel}/a.csv", Body=ROWS)
    yield server
    server.kill()


def channel(name: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{name}/", "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "ContentType": "text/csv", "DataSource": {"S3DataSource": source}}


class Tuning:
    """A tuning job and its server."""

    def __init__(self, server: Server):
        self.server = server
        self.name = f"t-{secrets.token_hex(4)}"

    def create(self, strategy: str, trials: int, parallel: int) -> None:
        self.server.client("sagemaker").create_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=self.name,
            HyperParameterTuningJobConfig={
                "Strategy": strategy,
                "RandomSeed": SEED,
                "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "validation:rmse"},
                "ResourceLimits": {"MaxNumberOfTrainingJobs": trials, "MaxParallelTrainingJobs": parallel},
                "ParameterRanges": {
                    "ContinuousParameterRanges": [{"Name": "eta", "MinValue": "0.01", "MaxValue": "0.9"}],
                    "IntegerParameterRanges": [{"Name": "max_depth", "MinValue": "1", "MaxValue": "8"}],
                },
            },
            TrainingJobDefinition={
                "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
                "RoleArn": "arn:aws:iam::000000000000:role/SageMakerRole",
                "InputDataConfig": [channel("train"), channel("validation")],
                "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
                "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
                "StoppingCondition": {"MaxRuntimeInSeconds": 600},
                "StaticHyperParameters": {"num_round": "5", "nthread": "1"},
            },
        )

    def describe(self) -> dict[str, Any]:
        return self.server.client("sagemaker").describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=self.name)

    def launched(self) -> int:
        return sum(self.describe()["TrainingJobStatusCounters"].values())

    def end(self) -> dict[str, Any]:
        until(lambda: self.describe()["HyperParameterTuningJobStatus"] in ("Completed", "Failed", "Stopped"))
        return self.describe()

    def trials(self) -> list[dict[str, Any]]:
        return self.server.client("sagemaker").list_training_jobs_for_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=self.name, MaxResults=100
        )["TrainingJobSummaries"]

    def kill_and_restart(self) -> None:
        self.server.kill()
        self.server.restart()

    def check(self, trials: int) -> list[dict[str, str]]:
        """What was tried, after a look that every trial is there, once, ended, and counted."""
        ended = self.end()
        assert ended["HyperParameterTuningJobStatus"] == "Completed", ended.get("FailureReason")
        assert ended["TrainingJobStatusCounters"]["Completed"] == trials
        listed = self.trials()
        assert [one["TrainingJobName"].split("-")[2] for one in listed] == [f"{number:03d}" for number in range(1, trials + 1)]
        started = self.server.client("sagemaker").get_paginator("list_training_jobs").paginate(NameContains=self.name)
        names = [one["TrainingJobName"] for page in started for one in page["TrainingJobSummaries"]]
        assert sorted(names) == sorted(one["TrainingJobName"] for one in listed)
        directory = self.server.data / "jobs" / "000000000000" / "us-east-1" / "training-job"
        assert all(len(list((directory / name).iterdir())) == 1 for name in names), "one attempt each"
        best = min(listed, key=lambda one: one["FinalHyperParameterTuningJobObjectiveMetric"]["Value"])
        assert ended["BestTrainingJob"]["TrainingJobName"] == best["TrainingJobName"]
        return [one["TunedHyperParameters"] for one in listed]


def until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.02)
    return value


def undisturbed(server: Server, strategy: str, trials: int, parallel: int) -> list[dict[str, str]]:
    tuning = Tuning(server)
    tuning.create(strategy, trials, parallel)
    return tuning.check(trials)


@pytest.fixture
def tuning(data_directory: Server, repetition: int) -> Tuning:
    return Tuning(data_directory)


def test_a_search_that_learns_goes_on_as_if_nothing_had_happened(tuning: Tuning, repetition: int) -> None:
    """One trial at a time: each depends on the results of all before it, so one that was lost or doubled would show."""
    trials, numbers = 8, random.Random(repetition)
    expected = undisturbed(tuning.server, "Bayesian", trials, 1)
    tuning.create("Bayesian", trials, 1)
    for count in sorted(numbers.sample(range(1, trials), 3)):
        until(lambda count=count: tuning.launched() >= count)
        time.sleep(numbers.random() * 0.3)  # anywhere between one trial and the next
        tuning.kill_and_restart()
    assert tuning.check(trials) == expected


@pytest.mark.slow
def test_fifty_trials_and_ten_kills(tuning: Tuning, repetition: int) -> None:
    trials, numbers = 50, random.Random(100 + repetition)
    expected = undisturbed(tuning.server, "Bayesian", trials, 1)
    tuning.create("Bayesian", trials, 1)
    for count in sorted(numbers.sample(range(1, trials), 10)):
        until(lambda count=count: tuning.launched() >= count)
        time.sleep(numbers.random() * 0.3)
        tuning.kill_and_restart()
    assert tuning.check(trials) == expected


def test_parallel_trials_are_neither_lost_nor_doubled(tuning: Tuning, repetition: int) -> None:
    trials, numbers = 10, random.Random(repetition)
    expected = undisturbed(tuning.server, "Random", trials, 3)
    tuning.create("Random", trials, 3)
    for _ in range(3):
        time.sleep(numbers.random() * 0.5)
        tuning.kill_and_restart()
    assert tuning.check(trials) == expected


@pytest.mark.parametrize("delay", [0, 0.01, 0.05])
def test_the_server_is_killed_soon_after_it_accepted_the_job(tuning: Tuning, delay: float) -> None:
    tuning.create("Random", 2, 2)
    time.sleep(delay)
    tuning.kill_and_restart()
    tuning.check(2)


def test_a_stop_request_survives_the_server(tuning: Tuning) -> None:
    tuning.create("Random", 500, 2)
    until(lambda: tuning.launched() >= 2)
    tuning.server.client("sagemaker").stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=tuning.name)
    tuning.kill_and_restart()
    ended = tuning.end()
    assert ended["HyperParameterTuningJobStatus"] == "Stopped"
    assert ended["TrainingJobStatusCounters"]["InProgress"] == 0
    launched = tuning.launched()
    assert len(tuning.trials()) == launched < 500


def test_a_killed_advisor_is_replaced(tuning: Tuning) -> None:
    """The process that chooses what to try; its death costs nothing but a moment."""
    tuning.create("Bayesian", 6, 1)
    for count in (1, 3):
        until(lambda count=count: tuning.launched() >= count)
        for pid in advisors(tuning.server):
            os.kill(pid, 9)
    tuning.check(6)


def advisors(server: Server) -> list[int]:
    """Children of the server that run the advisor."""
    assert server.process is not None
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    return [int(pid) for pid in children if b"clary.compute.control.advisor" in Path(f"/proc/{pid}/cmdline").read_bytes()]
