"""A job whose script tries to get out of its sandbox, in a real server beside another job: no try succeeds.

Only where the kernel gives full confinement; elsewhere the log must say what is missing (`tests/sandbox`).
"""

from __future__ import annotations

import io
import json
import os
import secrets
import socket
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.hosting import wait_for
from tests.processes import innermost
from tests.scripts import Scientist

import clary
from clary.compute.runner import lock
from clary.sandbox import level

SCRIPT = (Path(__file__).parent / "escapes.py").read_text()
TRIES = [line.split('"')[1] for line in SCRIPT.split("TRIES = {")[1].split("\n}")[0].splitlines() if line.strip()]
SLEEP = "import time\nprint('asleep', flush=True)\ntime.sleep(600)\n"

pytestmark = pytest.mark.skipif(level().name != "full", reason=f"this machine confines programs only so far: {level()}")


@pytest.fixture(scope="module")
def scientist(server: Any) -> Scientist:
    return Scientist(server, "626262626262")


@pytest.fixture(scope="module")
def targets(scientist: Scientist, server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What the script tries to reach: all of it is there, and within the reach of whoever runs this test."""
    secret = tmp_path_factory.mktemp("home") / "secret"
    secret.write_text("secret")
    secret.parent.chmod(0o755)
    abstract, shared = f"clary-{secrets.token_hex(8)}", Path(f"/dev/shm/clary-{secrets.token_hex(8)}")
    shared.write_text("shared")
    scientist.start("victim", SLEEP)
    jobs = server.data / "jobs" / scientist.account / "us-east-1" / "training-job"
    wait_for(lambda: any("asleep" in path.read_text() for path in jobs.glob("victim/*/algo-1/log.jsonl")), 180)
    (victim,) = jobs.glob("victim/*/algo-1")
    supervisor = lock.holder(victim)
    assert supervisor is not None
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{abstract}")
        listener.listen()
        yield {
            "data": str(server.data),
            "other_job": str(victim / "opt" / "ml"),
            "other_program": innermost(supervisor),
            "secret": str(secret),
            "code": clary.__path__[0],
            "server": server.process.pid,
            "socket": str(next(path for path in server.data.rglob("*.sock"))),
            "abstract": abstract,
            "shared": shared.name,
        }
    shared.unlink()
    scientist.sagemaker.stop_training_job(TrainingJobName="victim")


@pytest.fixture(scope="module")
def report(scientist: Scientist, targets: dict[str, Any]) -> dict[str, str]:
    """How each try ended, as the script's model says."""
    checkpoints = {"S3Uri": f"s3://{scientist.bucket}/evil-checkpoints/"}
    job = scientist.train("evil", SCRIPT, {"targets": json.dumps(targets)}, CheckpointConfig=checkpoints)
    return json.loads(artifact(scientist, job)["report.json"])


def artifact(scientist: Scientist, job: dict[str, Any]) -> dict[str, bytes]:
    key = job["ModelArtifacts"]["S3ModelArtifacts"].removeprefix(f"s3://{scientist.bucket}/")
    body = scientist.s3.get_object(Bucket=scientist.bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}  # type: ignore[union-attr]


@pytest.mark.parametrize("attempt", TRIES)
def test_no_script_gets_out(report: dict[str, str], attempt: str) -> None:
    assert report[attempt].startswith("kept in: "), report[attempt]


def test_every_try_was_made(report: dict[str, str]) -> None:
    assert sorted(report) == sorted(TRIES)


def test_no_link_leads_the_supervisor_out(scientist: Scientist, targets: dict[str, Any], report: dict[str, str]) -> None:
    stored = scientist.s3.list_objects_v2(Bucket=scientist.bucket)["Contents"]
    assert not [entry["Key"] for entry in stored if entry["Key"].startswith(("evil-checkpoints/", "evil/output/output"))]
    assert Path(targets["secret"]).read_text() == "secret"


FAILS = """
import os, json, sys
os.makedirs("/opt/ml/output", exist_ok=True)
os.symlink(sys.argv[2], "/opt/ml/output/failure")
os.rename("/opt/ml/model", "/opt/ml/was-model")
os.symlink(os.path.dirname(sys.argv[2]), "/opt/ml/model")
sys.exit(int(sys.argv[4]))
"""


def test_no_link_becomes_a_reason_or_a_model(scientist: Scientist, targets: dict[str, Any]) -> None:
    arguments = {"a": targets["secret"], "b": 3}
    assert "secret" not in scientist.failure("linked-failure", FAILS, arguments).split("Command")[0]
    assert artifact(scientist, scientist.train("linked-model", FAILS, arguments | {"b": 0})) == {}


def test_the_targets_are_there_for_whoever_is_not_confined(targets: dict[str, Any]) -> None:
    assert Path(targets["secret"]).read_text() == "secret"
    assert os.listdir(targets["data"])
    os.kill(targets["other_program"], 0)
    os.kill(targets["server"], 0)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect("\0" + targets["abstract"])
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(targets["socket"])


def test_a_full_sandbox_is_not_worth_a_word(scientist: Scientist, report: dict[str, str]) -> None:
    assert not [line for line in scientist.log("evil") if line.startswith("sandbox:")]


def test_opt_ml_is_where_scripts_expect_it(scientist: Scientist) -> None:
    job = scientist.train("hard-coded", "import os\nopen('/opt/ml/model/here', 'w').write(os.environ['SM_MODEL_DIR'])\n")
    assert artifact(scientist, job) == {"here": b"/opt/ml/model"}


ISOLATED = """
import json, os, socket, sys, urllib.request
from urllib.parse import urlsplit

def attempt(action):
    try:
        return str(action())
    except OSError as error:
        return type(error).__name__

server = urlsplit(os.environ["AWS_ENDPOINT_URL"])
with socket.create_server(("127.0.0.1", 0)) as listener:
    found = {
        "gateway": attempt(lambda: socket.create_connection((server.hostname, server.port), 5)),
        "elsewhere": attempt(lambda: socket.create_connection(("192.0.2.1", 80), 5)),
        "itself": attempt(lambda: socket.create_connection(listener.getsockname(), 5).close()),
        "interfaces": [name for _, name in socket.if_nameindex()],
    }
json.dump(found, open("/opt/ml/model/found.json", "w"))
"""


def test_an_isolated_script_reaches_nothing_but_itself(scientist: Scientist) -> None:
    """The supervisor brings its data and takes its model, so the job completes all the same."""
    job = scientist.train("isolated", ISOLATED, EnableNetworkIsolation=True)
    assert job["EnableNetworkIsolation"] is True
    found = json.loads(artifact(scientist, job)["found.json"])
    assert found == {"gateway": "ConnectionRefusedError", "elsewhere": "OSError", "itself": "None", "interfaces": ["lo"]}


def test_requirements_of_an_isolated_script_cannot_be_fetched(scientist: Scientist) -> None:
    source = {"train.py": "print('trained')", "requirements.txt": "no-such-package-of-clary\n"}
    reason = scientist.failure("isolated-requirements", source, EnableNetworkIsolation=True)
    assert "InstallRequirementsError" in reason
