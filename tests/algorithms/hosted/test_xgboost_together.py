"""XGBoost on several hosts: real processes, the library's own collective, one model."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
import xgboost
from tests.algorithms.hosted.jobs import lay_out

from clary.algorithms.hosted.cluster import ADDRESS, SECRET
from clary.algorithms.hosted.xgboost import loopback, train
from clary.formats import csv

ROWS = 1200
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["clary.algorithms.hosted.xgboost"])


def host(opt_ml: Path, environment: dict[str, str]) -> None:
    """A host's process: its log goes to a file, the error that ends it to the end of that."""
    os.environ.update(environment)
    with (opt_ml / "log").open("wb") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    try:
        train(opt_ml)
    except Exception as error:
        print(f"{type(error).__name__}: {error}", flush=True)
        sys.exit(1)


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(ROWS, 4)).astype(np.float32).round(3)
    return np.column_stack([(X[:, 0] * X[:, 1] + X[:, 2] > 0).astype(np.float32), X])


def start(folder: Path, hosts: list[dict[str, dict[str, bytes]]], settings=None, tag="3.0-5", checkpoint=None, **options):
    """A process per host, each with its own channels; a `checkpoint` (name, content) is the first host's."""
    given = {"num_round": "10", "objective": "binary:logistic", "nthread": "1", "max_depth": "4"} | (settings or {})
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    holder.bind(("127.0.0.1", 0))
    environment = {
        ADDRESS: f"127.0.0.1:{holder.getsockname()[1]}",
        SECRET: "00ff" * 16,
        "CLARY_IMAGE_TAG": tag,
        "OMP_NUM_THREADS": "1",
    }
    processes = []
    for number, channels in enumerate(hosts, 1):
        opt_ml = lay_out(folder / f"algo-{number}", given, channels, hosts=len(hosts), **options)
        resources = opt_ml / "input" / "config" / "resourceconfig.json"
        resources.write_text(json.dumps(json.loads(resources.read_text()) | {"current_host": f"algo-{number}"}))
        if checkpoint:
            (opt_ml / "input" / "config" / "checkpointconfig.json").write_text(json.dumps({"LocalPath": "/opt/ml/checkpoints"}))
            (opt_ml / "checkpoints").mkdir()
            if number == 1:
                (opt_ml / "checkpoints" / checkpoint[0]).write_bytes(checkpoint[1])
        processes.append((SERVER.Process(target=host, args=(opt_ml, environment)), opt_ml / "log"))
        processes[-1][0].start()
    return holder, processes


def finish(started) -> list[tuple[int, str]]:
    """Exit status and log of each host."""
    holder, processes = started
    with holder:
        for process, _ in processes:
            process.join(timeout=120)
            process.kill()  # nothing when it has ended
    return [(process.exitcode, log.read_text()) for process, log in processes]


def models(folder: Path) -> list[Path]:
    return sorted(folder.glob("algo-*/model/xgboost-model"))


def sharded(table, parts: int, **more) -> list[dict[str, dict[str, bytes]]]:
    return [{"train": {"a.csv": csv.format_rows(part)}} | more for part in np.array_split(table, parts)]


def test_hosts_with_a_share_each_train_the_model_of_all_rows(tmp_path, table):
    validation = {"b.csv": csv.format_rows(table[:300])}
    hosts = sharded(table, 3, validation=validation)
    ended = finish(start(tmp_path, hosts, {"eval_metric": "logloss,accuracy", "base_score": "0.5"}))
    assert [code for code, _ in ended] == [0, 0, 0], ended
    (path,) = models(tmp_path)
    assert path.parts[-3] == "algo-1"
    booster = xgboost.Booster(model_file=path)
    data = xgboost.DMatrix(table[:, 1:], table[:, 0])
    ours = ((booster.predict(data) > 0.5) == table[:, 0]).mean()
    alone = xgboost.train({"objective": "binary:logistic", "max_depth": 4, "nthread": 1, "base_score": 0.5}, data, 10)
    assert ours == pytest.approx(((alone.predict(data) > 0.5) == table[:, 0]).mean(), abs=0.02)
    (reported,) = re.findall(r"^\[9\].*train-accuracy:(\S+)", ended[0][1], re.MULTILINE)
    assert float(reported) == pytest.approx(ours, abs=1e-5)  # of the rows of all hosts, not of the first
    assert not re.search(r"^\[0\]", ended[1][1] + ended[2][1], re.MULTILINE)


def test_replicated_rows_give_the_model_of_one_host(tmp_path, table):
    hosts = [{"train": {"a.csv": csv.format_rows(table)}}] * 2
    settings = {"base_score": "0.5", "lambda": "0", "min_child_weight": "0"}
    assert [code for code, _ in finish(start(tmp_path, hosts, settings))] == [0, 0]
    data = xgboost.DMatrix(table[:, 1:], table[:, 0])
    parameters = {"objective": "binary:logistic", "max_depth": 4, "nthread": 1, "lambda": 0, "min_child_weight": 0}
    alone = xgboost.train(parameters | {"base_score": 0.5}, data, 10)
    ours = xgboost.Booster(model_file=models(tmp_path)[0])
    assert ((ours.predict(data) > 0.5) == (alone.predict(data) > 0.5)).mean() > 0.98


@pytest.mark.parametrize("empty", [1, 2])
def test_a_host_without_rows_takes_no_part(tmp_path, table, empty):
    hosts = sharded(table, 2)
    hosts.insert(empty - 1, {"train": {}})
    ended = finish(start(tmp_path, hosts))
    assert [code for code, _ in ended] == [0, 0, 0], ended
    assert f"Host algo-{empty} has no data in one of its channels and does not take part" in ended[0][1]
    (path,) = models(tmp_path)
    assert path.parts[-3] == ("algo-2" if empty == 1 else "algo-1")


def test_a_host_without_validation_rows_takes_no_part(tmp_path, table):
    hosts = sharded(table, 2, validation={"b.csv": csv.format_rows(table[:100])})
    hosts[1]["validation"] = {}
    ended = finish(start(tmp_path, hosts))
    assert [code for code, _ in ended] == [0, 0], ended
    assert "Host algo-2 has no data in one of its channels" in ended[0][1]
    assert "Train matrix has 600 rows" in ended[0][1]


def test_no_rows_on_any_host_is_the_user_s_mistake(tmp_path):
    ended = finish(start(tmp_path, [{"train": {}}, {"train": {}}]))
    assert [code for code, _ in ended] == [1, 1]
    assert all("CustomerError: No data in train channel on any host" in last for _, last in ended)


def test_widths_that_differ_between_hosts_are_named(tmp_path, table):
    hosts = [{"train": {"a": csv.format_rows(table)}}, {"train": {"a": csv.format_rows(table[:, :4])}}]
    ended = finish(start(tmp_path, hosts))
    assert [code for code, _ in ended] == [1, 1]
    assert all("Channel train has 3 feature columns on one host and 4 on another" in last for _, last in ended)


def libsvm(table) -> bytes:
    rows = (" ".join([f"{row[0]:g}", *(f"{column}:{value}" for column, value in enumerate(row[1:]))]) for row in table)
    return "\n".join(rows).encode()


def test_sparse_rows_may_be_narrower_on_one_host(tmp_path, table):
    hosts = [{"train": {"a": libsvm(table[:600, :4])}}, {"train": {"a": libsvm(table[600:])}}]
    ended = finish(start(tmp_path, hosts, content_type="text/libsvm"))
    assert [code for code, _ in ended] == [0, 0], ended
    assert xgboost.Booster(model_file=models(tmp_path)[0]).num_features() == 4


def test_early_stopping_ends_all_hosts_after_the_same_round(tmp_path, table):
    noise = table.copy()
    noise[:, 0] = np.random.default_rng(1).integers(0, 2, ROWS)
    hosts = sharded(noise[:800], 2, validation={"b.csv": csv.format_rows(noise[800:])})
    settings = {"num_round": "200", "early_stopping_rounds": "3", "eval_metric": "accuracy", "eta": "1"}
    ended = finish(start(tmp_path, hosts, settings))
    assert [code for code, _ in ended] == [0, 0], ended
    values = [float(value) for value in re.findall(r"validation-accuracy:(\S+)", ended[0][1])]
    assert xgboost.Booster(model_file=models(tmp_path)[0]).num_boosted_rounds() == int(np.argmax(values)) + 1 < 200


@pytest.mark.parametrize(
    "settings", [{"tree_method": "approx"}, {"num_class": "2", "objective": "multi:softprob"}, {"objective": "rank:pairwise"}]
)
@pytest.mark.parametrize("tag", ["1.7-1"])
def test_other_ways_to_train_together(tmp_path, table, settings, tag):
    ended = finish(start(tmp_path, sharded(table, 2), settings, tag))
    assert [code for code, _ in ended] == [0, 0], ended


def test_all_hosts_go_on_from_the_leader_s_checkpoint(tmp_path, table):
    hosts = sharded(table, 2)
    assert [code for code, _ in finish(start(tmp_path / "first", hosts, {"num_round": "4"}))] == [0, 0]
    checkpoint = models(tmp_path / "first")[0].read_bytes()
    ended = finish(start(tmp_path / "resumed", hosts, checkpoint=("xgboost-checkpoint.3", checkpoint)))
    assert [code for code, _ in ended] == [0, 0], ended
    assert all("Resuming from iteration 4" in log for _, log in ended)
    assert xgboost.Booster(model_file=models(tmp_path / "resumed")[0]).num_boosted_rounds() == 10
    assert (tmp_path / "resumed" / "algo-1" / "checkpoints" / "xgboost-checkpoint.9").exists()
    assert not list((tmp_path / "resumed" / "algo-2" / "checkpoints").iterdir())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="sockets are bound to a device on Linux only")
def test_listeners_on_all_addresses_are_kept_to_this_machine():
    def device(listener):
        return listener.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).rstrip(b"\0")

    with (
        socket.create_server(("", 0)) as everywhere,
        socket.create_server(("127.0.0.1", 0)) as here,
        socket.create_server(("", 0), family=socket.AF_INET6) as everywhere_6,
    ):
        before = len(os.listdir("/proc/self/fd"))
        loopback.bind_listeners()
        assert [device(listener) for listener in (everywhere, here, everywhere_6)] == [b"lo", b"", b"lo"]
        assert len(os.listdir("/proc/self/fd")) == before
        socket.create_connection(("127.0.0.1", everywhere.getsockname()[1]), timeout=5).close()
