"""Processing under `kill -9`: a job goes on without its server, and once more when its supervisor is gone."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Server
from tests.hosting import wait_for
from tests.processing import OUTPUT, Analyst, has_own_opt_ml
from tests.scripts import PATIENCE

from clary.compute.runner import lock

pytestmark = pytest.mark.skipif(not has_own_opt_ml(), reason="scripts cannot have an /opt/ml of their own here")
WAITS = f"""
import os, time
print("waiting", flush=True)
while not os.path.exists("/opt/ml/processing/go"):
    time.sleep(0.05)
open("{OUTPUT}/done", "w").write("once")
print("done", flush=True)
"""


@pytest.fixture
def analyst(tmp_path: Path) -> Iterator[Analyst]:
    server = Server(tmp_path / "data").start()
    yield Analyst(server, "737373737373")
    server.stop()


def host(analyst: Analyst, name: str) -> Path | None:
    """The directory of the newest attempt, once its supervisor lives."""
    root = analyst.server.data / "jobs" / analyst.account / "us-east-1" / "processing-job" / name
    attempts = sorted(root.glob("*/algo-1"))
    return attempts[-1] if attempts and lock.holder(attempts[-1]) else None


def let_go(analyst: Analyst, name: str) -> None:
    """The script of the newest attempt may end."""
    directory: Any = wait_for(lambda: host(analyst, name), PATIENCE)
    wait_for(lambda: (directory / "opt" / "ml" / "processing" / "output").is_dir(), PATIENCE)
    (directory / "opt" / "ml" / "processing" / "go").touch()


def test_a_job_goes_on_while_the_server_is_away(analyst: Analyst) -> None:
    analyst.begin("alone", WAITS)
    analyst.until_logged("alone", "waiting")
    analyst.server.kill()
    let_go(analyst, "alone")
    analyst.server.restart()
    assert analyst.over("alone")["ProcessingJobStatus"] == "Completed"
    assert analyst.stored("alone/output/") == {"done": b"once"}
    assert analyst.log("alone")[-2:] == ["waiting", "done"]


def test_a_job_whose_supervisor_was_lost_runs_once_more(analyst: Analyst) -> None:
    analyst.begin("lost", WAITS)
    analyst.until_logged("lost", "waiting")
    first: Any = host(analyst, "lost")
    supervisor = lock.holder(first)
    assert supervisor
    os.kill(supervisor, signal.SIGKILL)
    wait_for(lambda: host(analyst, "lost") not in (None, first), PATIENCE)
    let_go(analyst, "lost")
    assert analyst.over("lost")["ProcessingJobStatus"] == "Completed"
    assert analyst.stored("lost/output/") == {"done": b"once"}
