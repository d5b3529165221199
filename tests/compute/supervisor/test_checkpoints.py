"""Checkpoints: restored before training, uploaded while it goes on and at its end, whatever that is."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.compute.supervisor.bench import BUCKET, Bench
from tests.compute.supervisor.test_several_hosts import meet

from clary.compute.control.training_decision import Finish, Retry
from clary.compute.runner import lock
from clary.compute.runner.process import ProcessRunner

# --- programs -------------------------------------------------------------------------------------------------------


def count(opt_ml: Path) -> None:
    """Go on counting from the newest checkpoint, three steps at a time."""
    directory = opt_ml / "checkpoints"
    first = max((int(path.name) for path in directory.iterdir()), default=0)
    for step in range(first, first + 3):
        print(f"step {step}")
        (directory / str(step + 1)).write_text(str(step + 1))
    (directory / str(first)).unlink(missing_ok=True)


def count_and_wait(opt_ml: Path) -> None:
    count(opt_ml)
    signal.pause()


def count_together(opt_ml: Path) -> None:
    with meet(opt_ml):  # nobody is through before everybody has begun
        count(opt_ml)


def count_and_fail(opt_ml: Path) -> None:
    count(opt_ml)
    sys.exit(3)


def grow(opt_ml: Path) -> None:
    """A checkpoint that is never the same twice until it is done."""
    path = opt_ml / "deep" / "er" / "log"
    path.parent.mkdir()
    with path.open("w") as file:
        for _ in range(300_000):
            file.write("x" * 10)
            file.flush()


def show(opt_ml: Path) -> None:
    print((opt_ml / "input/config/checkpointconfig.json").read_text())
    (opt_ml / "checkpoints" / "link").symlink_to("/etc/passwd")
    (opt_ml / "checkpoints" / "new").write_text("n")


# --- the bench ------------------------------------------------------------------------------------------------------


def config(bench: Bench, **more: str) -> dict[str, Any]:
    return {"CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/{prefix(bench)}"} | more}


def prefix(bench: Bench) -> str:
    return f"checkpoints/{bench.directory.parent.name}"


def stored(bench: Bench) -> dict[str, bytes]:
    listed = bench.s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{prefix(bench)}/").get("Contents", [])
    bodies = {entry["Key"]: bench.s3.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read() for entry in listed}
    return {key.removeprefix(f"{prefix(bench)}/"): body for key, body in bodies.items()}


def test_what_is_in_s3_is_there_before_and_what_changed_is_in_s3_after(bench: Bench) -> None:
    bench.s3.put_object(Bucket=BUCKET, Key=f"{prefix(bench)}/7", Body=b"7")
    bench.s3.put_object(Bucket=BUCKET, Key=f"{prefix(bench)}-of-another-job/99", Body=b"99")
    record = bench.run(count, **config(bench))
    assert record["outcome"] == "Completed"
    assert bench.log() == ["step 7", "step 8", "step 9"]
    assert stored(bench) == {"7": b"7", "8": b"8", "9": b"9", "10": b"10"}


def test_checkpoints_are_uploaded_while_the_program_runs(bench: Bench) -> None:
    record = bench.run(
        count_and_wait, act=lambda runner: runner.stop(bench.directory), when=lambda: len(stored(bench)) == 3, **config(bench)
    )
    assert record["outcome"] == "Stopped"


def test_a_failure_keeps_the_checkpoints(bench: Bench) -> None:
    assert bench.run(count_and_fail, **config(bench))["outcome"] == "Failed"
    assert len(stored(bench)) == 3


def test_a_file_is_uploaded_whole(bench: Bench) -> None:
    assert bench.run(grow, **config(bench, LocalPath="/opt/ml/deep"))["reason"] == ""
    assert stored(bench) == {"er/log": b"x" * 3_000_000}


def test_the_program_is_told_and_links_lead_nowhere(bench: Bench) -> None:
    bench.run(show, **config(bench))
    told = json.loads(bench.log()[0])
    assert told == {"S3Uri": f"s3://{BUCKET}/{prefix(bench)}", "LocalPath": "/opt/ml/checkpoints"}
    assert stored(bench) == {"new": b"n"}


@pytest.mark.parametrize("key", ["a/../../../../b", "x"])
def test_checkpoints_that_cannot_be_restored_fail_the_job_before_it_trains(bench: Bench, key: str) -> None:
    uri = f"s3://{BUCKET}/{prefix(bench)}" if ".." in key else "s3://no-such-bucket-at-all/c"
    bench.s3.put_object(Bucket=BUCKET, Key=f"{prefix(bench)}/{key}", Body=b"1")
    record = bench.run(count, CheckpointConfig={"S3Uri": uri})
    assert record["reason"].startswith("ClientError: Checkpoint download failed: ")
    assert bench.log() == []


def test_after_a_lost_supervisor_the_next_attempt_goes_on_where_the_checkpoint_is(bench: Bench) -> None:
    def kill(_: ProcessRunner) -> None:
        supervisor = lock.holder(bench.directory)
        assert supervisor
        os.kill(supervisor, signal.SIGKILL)

    lost = bench.run_hosts(count_and_wait, act=kill, when=lambda: len(stored(bench)) == 3, **config(bench))
    assert isinstance(lost, Retry)
    again = Bench(bench.directory.parent / "2", bench.server)
    end = again.run_hosts(count, attempt=2, **config(bench))
    assert isinstance(end, Finish)
    assert end.status == "Completed"
    assert again.log() == ["step 3", "step 4", "step 5"]
    assert sorted(stored(bench)) == ["1", "2", "3", "4", "5", "6"]


def test_every_host_starts_with_the_checkpoints_of_all(bench: Bench) -> None:
    bench.hosts = ("algo-1", "algo-2")
    bench.s3.put_object(Bucket=BUCKET, Key=f"{prefix(bench)}/4", Body=b"4")
    end = bench.run_hosts(count_together, **config(bench))
    assert isinstance(end, Finish)
    assert bench.log() == bench.log_of("algo-2") == ["step 4", "step 5", "step 6"]
