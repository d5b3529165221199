"""Programs as users write them, with unmodified clients in environments of their own, side by side against one server.

`make test` makes the environments. What a journey printed is shown when it fails.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.scripts import bundle

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parents[1] / ".envs"
LIMIT_SECONDS = 600
CLARY = (sys.executable, "-m", "clary.cli")


@dataclass(frozen=True)
class Journey:
    """A script, and the folder with the programs it runs with; `""` is the environment of the tests."""

    script: str
    account: str
    environment: str = ""
    installs: bool = False
    """Whether its jobs install packages, which needs a package index."""

    @property
    def bin(self) -> Path:
        return ENVIRONMENTS / self.environment / "bin" if self.environment else Path(sys.executable).parent

    def command(self, data: Path) -> list[str]:
        script = HERE / "scripts" / self.script
        program = "sh" if script.suffix == ".sh" else str(self.bin / "python")
        return [program, str(script), str(data)]


JOURNEYS = {
    "boto3": Journey("boto3_main_job.py", "111111111111"),
    "awscli": Journey("awscli_main_job.sh", "222222222222", "awscli"),
    "sagemaker-v2": Journey("sagemaker_v2_estimator.py", "333333333333", "sagemaker-v2"),
    "sagemaker-v2, first-party algorithms": Journey("sagemaker_v2_first_party.py", "555555555555", "sagemaker-v2"),
    "sagemaker-v2, processing": Journey("sagemaker_v2_processing.py", "666666666666", "sagemaker-v2"),
    "sagemaker-v2, remote functions": Journey("sagemaker_v2_remote.py", "777777777777", "sagemaker-v2", installs=True),
    "sagemaker-v3, processing": Journey("sagemaker_v3_processing.py", "888888888888", "sagemaker-v3"),
    "sagemaker-v2, scripts": Journey("sagemaker_v2_scripts.py", "131313131313", "sagemaker-v2"),
    "sagemaker-v3, scripts": Journey("sagemaker_v3_script.py", "121212121212", "sagemaker-v3"),
    "sagemaker-v2, tuning": Journey("sagemaker_v2_tuner.py", "141414141414", "sagemaker-v2"),
    "sagemaker-v3": Journey("sagemaker_v3_trainer.py", "444444444444", "sagemaker-v3"),
    "sagemaker-v3, tuning": Journey("sagemaker_v3_tuner.py", "151515151515", "sagemaker-v3"),
}


STRICT = "boto3, strict, over TLS"
"""The same program as root of a server that verifies every signature and evaluates every policy."""


class Running:
    """A journey under `clary run`. `extra` is for its environment, `assignments` change what `clary run` sets."""

    def __init__(self, journey: Journey, server_data: Path, folder: Path, extra: dict[str, str], assignments: list[str]):
        folder.mkdir()
        write_data(folder)
        self.log = folder / "log"
        environ = os.environ | {"PATH": f"{journey.bin}{os.pathsep}{os.environ['PATH']}"} | extra
        options = ["--data", str(server_data), "--account", journey.account]
        command = [*CLARY, "run", *options, "--", "env", *assignments, *journey.command(folder)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environ, cwd=folder)

    def result(self, deadline: float) -> int:
        try:
            return self.process.wait(max(1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


@pytest.fixture(scope="module")
def strict_server(tmp_path_factory):
    """Data directory, root key and HTTPS address of a strict server."""
    data = tmp_path_factory.mktemp("strict") / "data"
    up = ["up", "-d", "--data", str(data), "--auth", "strict", "--port", "0", "--tls", "--tls-port", "0"]
    shown = subprocess.run([*CLARY, *up], capture_output=True, text=True, check=True).stdout
    yield data, dict(re.findall(r"^(AWS_\w+)=(.+)$", shown, re.MULTILINE)), re.search(r"https://\S+", shown)[0]
    subprocess.run([*CLARY, "down", "--data", str(data)], check=True)


@pytest.fixture(scope="module")
def running(request, server, strict_server, tmp_path_factory):
    """All journeys that were asked for and whose environment is there, started together: name -> Running."""
    folder = tmp_path_factory.mktemp("journeys")
    asked = {item.callspec.params["name"] for item in request.session.items if item.path == Path(__file__)}
    ready = {name: journey for name, journey in JOURNEYS.items() if name in asked and journey.bin.is_dir()}
    if any(journey.installs for journey in ready.values()) and not has_index(folder):
        ready = {name: journey for name, journey in ready.items() if not journey.installs}
    started = {name: Running(journey, server.data, folder / name, {}, []) for name, journey in ready.items()}
    data, keys, endpoint = strict_server
    over_tls = [f"AWS_ENDPOINT_URL={endpoint}", f"AWS_CA_BUNDLE={data / 'tls' / 'ca.pem'}"]
    started[STRICT] = Running(JOURNEYS["boto3"], data, folder / "strict", keys, over_tls)
    yield started
    for journey in started.values():
        journey.process.kill()


def has_index(folder: Path) -> bool:
    """Whether pip finds packages from here."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder / "index"), "six"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def write_data(folder: Path) -> None:
    """scikit-learn's breast cancer data: label first for training; held-out rows and their labels apart. Its digits."""
    import numpy as np
    from sklearn.datasets import load_breast_cancer, load_digits
    from sklearn.model_selection import train_test_split

    features, labels = load_breast_cancer(return_X_y=True)
    train, held_out, train_labels, held_out_labels = train_test_split(
        features, labels, test_size=0.3, random_state=0, stratify=labels
    )
    table = np.column_stack([train_labels, train])
    tables = {"train": table[:320], "validation": table[320:], "features": held_out, "labels": held_out_labels}
    for name, rows in tables.items():
        np.savetxt(folder / f"{name}.csv", rows, delimiter=",", fmt="%.6g")
    images, digits = load_digits(return_X_y=True)
    if importlib.util.find_spec("torch"):
        (folder / "with-pytorch").touch()
    code = "import joblib\n\ndef model_fn(model_dir):\n    return joblib.load(f'{model_dir}/model.joblib')\n"
    (folder / "serving.tar.gz").write_bytes(bundle({"serve.py": code}))
    np.savetxt(folder / "digits.csv", np.column_stack([digits, images]), delimiter=",", fmt="%g")


def _named(name):
    """One that installs packages takes as long as pip does."""
    return pytest.param(name, marks=pytest.mark.slow) if name in JOURNEYS and JOURNEYS[name].installs else name


@pytest.mark.parametrize("name", [_named(name) for name in (*JOURNEYS, STRICT)])
def test_an_unmodified_client_trains_deploys_and_predicts(running, name):
    if name not in running:
        pytest.skip(f"the environment {JOURNEYS[name].environment} (`make test` makes it) or a package index is not there")
    journey = running[name]
    status = journey.result(time.monotonic() + LIMIT_SECONDS)
    assert status == 0, f"ended with status {status}:\n{journey.log.read_text()[-8000:]}"
