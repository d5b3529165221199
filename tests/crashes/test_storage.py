"""`kill -9` of the server under concurrent writes: rows, log events and metric points that were acknowledged are there."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

ROUNDS = 3
WRITES_PER_ROUND = 120
GONE = (ClientError, BotoCoreError, OSError)
GROUP, SPACE = "/crash/group", "Crash"
TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})


class Writers:
    """Threads that write without a pause until the server is gone; `acknowledged` holds what was confirmed, by writer."""

    def __init__(self, server, round_: int):
        self.acknowledged: dict[str, list[int]] = {}
        writes = {"role": put_role, "log": put_event, "metric": put_metric, "endpoint": create_endpoint_configuration}
        self._threads = [
            threading.Thread(
                target=self._run, args=(write(server, f"{round_}-{kind}-{number}"), f"{kind} {round_}-{kind}-{number}")
            )
            for kind, write in writes.items()
            for number in range(2)
        ]

    def _run(self, write: Callable[[int], None], name: str) -> None:
        done = self.acknowledged[name] = []
        for number in range(100_000):
            try:
                write(number)
            except GONE:
                return
            done.append(number)

    def kill_in_the_middle(self, server) -> None:
        for thread in self._threads:
            thread.start()
        deadline = time.monotonic() + 60
        while sum(map(len, self.acknowledged.values())) < WRITES_PER_ROUND:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        server.kill()
        for thread in self._threads:
            thread.join()


def put_role(server, name: str) -> Callable[[int], None]:
    iam = server.client("iam")
    return lambda number: iam.create_role(RoleName=f"{name}-{number}", AssumeRolePolicyDocument=TRUST)


def put_event(server, name: str) -> Callable[[int], None]:
    logs = server.client("logs")

    def write(number: int) -> None:
        if number == 0:
            logs.create_log_stream(logGroupName=GROUP, logStreamName=name)
        event = {"timestamp": int(time.time() * 1000), "message": f"{name} {number}"}
        logs.put_log_events(logGroupName=GROUP, logStreamName=name, logEvents=[event])

    return write


def put_metric(server, name: str) -> Callable[[int], None]:
    cloudwatch = server.client("cloudwatch")
    return lambda number: cloudwatch.put_metric_data(Namespace=SPACE, MetricData=[{"MetricName": name, "Value": 2.0}])


def create_endpoint_configuration(server, name: str) -> Callable[[int], None]:
    sagemaker = server.client("sagemaker")

    def write(number: int) -> None:
        sagemaker.create_model(ModelName=f"{name}-{number}", ExecutionRoleArn="arn:aws:iam::000000000000:role/r")
        variant = {
            "VariantName": "v",
            "ModelName": f"{name}-{number}",
            "InitialInstanceCount": 1,
            "InstanceType": "ml.m5.large",
        }
        sagemaker.create_endpoint_config(EndpointConfigName=f"{name}-{number}", ProductionVariants=[variant])

    return write


def check(server, name: str, numbers: list[int]) -> None:
    """Everything acknowledged is there, once; at most the one write in flight is there besides."""
    kind, name = name.split()
    if kind == "log":
        messages = list(events(server.client("logs"), name))
        assert messages == [f"{name} {number}" for number in range(len(messages))]
        assert len(numbers) <= len(messages) <= len(numbers) + 1
    elif kind == "metric":
        assert len(numbers) <= points(server.client("cloudwatch"), name) <= len(numbers) + 1
    elif kind == "role":
        assert all(server.client("iam").get_role(RoleName=f"{name}-{number}") for number in numbers)
    else:
        sagemaker = server.client("sagemaker")
        assert all(sagemaker.describe_endpoint_config(EndpointConfigName=f"{name}-{number}") for number in numbers)


def events(logs: Any, stream: str):
    request = {"logGroupName": GROUP, "logStreamName": stream, "startFromHead": True, "limit": 50}
    page = logs.get_log_events(**request)
    while page["events"]:
        yield from (event["message"] for event in page["events"])
        page = logs.get_log_events(**request, nextToken=page["nextForwardToken"])


def points(cloudwatch: Any, metric: str) -> float:
    now = datetime.now(UTC)
    window = {"StartTime": now - timedelta(hours=1), "EndTime": now + timedelta(minutes=1), "Period": 3600}
    answer = cloudwatch.get_metric_statistics(Namespace=SPACE, MetricName=metric, Statistics=["SampleCount"], **window)
    return sum(point["SampleCount"] for point in answer["Datapoints"])


@pytest.mark.parametrize("durability", ["full", "fast"])
def test_nothing_that_was_acknowledged_is_lost(start_server, durability):
    server = start_server(durability=durability)
    server.client("logs").create_log_group(logGroupName=GROUP)
    acknowledged: dict[str, list[int]] = {}
    for round_ in range(ROUNDS):
        writers = Writers(server, round_)
        writers.kill_in_the_middle(server)
        acknowledged |= writers.acknowledged
        server.restart()
    for name, numbers in acknowledged.items():
        check(server, name, numbers)
