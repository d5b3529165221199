"""Training under `kill -9`: jobs finish, nothing runs twice, no log line is lost or doubled, no status goes backwards.

`CRASH_ROUNDS=20 pytest tests/crashes/test_training.py` repeats every test 20 times.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Server
from tests.processes import children, innermost, is_gone

from clary.compute.runner import lock

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "1"))
pytestmark = pytest.mark.parametrize("repetition", range(ROUNDS))

BUCKET, TREES = "crash-tests", 100
LONG = 1500
"""Trees of a job that must still train when what was waited for has been seen, however busy the machine is."""
GROUP = "/aws/sagemaker/TrainingJobs"
RANK = {"InProgress": 0, "Stopping": 1, "Completed": 2, "Failed": 2, "Stopped": 2}
PATIENCE = 180


class Crash:
    """A training job, its server, and the means to kill whatever takes part."""

    def __init__(self, server: Any):
        self.server = server
        self.job = f"job-{secrets.token_hex(4)}"
        self.statuses: list[str] = []

    def create(self, trees: int = TREES, hosts: int = 1, checkpoints: bool = False) -> None:
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/train/", "S3DataDistributionType": "ShardedByS3Key"}
        config = {"S3Uri": f"s3://{BUCKET}/checkpoints/{self.job}"}
        self.server.client("sagemaker").create_training_job(
            TrainingJobName=self.job,
            AlgorithmSpecification={"TrainingImage": "sagemaker-xgboost:3.0-5", "TrainingInputMode": "File"},
            RoleArn="arn:aws:iam::000000000000:role/SageMakerRole",
            InputDataConfig=[
                {"ChannelName": "train", "ContentType": "text/csv", "DataSource": {"S3DataSource": source}},
            ],
            OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/out"},
            ResourceConfig={"InstanceCount": hosts, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
            StoppingCondition={"MaxRuntimeInSeconds": 600},
            HyperParameters={"num_round": str(trees), "max_depth": "5", "objective": "binary:logistic", "nthread": "1"},
            **({"CheckpointConfig": config} if checkpoints else {}),
        )

    def describe(self) -> dict[str, Any]:
        job = self.server.client("sagemaker").describe_training_job(TrainingJobName=self.job)
        self.statuses.append(job["TrainingJobStatus"])
        return job

    def end(self) -> dict[str, Any]:
        """The finished job, checked for what must hold whatever happened."""
        until(lambda: self.describe()["TrainingJobStatus"] in ("Completed", "Failed", "Stopped"))
        job = self.describe()
        ranks = [RANK[status] for status in self.statuses]
        assert ranks == sorted(ranks)
        transitions = job["SecondaryStatusTransitions"]
        times = [transition["StartTime"] for transition in transitions]
        assert times == sorted(times)
        assert all(transition["StatusMessage"] and transition["EndTime"] for transition in transitions)
        return job

    @property
    def hosts(self) -> list[Path]:
        """The first host's directories of all attempts, in order."""
        return self.attempts("algo-1")

    def attempts(self, host: str) -> list[Path]:
        root = self.server.data / "jobs" / "000000000000" / "us-east-1" / "training-job" / self.job
        return sorted(root.glob(f"*/{host}"))

    def lines(self, file: str) -> list[dict[str, Any]]:
        path = self.hosts[-1] / file if self.hosts else Path("/nonexistent")
        return (
            [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
            if path.exists()
            else []
        )

    def wait_for_line(self, text: str) -> None:
        until(lambda: any(text in line["m"] for line in self.lines("log.jsonl")))

    def wait_for_status(self, status: str) -> None:
        until(lambda: any(line["s"] == status for line in self.lines("status.jsonl")))

    def supervisor(self, host: str = "algo-1") -> int:
        return until(lambda: self.attempts(host) and lock.holder(self.attempts(host)[-1]))

    def program(self, host: str = "algo-1") -> int:
        pid = self.supervisor(host)
        until(lambda: children(pid))
        return innermost(pid)

    def rounds(self) -> list[list[int]]:
        """The boosting rounds that each log stream of the job tells of; only the first of several hosts does."""
        logs = self.server.client("logs")
        streams = logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=f"{self.job}/")["logStreams"]
        told = [rounds_in(self._events(logs, stream["logStreamName"])) for stream in streams]
        return [rounds for stream, rounds in zip(streams, told, strict=True) if "/algo-1-" in stream["logStreamName"] or rounds]

    def _events(self, logs: Any, stream: str) -> list[str]:
        messages, token = [], {}
        while True:
            page = logs.get_log_events(logGroupName=GROUP, logStreamName=stream, startFromHead=True, **token)
            messages += [event["message"] for event in page["events"]]
            if not page["events"]:
                return messages
            token = {"nextToken": page["nextForwardToken"]}

    def check_completed_once(self) -> None:
        job = self.end()
        assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
        assert self.rounds() == [list(range(TREES))]
        assert len(self.hosts) == 1
        key = job["ModelArtifacts"]["S3ModelArtifacts"].removeprefix(f"s3://{BUCKET}/")
        assert self.server.client("s3").head_object(Bucket=BUCKET, Key=key)["ContentLength"] > 1000
        points = self.server.client("cloudwatch").get_metric_statistics(
            Namespace=GROUP,
            MetricName="train:logloss",
            Dimensions=[{"Name": "TrainingJobName", "Value": self.job}],
            StartTime=job["CreationTime"].timestamp() - 60,
            EndTime=job["TrainingEndTime"].timestamp() + 60,
            Period=3600,
            Statistics=["SampleCount"],
        )["Datapoints"]
        assert sum(point["SampleCount"] for point in points) == TREES


def rounds_in(messages: list[str]) -> list[int]:
    return [int(message[1 : message.index("]")]) for message in messages if message.startswith("[") and "\ttrain-" in message]


def until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.002)
    return value


@pytest.fixture(scope="module")
def data_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that is killed and restarted on one data directory all the time."""
    server = Server(tmp_path_factory.mktemp("crashes") / "data").start()
    s3 = server.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    numbers = random.Random(1)
    rows = (f"{numbers.random() > 0.5:d},{','.join(f'{numbers.random():.4f}' for _ in range(10))}" for _ in range(3000))
    lines = list(rows)
    for name, half in (("a", lines[:1500]), ("b", lines[1500:])):
        s3.put_object(Bucket=BUCKET, Key=f"train/{name}.csv", Body="\n".join(half).encode())
    yield server
    server.kill()


@pytest.fixture
def crash(data_directory: Server, repetition: int) -> Crash:
    return Crash(data_directory)


def test_the_server_is_killed_during_training(crash: Crash) -> None:
    crash.create()
    crash.wait_for_line("[20]")
    crash.describe()
    crash.server.kill()
    crash.wait_for_line("[60]")
    crash.server.restart()
    crash.check_completed_once()


@pytest.mark.parametrize("status", ["Downloading", "Training", "Uploading"])
def test_the_server_is_killed_at_each_step(crash: Crash, status: str) -> None:
    crash.create()
    crash.wait_for_status(status)
    crash.server.kill()
    crash.server.restart()
    crash.check_completed_once()


@pytest.mark.parametrize("delay", [0, 0.01, 0.03, 0.1])
def test_the_server_is_killed_soon_after_it_accepted_the_job(crash: Crash, delay: float) -> None:
    crash.create()
    time.sleep(delay)
    crash.server.kill()
    crash.server.restart()
    crash.check_completed_once()


def test_the_server_is_killed_as_soon_as_the_exit_record_is_there(crash: Crash) -> None:
    crash.create()
    until(lambda: crash.hosts and (crash.hosts[-1] / "exit.json").exists())
    crash.server.kill()
    crash.server.restart()
    crash.check_completed_once()


def test_a_job_ends_while_the_server_is_away(crash: Crash) -> None:
    """Between exit record and commit, for certain: the program dies when there is no server to see it."""
    crash.create(trees=100_000)
    crash.wait_for_line("[5]")
    crash.server.kill()
    os.kill(crash.program(), signal.SIGKILL)
    until(lambda: (crash.hosts[-1] / "exit.json").exists())
    crash.server.restart()
    job = crash.end()
    assert (job["TrainingJobStatus"], len(crash.hosts)) == ("Failed", 1)
    (rounds,) = crash.rounds()
    assert rounds == list(range(len(rounds)))
    assert len(rounds) > 5


def test_the_server_is_killed_again_and_again(crash: Crash) -> None:
    crash.create()
    for line in ("[10]", "[50]", "[90]"):
        crash.wait_for_line(line)
        crash.server.kill()
        crash.server.restart()
    crash.check_completed_once()


def test_a_graceful_stop_leaves_the_job_running(crash: Crash) -> None:
    crash.create()
    crash.wait_for_line("[5]")
    assert crash.server.stop() == 0
    crash.wait_for_line(f"[{TREES - 1}]")
    crash.server.restart()
    crash.check_completed_once()


def test_a_stop_request_survives_the_server(crash: Crash) -> None:
    crash.create(trees=100_000)
    crash.wait_for_line("[5]")
    crash.server.client("sagemaker").stop_training_job(TrainingJobName=crash.job)
    crash.server.kill()
    crash.server.restart()
    assert crash.end()["TrainingJobStatus"] == "Stopped"


def test_a_killed_training_process_fails_the_job_and_is_named(crash: Crash) -> None:
    crash.create(trees=100_000)
    crash.wait_for_line("[5]")
    os.kill(crash.program(), signal.SIGKILL)
    job = crash.end()
    assert job["TrainingJobStatus"] == "Failed"
    assert "signal 9 (SIGKILL), exit code: 137" in job["FailureReason"]
    assert len(crash.hosts) == 1


def test_a_killed_supervisor_costs_an_attempt(crash: Crash) -> None:
    crash.create(trees=LONG)
    crash.wait_for_line("[5]")
    program = crash.program()
    os.kill(crash.supervisor(), signal.SIGKILL)
    job = crash.end()
    assert job["TrainingJobStatus"] == "Completed"
    assert is_gone(program)
    first, second = crash.rounds()
    assert first == list(range(len(first)))
    assert second == list(range(LONG))
    statuses = [transition["Status"] for transition in job["SecondaryStatusTransitions"]]
    assert statuses[-5:] == ["Restarting", "Downloading", "Training", "Uploading", "Completed"]


def test_a_supervisor_killed_twice_fails_the_job(crash: Crash) -> None:
    crash.create(trees=100_000)
    for attempt in (1, 2):
        until(lambda attempt=attempt: len(crash.hosts) == attempt)
        crash.wait_for_line("[5]")
        os.kill(crash.supervisor(), signal.SIGKILL)
    job = crash.end()
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("InternalServerError: the supervisor of this job was lost twice")


def test_a_supervisor_lost_while_the_server_is_away_is_noticed(crash: Crash) -> None:
    crash.create(trees=LONG)
    crash.wait_for_line("[5]")
    crash.server.kill()
    os.kill(crash.supervisor(), signal.SIGKILL)
    crash.server.restart()
    assert crash.end()["TrainingJobStatus"] == "Completed"
    assert len(crash.hosts) == 2


# --- two hosts ------------------------------------------------------------------------------------------------------


def test_the_server_is_killed_again_and_again_beside_two_hosts(crash: Crash) -> None:
    crash.create(hosts=2)
    for line in ("[10]", "[50]", "[90]"):
        crash.wait_for_line(line)
        crash.server.kill()
        crash.server.restart()
    crash.check_completed_once()
    assert len(crash.attempts("algo-2")) == 1


@pytest.mark.parametrize("delay", [0, 0.01, 0.03, 0.1])
def test_the_server_is_killed_while_it_starts_two_hosts(crash: Crash, delay: float) -> None:
    crash.create(hosts=2)
    time.sleep(delay)
    crash.server.kill()
    crash.server.restart()
    crash.check_completed_once()
    assert len(crash.attempts("algo-2")) == 1


@pytest.mark.parametrize("host", ["algo-1", "algo-2"])
def test_a_killed_process_of_one_host_fails_the_job_and_ends_the_other(crash: Crash, host: str) -> None:
    crash.create(trees=100_000, hosts=2)
    crash.wait_for_line("[5]")
    programs = crash.program("algo-1"), crash.program("algo-2")
    os.kill(crash.program(host), signal.SIGKILL)
    job = crash.end()
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].endswith(f"signal 9 (SIGKILL), exit code: 137, host: {host}")
    assert all(is_gone(program) for program in programs)
    assert len(crash.hosts) == 1


@pytest.mark.parametrize("host", ["algo-1", "algo-2"])
def test_a_killed_supervisor_of_one_host_costs_all_an_attempt(crash: Crash, host: str) -> None:
    crash.create(trees=LONG, hosts=2)
    crash.wait_for_line("[5]")
    programs = crash.program("algo-1"), crash.program("algo-2")
    os.kill(crash.supervisor(host), signal.SIGKILL)
    job = crash.end()
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert all(is_gone(program) for program in programs)
    first, second = crash.rounds()
    assert first == list(range(len(first)))
    assert second == list(range(LONG))
    assert len(crash.attempts("algo-2")) == 2


def test_a_host_lost_while_the_server_is_away_is_noticed(crash: Crash) -> None:
    crash.create(trees=LONG, hosts=2)
    crash.wait_for_line("[5]")
    crash.server.kill()
    os.kill(crash.supervisor("algo-2"), signal.SIGKILL)
    crash.server.restart()
    assert crash.end()["TrainingJobStatus"] == "Completed"
    assert [len(crash.attempts(host)) for host in ("algo-1", "algo-2")] == [2, 2]


def test_a_stop_request_reaches_both_hosts_through_a_killed_server(crash: Crash) -> None:
    crash.create(trees=100_000, hosts=2)
    crash.wait_for_line("[5]")
    crash.server.client("sagemaker").stop_training_job(TrainingJobName=crash.job)
    crash.server.kill()
    crash.server.restart()
    job = crash.end()
    assert job["TrainingJobStatus"] == "Stopped", job.get("FailureReason")


# --- checkpoints ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hosts", [1, 2])
def test_after_a_lost_host_training_goes_on_from_the_checkpoint(crash: Crash, hosts: int) -> None:
    crash.create(trees=3000, hosts=hosts, checkpoints=True)
    s3 = crash.server.client("s3")
    until(lambda: "Contents" in s3.list_objects_v2(Bucket=BUCKET, Prefix=f"checkpoints/{crash.job}/"))
    crash.server.kill()
    os.kill(crash.supervisor(f"algo-{hosts}"), signal.SIGKILL)
    crash.server.restart()
    job = crash.end()
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    first, second = crash.rounds()
    assert 0 < second[0] <= len(first)
    assert second == list(range(second[0], 3000))
