"""Endpoints and transform jobs with processes killed at the worst moment."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from tests.hosting import Customer, csv, numbers, predictions, rows, wait_for

ROW = rows(1)


@pytest.fixture
def customer(start_server) -> Customer:
    return Customer(start_server())


def workers(customer: Customer, endpoint: str = "endpoint") -> list[int]:
    """Process ids of an endpoint's workers: their output goes below its directory."""
    return processes_below(customer.server.data / "endpoints" / customer.account / "us-east-1" / endpoint)


def processes_below(directory: Path) -> list[int]:
    def with_output() -> Iterator[int]:
        for output in Path("/proc").glob("[0-9]*/fd/1"):
            try:
                if os.readlink(output).startswith(str(directory)):
                    yield int(output.parts[2])
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue

    return list(with_output())


def gone(pids: list[int]) -> Callable[[], bool]:
    return lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids)


def answers(customer: Customer) -> bool:
    try:
        return customer.predict("endpoint", ROW) == predictions(ROW)
    except (ClientError, OSError):
        return False


class Load:
    """Clients that call without a pause and note what they get: a prediction, or the code of the error."""

    def __init__(self, customer: Customer, clients: int = 4) -> None:
        self.outcomes: list[str] = []
        self._customer = customer
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._call, daemon=True) for _ in range(clients)]

    def _call(self) -> None:
        while not self._done.is_set():
            try:
                right = self._customer.predict("endpoint", ROW) == predictions(ROW)
                self.outcomes.append("right" if right else "wrong")
            except ClientError as error:
                self.outcomes.append(error.response["Error"]["Code"])

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        self.more(20)
        return self

    def more(self, number: int) -> None:
        """Wait until as many further calls have been answered rightly."""
        wanted = self.outcomes.count("right") + number
        wait_for(lambda: self.outcomes.count("right") >= wanted)

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in self._threads), "a call hangs"


def test_a_worker_killed_under_load_fails_only_what_it_had(customer):
    customer.deploy("endpoint")
    clients = 4
    with Load(customer, clients) as load:
        for _ in range(3):
            os.kill(workers(customer)[0], signal.SIGKILL)
            load.more(50)
    failed = [outcome for outcome in load.outcomes if outcome != "right"]
    assert set(failed) <= {"ModelError"}
    assert len(failed) <= 3 * clients
    assert customer.sagemaker.describe_endpoint(EndpointName="endpoint")["EndpointStatus"] == "InService"


def test_one_of_two_workers_killed_while_the_other_goes_on(customer):
    customer.deploy("endpoint", InitialInstanceCount=2)
    with Load(customer) as load:
        first, second = workers(customer)
        os.kill(first, signal.SIGKILL)
        load.more(50)
        wait_for(lambda: len(workers(customer)) == 2)
        assert second in workers(customer)
    assert set(load.outcomes) <= {"right", "ModelError"}


def test_a_server_killed_while_it_makes_an_endpoint_brings_it_into_service_when_it_is_back(customer):
    customer.config("endpoint", {"VariantName": "AllTraffic", "ModelName": "plus"})
    customer.sagemaker.create_endpoint(EndpointName="endpoint", EndpointConfigName="endpoint")
    customer.server.kill()
    customer.server.restart()
    customer.connect()
    assert customer.settled("endpoint")["EndpointStatus"] == "InService"
    assert customer.predict("endpoint", ROW) == predictions(ROW)


def test_endpoints_in_service_are_so_again_after_the_server_was_killed_and_no_worker_is_left_behind(customer):
    customer.deploy("endpoint")
    before = workers(customer)
    customer.s3.delete_object(Bucket=customer.bucket, Key="plus/model.tar.gz")  # what an endpoint needs, it has
    customer.server.kill()
    wait_for(gone(before))
    customer.server.restart()
    customer.connect()
    assert customer.sagemaker.describe_endpoint(EndpointName="endpoint")["EndpointStatus"] == "InService"
    wait_for(lambda: answers(customer))
    assert len(workers(customer)) == 1


def test_a_server_killed_during_an_update_finishes_the_update(customer):
    customer.deploy("endpoint")
    customer.config("other", {"VariantName": "AllTraffic", "ModelName": "minus"})
    customer.sagemaker.update_endpoint(EndpointName="endpoint", EndpointConfigName="other")
    customer.server.kill()
    customer.server.restart()
    customer.connect()
    described = customer.settled("endpoint")
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", "other")
    assert customer.predict("endpoint", ROW) == predictions(ROW, -1)


def test_a_server_killed_while_it_removes_an_endpoint_removes_it_when_it_is_back(customer):
    customer.deploy("endpoint")
    customer.sagemaker.delete_endpoint(EndpointName="endpoint")
    customer.server.kill()
    customer.server.restart()
    customer.connect()
    wait_for(lambda: customer.sagemaker.list_endpoints()["Endpoints"] == [])
    assert workers(customer) == []


def test_a_graceful_stop_leaves_no_worker_and_a_start_brings_the_endpoint_back(customer):
    customer.deploy("endpoint")
    before = workers(customer)
    customer.server.stop()
    wait_for(gone(before))
    customer.server.restart()
    customer.connect()
    wait_for(lambda: answers(customer))


def test_an_endpoint_that_cannot_be_brought_up_again_says_so_and_can_be_deleted(customer):
    customer.deploy("endpoint")
    customer.server.kill()
    (archive,) = (customer.server.data / "endpoints").rglob("model.tar.gz")
    archive.write_bytes(b"damaged")
    customer.server.restart()
    customer.connect()

    def look() -> dict | None:
        described = customer.sagemaker.describe_endpoint(EndpointName="endpoint")
        return described if described["EndpointStatus"] == "OutOfService" else None

    assert "not a readable tar archive" in wait_for(look)["FailureReason"]
    with pytest.raises(ClientError, match="ModelNotReadyException"):
        customer.predict("endpoint", ROW)
    customer.gone("endpoint")
    assert not archive.exists()


MANY = rows(3000)


def slow_transform(customer: Customer) -> None:
    """A job of several hundred milliseconds: record by record."""
    customer.s3.put_object(Bucket=customer.bucket, Key="in/a.csv", Body=csv(MANY))
    customer.transform("job", "in/", BatchStrategy="SingleRecord", MaxConcurrentTransforms=1)


def jobs(customer: Customer) -> list[int]:
    return processes_below(customer.server.data / "jobs")


def finished_rightly(customer: Customer) -> None:
    assert customer.transformed("job")["TransformJobStatus"] == "Completed"
    assert numbers(customer.read("job/a.csv.out")) == pytest.approx(predictions(MANY))


def test_a_transform_goes_on_while_its_server_is_killed_and_started_again(customer):
    slow_transform(customer)
    wait_for(lambda: jobs(customer))
    customer.server.kill()
    customer.server.restart()
    customer.connect()
    finished_rightly(customer)


def test_a_transform_that_was_accepted_just_before_the_server_was_killed_runs(customer):
    slow_transform(customer)
    customer.server.kill()
    customer.server.restart()
    customer.connect()
    finished_rightly(customer)


def test_a_transform_whose_supervisor_is_killed_runs_once_more(customer):
    slow_transform(customer)
    os.kill(wait_for(lambda: jobs(customer))[0], signal.SIGKILL)
    finished_rightly(customer)


def test_a_transform_whose_process_is_killed_fails_and_says_so(customer):
    slow_transform(customer)
    program = wait_for(lambda: children(jobs(customer)))
    os.kill(program[0], signal.SIGKILL)
    described = customer.transformed("job")
    assert described["TransformJobStatus"] == "Failed"
    assert "exit code -9" in described["FailureReason"]


def children(pids: list[int]) -> list[int]:
    found = []
    for pid in pids:
        try:
            found += [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        except FileNotFoundError:
            continue
    return found
