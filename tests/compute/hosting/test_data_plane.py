"""The data plane with real worker processes and models of our own (`tiny_models`)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tarfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from clary.compute.hosting import data_plane as module
from clary.compute.hosting.data_plane import DataPlane
from clary.compute.hosting.endpoint import EndpointPlan, RunningEndpoint, VariantFailed
from clary.compute.hosting.errors import ModelError, ModelNotReadyException, ValidationError
from clary.compute.hosting.instance import Program
from clary.compute.hosting.variant import VariantPlan
from clary.compute.runner.fork_server import ForkServers
from clary.core.identifiers import Scope
from clary.core.service import Identity

SCOPE = Scope("000000000000", "us-east-1")
CALLER = Identity("000000000000", "arn:aws:iam::000000000000:root")


class KeptLines:
    """A sink for log lines that keeps them."""

    def __init__(self) -> None:
        self.streams: dict[str, list[str]] = {}
        self.cursors: dict[str, str] = {}

    def cursor(self, scope: Scope, group: str, stream: str) -> str | None:
        return self.cursors.get(stream)

    async def append(self, scope: Scope, group: str, stream: str, lines: list[tuple[int, str]], *, cursor: str) -> None:
        self.streams.setdefault(stream, []).extend(line for _, line in lines)
        self.cursors[stream] = cursor


class Hosting:
    """A data plane and what its tests say to it."""

    def __init__(self, plane: DataPlane, directory: Path) -> None:
        self.plane = plane
        self.directory = directory

    async def deploy(self, name: str, *variants: VariantPlan) -> RunningEndpoint:
        endpoint = self.plane.prepare(EndpointPlan(SCOPE, name, self.directory, variants))
        await endpoint.start()
        former = self.plane.put_in_service(endpoint)
        if former:
            await former.close()
        return endpoint

    async def invoke(self, name: str, body: bytes, **headers: str) -> tuple[int, dict[str, str], bytes]:
        named = {header.replace("_", "-"): value for header, value in headers.items()}
        return await self.plane.invoke(SCOPE, CALLER, name, named, body)


def variant(name: str = "AllTraffic", *, load: str = "upper", count: int = 1, weight: float = 1, **program) -> VariantPlan:
    environment = program.pop("environment", {"NAME": name})
    source = program.pop("source", None)
    return VariantPlan(name, weight, count, Program("bare", f"tiny_models:{load}", environment, source, **program))


@pytest.fixture
def hosting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Hosting], Awaitable[None]]], None]:
    """Runs an async test against a data plane of its own."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))

    def run(test: Callable[[Hosting], Awaitable[None]]) -> None:
        asyncio.run(asyncio.wait_for(_with_plane(tmp_path, test), 60))

    return run


async def _with_plane(directory: Path, test: Callable[[Hosting], Awaitable[None]]) -> None:
    async with _opened(directory) as plane:
        await test(Hosting(plane, directory))


@contextlib.asynccontextmanager
async def _opened(directory: Path) -> AsyncIterator[DataPlane]:
    fork_servers = ForkServers()
    plane = DataPlane(fork_servers, KeptLines())
    await plane.open(directory)
    try:
        yield plane
    finally:
        await plane.close()
        fork_servers.close()


def archive(path: Path, **files: str) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            source = path.parent / name
            source.write_text(text)
            tar.add(source, name)
    return path


def test_a_call_reaches_the_model_and_its_answer_comes_back(hosting, tmp_path):
    async def test(hosting: Hosting) -> None:
        await hosting.deploy("e", variant(source=archive(tmp_path / "model.tar.gz", name="from the archive")))
        status, headers, body = await hosting.invoke("e", b"hello", content_type="text/csv", accept="a/b", cookie="x")
        assert (status, body) == (200, b"HELLO")
        assert headers == {
            "Content-Type": "text/csv",
            "x-Amzn-Invoked-Production-Variant": "AllTraffic",
            "X-Amzn-SageMaker-Custom-Attributes": "a/b",
        }

    hosting(test)


def test_workers_are_spawned_where_fork_is_not_there(hosting, tmp_path, monkeypatch):
    monkeypatch.setenv("CLARY_START_METHOD", "spawn")

    async def test(hosting: Hosting) -> None:
        endpoint = await hosting.deploy("e", variant(source=archive(tmp_path / "model.tar.gz", name="spawned")))
        assert (await hosting.invoke("e", b"hello"))[2] == b"HELLO"
        os.kill(endpoint.variants["AllTraffic"].instances[0].pid, signal.SIGKILL)
        await endpoint.variants["AllTraffic"].instances[0].link.lost.wait()
        assert (await hosting.invoke("e", b"again"))[2] == b"AGAIN"
        with pytest.raises(VariantFailed, match="ended while it was loading"):
            await hosting.deploy("d", variant(load="dying"))

    hosting(test)


def test_a_deep_data_directory_has_its_socket_elsewhere(hosting, tmp_path):
    async def test(_: Hosting) -> None:
        async with _opened(tmp_path / ("deep" * 30)) as plane:
            await Hosting(plane, tmp_path).deploy("e", variant())

    hosting(test)


def test_what_waits_becomes_one_batch(hosting):
    async def test(hosting: Hosting) -> None:
        endpoint = await hosting.deploy("e", variant(environment={"BUSY_SECONDS": "0.05"}))
        link = endpoint.variants["AllTraffic"].instances[0].link
        answers = await asyncio.gather(*(link.ask(1, {}, str(n).encode()) for n in range(40)))
        assert [answer.body for answer in answers] == [str(n).encode() for n in range(40)]
        assert max(int(answer.headers["x-batch"]) for answer in answers) > 10

    hosting(test)


def test_one_request_that_fails_does_not_spoil_its_neighbours(hosting):
    async def test(hosting: Hosting) -> None:
        await hosting.deploy("e", variant(environment={"BUSY_SECONDS": "0.02"}))
        bodies = [b"a", b"raise", b"b", b"status 415", b"c"]
        answers = await asyncio.gather(*(hosting.invoke("e", body) for body in bodies), return_exceptions=True)
        assert [a[2] if isinstance(a, tuple) else a.members["OriginalStatusCode"] for a in answers] == [
            b"A",
            500,
            b"B",
            415,
            b"C",
        ]
        assert answers[1].status == 424
        assert answers[1].message.startswith(
            'Received server error (500) from primary with message "ZeroDivisionError: asked to raise". See https://us-east-1.'
        )
        assert answers[3].message.startswith('Received client error (415) from primary with message "as you wish". ')
        assert ":log-group:/aws/sagemaker/Endpoints/e:log-stream:AllTraffic/i-" in answers[3].members["LogStreamArn"]

    hosting(test)


def test_weights_share_the_calls_and_a_target_overrides_them(hosting):
    async def test(hosting: Hosting) -> None:
        await hosting.deploy("e", variant("small", weight=1), variant("large", weight=3), variant("none", weight=0))
        seen = Counter()
        for _ in range(40):
            answers = await asyncio.gather(*(hosting.invoke("e", b"x") for _ in range(50)))
            seen.update(headers["x-Amzn-Invoked-Production-Variant"] for _, headers, _ in answers)
        three_sigma = 3 * (2000 * 0.25 * 0.75) ** 0.5
        assert abs(seen["small"] - 500) < three_sigma * 1.7  # five sigma: wrong once in two million runs
        assert seen["none"] == 0
        _, headers, _ = await hosting.invoke("e", b"x", x_amzn_sagemaker_target_variant="none")
        assert headers["x-Amzn-Invoked-Production-Variant"] == "none"
        with pytest.raises(ValidationError, match="Variant nobody not found"):
            await hosting.invoke("e", b"x", x_amzn_sagemaker_target_variant="nobody")

    hosting(test)


def test_a_worker_that_dies_fails_only_the_calls_it_had_and_is_replaced(hosting):
    async def test(hosting: Hosting) -> None:
        endpoint = await hosting.deploy("e", variant(environment={"BUSY_SECONDS": "0.05"}))
        calls = [asyncio.create_task(hosting.invoke("e", str(n).encode())) for n in range(30)]
        await asyncio.sleep(0)
        instance = endpoint.variants["AllTraffic"].instances[0]
        os.kill(instance.pid, signal.SIGKILL)
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(outcome, ModelError | tuple) for outcome in outcomes)
        assert (await hosting.invoke("e", b"next"))[2] == b"NEXT"
        assert endpoint.variants["AllTraffic"].instances == [instance]

    hosting(test)


def test_a_worker_that_is_asked_to_stop_answers_what_it_has_first(hosting):
    async def test(hosting: Hosting) -> None:
        endpoint = await hosting.deploy("e", variant(environment={"BUSY_SECONDS": "0.05"}))
        calls = [asyncio.create_task(hosting.invoke("e", str(n).encode())) for n in range(30)]
        await asyncio.sleep(0.01)
        os.kill(endpoint.variants["AllTraffic"].instances[0].pid, signal.SIGTERM)
        more = [asyncio.create_task(hosting.invoke("e", str(n).encode())) for n in range(30)]
        assert all(status == 200 for status, *_ in await asyncio.gather(*calls, *more))

    hosting(test)


def test_a_silent_worker_times_the_call_out_and_is_replaced(hosting, monkeypatch):
    monkeypatch.setattr(module, "MODEL_SECONDS", 0.5)

    async def test(hosting: Hosting) -> None:
        await hosting.deploy("e", variant())
        with pytest.raises(ModelError, match="Your invocation timed out") as error:
            await hosting.invoke("e", b"hang")
        assert error.value.members["OriginalStatusCode"] == 0
        assert (await hosting.invoke("e", b"next"))[2] == b"NEXT"

    hosting(test)


def test_more_calls_than_an_instance_takes_are_turned_away_at_once(hosting, monkeypatch):
    monkeypatch.setattr("clary.compute.hosting.variant.MAX_CALLS_IN_FLIGHT", 5)

    async def test(hosting: Hosting) -> None:
        await hosting.deploy("e", variant(environment={"BUSY_SECONDS": "0.2"}))
        outcomes = await asyncio.gather(*(hosting.invoke("e", b"x") for _ in range(8)), return_exceptions=True)
        assert sum(isinstance(outcome, ModelNotReadyException) for outcome in outcomes) == 3

    hosting(test)


def test_instances_of_a_variant_share_the_calls(hosting):
    async def test(hosting: Hosting) -> None:
        endpoint = await hosting.deploy("e", variant(count=2, environment={"BUSY_SECONDS": "0.05"}))
        calls = [asyncio.create_task(hosting.invoke("e", b"x")) for _ in range(10)]
        await asyncio.sleep(0)
        assert [instance.link.in_flight for instance in endpoint.variants["AllTraffic"].instances] == [5, 5]
        await asyncio.gather(*calls)

    hosting(test)


def test_an_update_under_load_fails_no_call(hosting):
    async def test(hosting: Hosting) -> None:
        await hosting.deploy("e", variant("old"))
        done = asyncio.Event()

        async def client() -> list[str]:
            seen = []
            while not done.is_set():
                _, headers, _ = await hosting.invoke("e", b"x")
                seen.append(headers["x-Amzn-Invoked-Production-Variant"])
            return seen

        clients = [asyncio.create_task(client()) for _ in range(8)]
        await hosting.deploy("e", variant("new"))
        done.set()
        assert "old" in {name for seen in await asyncio.gather(*clients) for name in seen}
        assert (await hosting.invoke("e", b"x"))[1]["x-Amzn-Invoked-Production-Variant"] == "new"

    hosting(test)


@pytest.mark.parametrize(
    ("load", "cause"),
    [
        ("broken", "FileNotFoundError: the archive has no file called weights"),
        ("dying", "the worker process ended while it was loading the model"),
        ("endless", "the model was not ready within 1 seconds"),
        ("absent", "AttributeError"),
    ],
)
def test_a_model_that_does_not_load_is_a_failure_with_its_cause(hosting, load, cause):
    async def test(hosting: Hosting) -> None:
        with pytest.raises(VariantFailed) as failure:
            await hosting.deploy("e", variant("A"), variant("B", load=load, start_seconds=1 if load == "endless" else 60))
        assert failure.value.variant == "B"
        assert cause in failure.value.cause

    hosting(test)


def test_an_archive_that_reaches_out_is_a_failure(hosting, tmp_path):
    with tarfile.open(tmp_path / "evil.tar.gz", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("../escaped"))

    async def test(hosting: Hosting) -> None:
        with pytest.raises(VariantFailed, match="leads out of"):
            await hosting.deploy("e", variant(source=tmp_path / "evil.tar.gz"))

    hosting(test)


def test_an_endpoint_that_is_not_there_and_parameters_that_are_not_supported(hosting):
    async def test(hosting: Hosting) -> None:
        with pytest.raises(ValidationError, match=r"Endpoint nobody of account 000000000000 not found\."):
            await hosting.invoke("nobody", b"x")
        await hosting.deploy("e", variant())
        with pytest.raises(ValidationError, match="Endpoint E of"):  # AWS: the case is matched by InvokeEndpoint
            await hosting.invoke("E", b"x")
        with pytest.raises(ValidationError, match="TargetModel"):
            await hosting.invoke("e", b"x", x_amzn_sagemaker_target_model="m.tar.gz")
        with pytest.raises(ValidationError, match="6291456"):
            await hosting.invoke("e", b"x" * 6_291_457)
        assert len((await hosting.invoke("e", b"x" * 6_291_456))[2]) == 6_291_456

    hosting(test)


def test_workers_end_with_their_server_and_leave_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))

    async def test() -> int:
        async with _opened(tmp_path) as plane:
            endpoint = await Hosting(plane, tmp_path).deploy("e", variant())
            pid = endpoint.variants["AllTraffic"].instances[0].pid
        return pid

    pid = asyncio.run(test())
    _wait_until_gone(pid)
    assert list((tmp_path / "instances").glob("*/*")) == []


def _wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 10
    while os.path.exists(f"/proc/{pid}"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
