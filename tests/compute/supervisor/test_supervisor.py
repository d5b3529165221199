"""A supervisor beside real programs, with a real server for its S3: every way a job can end."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.compute.supervisor.bench import BUCKET, Bench, channel, until
from tests.processes import innermost, is_gone

from clary.compute.runner import job_directory, lock
from clary.compute.runner.process import ProcessRunner
from clary.compute.supervisor import watch
from clary.compute.supervisor.main import run

HERE = __name__
MUCH = 65 << 20


# --- programs -------------------------------------------------------------------------------------------------------


class CustomerError(Exception):
    """Named as the train programs' own."""


def learn(opt_ml: Path) -> None:
    print("epoch 1 loss=0.5")
    print("epoch 2 loss=0.25", file=sys.stderr)
    (opt_ml / "model" / "deep").mkdir()
    (opt_ml / "model" / "weights").write_text((opt_ml / "input/config/hyperparameters.json").read_text())
    (opt_ml / "model" / "deep" / "more").write_text("x" * 10)
    (opt_ml / "model" / "outside").symlink_to("/etc/passwd")
    (opt_ml / "output" / "data" / "notes").write_text("n")


def save_much(opt_ml: Path) -> None:
    with (opt_ml / "model" / "weights").open("wb") as file:
        file.truncate(MUCH)


def hash_input(opt_ml: Path) -> None:
    (path,) = (opt_ml / "input" / "data" / "train").iterdir()
    print(hashlib.sha256(path.read_bytes()).hexdigest())


def show_input(opt_ml: Path) -> None:
    """Save what the channels hold as the model."""
    data = opt_ml / "input" / "data"
    for path in sorted(data.rglob("*")):
        if not path.is_dir():
            name = path.relative_to(data).as_posix().replace("/", "|")
            (opt_ml / "model" / name).write_bytes(path.read_bytes() + path.read_bytes() * ("fast" in name))


def read_pipe(opt_ml: Path) -> None:
    """Three epochs of channel `train`; the second is given up in the middle."""
    data = opt_ml / "input" / "data"
    assert sum(path.stat().st_size for path in data.iterdir()) == 0
    (opt_ml / "model" / "0").write_bytes((data / "train_0").read_bytes())
    with (data / "train_1").open("rb") as stream:
        stream.read(1)
    (opt_ml / "model" / "2").write_bytes((data / "train_2").read_bytes())


def fail_as_customer(opt_ml: Path) -> None:
    raise CustomerError("column 3 is text")


def fail(opt_ml: Path) -> None:
    print("about to divide")
    (opt_ml / "model" / "half").write_text("x")
    print(1 / 0)


def fail_in_a_file(opt_ml: Path) -> None:
    (opt_ml / "output" / "failure").write_text("the data were bad")
    sys.exit(7)


def die(opt_ml: Path) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def save_when_asked_to_stop(opt_ml: Path) -> None:
    def save(*_: object) -> None:
        (opt_ml / "model" / "saved").write_text("so far")
        sys.exit(0)

    signal.signal(signal.SIGTERM, save)
    print("waiting", os.getpid(), flush=True)
    while True:
        signal.pause()


def never_stop(opt_ml: Path) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("waiting", os.getpid(), flush=True)
    while True:
        time.sleep(60)


def print_for_ever(opt_ml: Path) -> None:
    while True:
        print("x\n" * 1000)


def with_little_patience(argument: dict[str, Any]) -> None:
    watch.GRACE_SECONDS = 0.2
    run(argument)


# --- how jobs end ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_job_completes_with_log_metrics_statuses_and_model(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setenv("CLARY_START_METHOD", method)
    record = bench.run(learn, HyperParameters={"eta": "0.1"})
    assert (record["outcome"], record["reason"], record["exit_code"]) == ("Completed", "", 0)
    assert bench.log() == ["epoch 1 loss=0.5", "epoch 2 loss=0.25"]
    assert record["metrics"]["loss"][0] == 0.25
    assert [entry["v"] for entry in bench.lines(job_directory.METRICS)] == [0.5, 0.25]
    assert [entry["s"] for entry in bench.lines(job_directory.STATUS)] == ["Downloading", "Training", "Uploading"]
    assert record["artifact"] == f"s3://{BUCKET}/out/{bench.directory.parent.name}/output/model.tar.gz"
    assert bench.archive(record["artifact"]) == {"deep/more": b"x" * 10, "weights": b'{"eta": "0.1"}'}
    assert bench.archive(record["artifact"].replace("model.tar", "output.tar")) == {"notes": b"n"}
    assert record["started"] <= record["training_started"] <= record["training_ended"] <= record["ended"]


def test_no_compression_means_loose_files(bench: Bench) -> None:
    output = {"S3OutputPath": f"s3://{BUCKET}/loose", "CompressionType": "NONE"}
    record = bench.run(learn, OutputDataConfig=output)
    prefix = f"loose/{bench.directory.parent.name}/output/"
    assert record["artifact"] == f"s3://{BUCKET}/{prefix}model/"
    keys = [entry["Key"] for entry in bench.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)["Contents"]]
    assert keys == [f"{prefix}model/deep/more", f"{prefix}model/weights", f"{prefix}output/notes"]


def test_a_kms_key_encrypts_the_model(bench: Bench) -> None:
    key = "arn:aws:kms:us-east-1:000000000000:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    record = bench.run(learn, OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/kms", "KmsKeyId": key})
    head = bench.s3.head_object(Bucket=BUCKET, Key=record["artifact"].removeprefix(f"s3://{BUCKET}/"))
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)


def test_a_large_model_is_stored_in_parts(bench: Bench) -> None:
    record = bench.run(save_much, OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/large", "CompressionType": "NONE"})
    key = f"large/{bench.directory.parent.name}/output/model/weights"
    head = bench.s3.head_object(Bucket=BUCKET, Key=key)
    assert (head["ContentLength"], record["artifact_bytes"]) == (MUCH, MUCH)
    assert head["ETag"].endswith('-2"')


def test_the_users_mistake_is_a_client_error(bench: Bench) -> None:
    record = bench.run(fail_as_customer)
    assert record["reason"] == "ClientError: column 3 is text, exit code: 2"
    assert record["failure"]["type"] == "CustomerError"


def test_a_failure_carries_its_cause_and_no_model(bench: Bench) -> None:
    record = bench.run(fail)
    assert (record["outcome"], record["artifact"]) == ("Failed", "")
    assert record["reason"] == "AlgorithmError: division by zero, exit code: 1"
    assert "print(1 / 0)" in record["failure"]["traceback"]
    assert record["failure"]["log"][0] == "about to divide"


def test_the_failure_file_becomes_the_reason(bench: Bench) -> None:
    assert bench.run(fail_in_a_file)["reason"] == "AlgorithmError: the data were bad, exit code: 7"


def test_a_signal_is_named(bench: Bench) -> None:
    assert "signal 11 (SIGSEGV), exit code: 139" in bench.run(die)["reason"]


def test_a_program_that_is_not_there_fails_the_job(bench: Bench) -> None:
    def missing(opt_ml: Path) -> None: ...

    assert "AlgorithmError: module" in bench.run(missing)["reason"]


def test_a_stopped_job_keeps_the_model_it_saved(bench: Bench) -> None:
    record = bench.run(save_when_asked_to_stop, act=lambda runner: runner.stop(bench.directory))
    assert record["outcome"] == "Stopped"
    assert bench.archive(record["artifact"]) == {"saved": b"so far"}


def test_a_job_past_its_runtime_is_stopped(bench: Bench) -> None:
    record = bench.run(save_when_asked_to_stop, StoppingCondition={"MaxRuntimeInSeconds": 5})
    assert record["outcome"] == "MaxRuntimeExceeded"
    assert bench.archive(record["artifact"]) == {"saved": b"so far"}


def test_a_job_that_never_stops_printing_is_stopped_at_its_runtime_too(bench: Bench) -> None:
    record = bench.run(print_for_ever, StoppingCondition={"MaxRuntimeInSeconds": 1})
    assert record["outcome"] == "MaxRuntimeExceeded"


def test_a_program_that_ignores_the_request_is_killed_after_the_grace(bench: Bench) -> None:
    bench.supervisor = f"{HERE}:with_little_patience"
    record = bench.run(never_stop, act=lambda runner: runner.stop(bench.directory))
    assert (record["outcome"], record["exit_code"], record["artifact"]) == ("Stopped", -signal.SIGKILL, "")


def test_a_killed_supervisor_takes_its_program_along_and_never_starts_again(bench: Bench) -> None:
    programs: list[int] = []

    def kill(runner: ProcessRunner) -> None:
        pid = lock.holder(bench.directory)
        assert pid is not None
        programs.append(innermost(pid))
        os.kill(pid, signal.SIGKILL)

    assert bench.run(never_stop, act=kill) == {"outcome": "LOST"}
    asyncio.run(asyncio.wait_for(until(lambda: is_gone(programs[0])), 60))
    assert bench.run(never_stop) == {"outcome": "LOST"}
    assert len(bench.log()) == 1


def test_a_second_start_starts_nothing(bench: Bench) -> None:
    bench.run(learn)
    bench.run(learn)
    assert len(bench.log()) == 2


# --- channels -------------------------------------------------------------------------------------------------------


def test_file_mode_copies_below_the_channel(bench: Bench) -> None:
    uri = bench.put(a__x=b"1", a__deep__y=b"2", b=b"3")
    record = bench.run(show_input, channel("all", uri), channel("one", f"{uri}b"), channel("a", f"{uri}a"))
    assert bench.archive(record["artifact"]) == {
        "all|a|x": b"1",
        "all|a|deep|y": b"2",
        "all|b": b"3",
        "one|b": b"3",
        "a|x": b"1",
        "a|deep|y": b"2",
    }


def test_a_manifest_chooses_objects(bench: Bench) -> None:
    uri = bench.put(data__x=b"1", data__y=b"2", data__z=b"3")
    bench.put(manifest=json.dumps([{"prefix": f"{uri}data/"}, "x", "z"]).encode())
    record = bench.run(show_input, channel("train", f"{uri}manifest", "ManifestFile"))
    assert bench.archive(record["artifact"]) == {"train|x": b"1", "train|z": b"3"}


def test_fast_file_mode_streams_each_time_a_file_is_opened(bench: Bench) -> None:
    big = os.urandom(300_000)
    uri = bench.put(fast1=b"1", deep__fast2=big)
    record = bench.run(show_input, channel("train", uri, InputMode="FastFile"))
    assert bench.archive(record["artifact"]) == {"train|fast1": b"11", "train|deep|fast2": big + big}


def test_pipe_mode_streams_every_epoch_and_stores_nothing(bench: Bench) -> None:
    big = os.urandom(300_000)
    uri = bench.put(a=gzip.compress(b"first"), b=gzip.compress(big))
    record = bench.run(read_pipe, channel("train", uri, InputMode="Pipe", CompressionType="Gzip"))
    assert bench.archive(record["artifact"]) == {"0": b"first" + big, "2": b"first" + big}


def test_pipe_mode_wraps_objects_as_records(bench: Bench) -> None:
    uri = bench.put(a=b"12345")
    record = bench.run(read_pipe, channel("train", uri, InputMode="Pipe", RecordWrapperType="RecordIO"))
    expected = bytes.fromhex("0a23d7ce05000000") + b"12345\0\0\0"
    assert bench.archive(record["artifact"])["0"] == expected


def test_an_object_that_is_not_what_the_channel_says_fails_the_job(bench: Bench) -> None:
    uri = bench.put(a=b"1,2,3\n")
    record = bench.run(read_pipe, channel("train", uri, InputMode="Pipe", CompressionType="Gzip"))
    assert record["outcome"] == "Failed"
    assert "not gzip" in record["reason"]


def test_a_key_that_would_leave_the_channel_fails_the_job(bench: Bench) -> None:
    uri = bench.put(a=b"1")
    bench.s3.put_object(Bucket=BUCKET, Key=f"{uri.split('/', 3)[3]}x/../../../up", Body=b"1")
    record = bench.run(show_input, channel("train", uri))
    assert record["reason"].startswith("ClientError: Data download failed: the key of s3://")


def test_a_download_goes_on_where_it_was_when_the_server_comes_back(bench: Bench, start_server: Callable[..., Any]) -> None:
    bench.server = server = start_server()
    server.client("s3").create_bucket(Bucket=BUCKET)
    body = os.urandom(1 << 20) * 100
    server.client("s3").put_object(Bucket=BUCKET, Key="train/large", Body=body)
    copy = bench.directory / "opt" / "ml" / "input" / "data" / "train" / "large"

    def kill(runner: ProcessRunner) -> None:
        server.kill()
        assert copy.stat().st_size < len(body)
        server.restart()

    bench.run(hash_input, channel("train", f"s3://{BUCKET}/train/"), act=kill, when=copy.exists)
    assert bench.log() == [hashlib.sha256(body).hexdigest()]


def test_a_missing_output_bucket_fails_the_job_before_it_trains(bench: Bench) -> None:
    record = bench.run(learn, OutputDataConfig={"S3OutputPath": "s3://no-such-bucket-here/out"})
    assert record["outcome"] == "Failed"
    assert record["reason"].startswith("ClientError: Artifact upload failed: s3://no-such-bucket-here/: NoSuchBucket")
    assert bench.log() == []
