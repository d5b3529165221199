"""Two and three job hosts beside each other, with the server's decisions: what each sees, how they end, what they leave."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.compute.supervisor.bench import Bench, channel

from clary.compute.control.training_decision import Finish, Retry
from clary.compute.runner import lock
from clary.compute.runner.process import ProcessRunner

# --- programs -------------------------------------------------------------------------------------------------------


class PeerLost(Exception):
    """Named as the train programs' own."""


def host_of(opt_ml: Path) -> str:
    return json.loads((opt_ml / "input/config/resourceconfig.json").read_text())["current_host"]


def leave_files(opt_ml: Path) -> None:
    """What this host was told and given, as its model; algo-2 takes its time."""
    host = host_of(opt_ml)
    if host != "algo-1":
        time.sleep(0.5)
    print(f"here is {host}")
    given = sorted(path.name for path in (opt_ml / "input" / "data").rglob("*") if path.is_file())
    (opt_ml / "model" / f"model_{host}").write_text(json.dumps(given))
    (opt_ml / "model" / "everybody").write_text(host)
    (opt_ml / "output" / "data" / host).write_text(os.environ["CLARY_CLUSTER"] + os.environ["CLARY_CLUSTER_SECRET"])


def meet(opt_ml: Path) -> socket.socket:
    """A connection between two hosts, through the place that the platform names: the first host listens, the other comes."""
    host, _, port = os.environ["CLARY_CLUSTER"].rpartition(":")
    if host_of(opt_ml) == "algo-1":
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listener.bind((host, int(port)))
            listener.listen()
            return listener.accept()[0]
    while True:
        try:
            return socket.create_connection((host, int(port)))
        except ConnectionRefusedError:
            continue


def talk(opt_ml: Path) -> None:
    link = meet(opt_ml)
    if host_of(opt_ml) == "algo-2":
        link.send(b"something")
    else:
        print("heard", link.recv(10).decode())


def read_pipe(opt_ml: Path) -> None:
    model = opt_ml / "model" / host_of(opt_ml)
    model.write_bytes((opt_ml / "input" / "data" / "train_0").read_bytes())


def fail_on_the_second(opt_ml: Path) -> None:
    (opt_ml / "output" / "data" / "notes").write_text(host_of(opt_ml))
    if host_of(opt_ml) == "algo-2":
        (opt_ml / "output" / "failure").write_text("ClientError: column 3 is text")
        sys.exit(2)
    wait(opt_ml)


def lose_the_second(opt_ml: Path) -> None:
    """algo-2 fails, which algo-1 notices as the end of a connection."""
    link = meet(opt_ml)
    if host_of(opt_ml) == "algo-2":
        raise KeyError("my own mistake")
    if not link.recv(1):
        raise PeerLost("host algo-2 was lost")


def wait(opt_ml: Path) -> None:
    print("waiting", flush=True)
    while True:
        signal.pause()


def save_when_asked_to_stop(opt_ml: Path) -> None:
    def save(*_: object) -> None:
        (opt_ml / "model" / host_of(opt_ml)).write_text("so far")
        sys.exit(0)

    signal.signal(signal.SIGTERM, save)
    wait(opt_ml)


# --- what they see and leave ----------------------------------------------------------------------------------------


@pytest.fixture
def pair(bench: Bench) -> Bench:
    bench.hosts = ("algo-1", "algo-2")
    return bench


def test_the_model_is_the_union_of_what_the_hosts_left(pair: Bench) -> None:
    end = pair.run_hosts(leave_files)
    assert isinstance(end, Finish)
    assert end.status == "Completed"
    assert end.record is not None
    archive = pair.archive(end.record["artifact"])
    assert sorted(archive) == ["everybody", "model_algo-1", "model_algo-2"]
    assert archive["everybody"] == b"algo-1"
    outputs = pair.archive(end.record["artifact"].replace("model.tar", "output.tar"))
    assert sorted(outputs) == ["algo-1", "algo-2"]
    assert outputs["algo-1"] == outputs["algo-2"]  # one meeting place, one secret
    assert pair.log_of("algo-2") == ["here is algo-2"]
    assert not list(pair.directory.parent.rglob("cluster.json"))


@pytest.mark.parametrize("kind", ["S3Prefix", "ManifestFile"])
def test_shards_are_every_other_object_in_order_of_keys(pair: Bench, kind: str) -> None:
    uri = pair.put(**{f"data__{name}": name.encode() for name in "dbeac"})
    pair.put(manifest=json.dumps([{"prefix": f"{uri}data/"}, *"cdabe"]).encode())
    both = channel("all", f"{uri}data/")
    shards = channel("shard", f"{uri}manifest" if kind == "ManifestFile" else f"{uri}data/", kind)
    shards["DataSource"]["S3DataSource"]["S3DataDistributionType"] = "ShardedByS3Key"
    end = pair.run_hosts(leave_files, both, shards)
    assert isinstance(end, Finish)
    assert end.record is not None
    archive = pair.archive(end.record["artifact"])
    assert json.loads(archive["model_algo-1"]) == sorted("abcde" + "ace")
    assert json.loads(archive["model_algo-2"]) == sorted("abcde" + "bd")


def test_shards_of_a_pipe(pair: Bench) -> None:
    uri = pair.put(a=b"first", b=b"second", c=b"third")
    shards = channel("train", uri, InputMode="Pipe")
    shards["DataSource"]["S3DataSource"]["S3DataDistributionType"] = "ShardedByS3Key"
    end = pair.run_hosts(read_pipe, shards)
    assert isinstance(end, Finish)
    assert end.record is not None
    assert pair.archive(end.record["artifact"]) == {"algo-1": b"firstthird", "algo-2": b"second"}


def test_the_programs_meet_at_the_place_that_they_are_told(pair: Bench) -> None:
    end = pair.run_hosts(talk)
    assert isinstance(end, Finish)
    assert end.status == "Completed"
    assert pair.log_of("algo-1") == ["heard something"]


# --- how they end ---------------------------------------------------------------------------------------------------


def test_one_host_that_fails_ends_the_others_and_gives_the_reason(bench: Bench) -> None:
    bench.hosts = ("algo-1", "algo-2", "algo-3")
    end = bench.run_hosts(fail_on_the_second)
    assert isinstance(end, Finish)
    assert (end.status, end.reason) == ("Failed", "ClientError: column 3 is text, exit code: 2, host: algo-2")
    outcomes = {host: json.loads((bench.at(host) / "exit.json").read_text())["outcome"] for host in bench.hosts}
    assert outcomes == {"algo-1": "Stopped", "algo-2": "Failed", "algo-3": "Stopped"}
    prefix = f"out/{bench.directory.parent.name}/output/"
    listed = bench.s3.list_objects_v2(Bucket="supervisor-tests", Prefix=prefix)["Contents"]
    assert [entry["Key"] for entry in listed] == [f"{prefix}output.tar.gz"]


def test_a_host_that_lost_another_is_not_the_cause(pair: Bench) -> None:
    end = pair.run_hosts(lose_the_second)
    assert isinstance(end, Finish)
    assert end.reason == "AlgorithmError: 'my own mistake', exit code: 1, host: algo-2"


def test_a_lost_supervisor_means_another_attempt_for_all(pair: Bench) -> None:
    def kill(_: ProcessRunner) -> None:
        supervisor = lock.holder(pair.at("algo-2"))
        assert supervisor
        os.kill(supervisor, signal.SIGKILL)

    end = pair.run_hosts(save_when_asked_to_stop, act=kill, when=lambda: pair.log_of("algo-1") and pair.log_of("algo-2"))
    assert isinstance(end, Retry)
    assert json.loads((pair.at("algo-1") / "exit.json").read_text())["artifact"] == ""


def test_a_deadline_keeps_what_every_host_saved(pair: Bench) -> None:
    end = pair.run_hosts(save_when_asked_to_stop, StoppingCondition={"MaxRuntimeInSeconds": 5})
    assert isinstance(end, Finish)
    assert (end.status, end.secondary) == ("Stopped", "MaxRuntimeExceeded")
    assert end.record is not None
    assert pair.archive(end.record["artifact"]) == {"algo-1": b"so far", "algo-2": b"so far"}


def test_meeting_places_of_jobs_that_run_at_once_differ(pair: Bench, tmp_path: Path, server: Any) -> None:
    """While the first job holds its port, nobody is given it again, however often one asks."""
    places: set[str] = set()

    def look(runner: ProcessRunner) -> None:
        places.add(json.loads((pair.at("algo-1") / "cluster.json").read_text())["CLARY_CLUSTER"])
        held = [socket.socket() for _ in range(2000)]
        for one in held:
            one.bind(("127.0.0.1", 0))
            places.add("{}:{}".format(*one.getsockname()))
        for one in held:
            one.close()
        for host in pair.hosts:
            runner.stop(pair.at(host))

    pair.run_hosts(wait, act=look, when=lambda: pair.log_of("algo-1") and pair.log_of("algo-2"))
    assert len(places) == 2001
