"""Jobs that run a user's own script: what the platform adds to the script's own work, and what it bears.

- overhead: from CreateTrainingJob to Completed, less what the script does after its imports; the first job of a server (cold,
  its warm process imports the framework) and further ones. The peer is `python train.py` in a shell, less the same.
- queue: 100 jobs of 0.1 s that are created at once; the floor is their own time over the slots.
- bundle: a source of 200 MB; the peer is `tar xzf`.
- lines: from a script's print to the output of `clary logs -f`.
- many: a script that prints a million lines, every one of which is read back; the peer is the same script into a file.
- long: a line of 1 GB, and the most memory that the supervisor had.

    python -m benchmarks.scripts [--only overhead queue bundle lines many long] [--jobs 20]
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from benchmarks.servers import running, until

BUCKET, ROLE = "scripts-benchmark", "arn:aws:iam::000000000000:role/SageMakerRole"
POLL_SECONDS = 0.005
IMAGES = {
    "scikit-learn": ("sklearn", "sagemaker-scikit-learn:1.2-1-cpu-py3"),
    "PyTorch": ("torch", "pytorch-training:2.6.0-cpu-py312"),
}
SCRIPTS = {
    "scikit-learn": """
import argparse, os, time
import joblib
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
began, used = time.time(), time.process_time()
parser = argparse.ArgumentParser()
parser.add_argument("--n-estimators", type=int, default=20)
args = parser.parse_args()
table = pd.DataFrame({"a": range(500), "b": [n % 7 for n in range(500)]})
model = RandomForestClassifier(args.n_estimators).fit(table, [n % 2 for n in range(500)])
joblib.dump(model, os.path.join(os.environ.get("SM_MODEL_DIR", "."), "model.joblib"))
print("own", time.time() - began, used)
""",
    "PyTorch": """
import os, time
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
began, used = time.time(), time.process_time()
data = TensorDataset(torch.randn(512, 8), torch.randn(512, 1))
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
optimizer = torch.optim.SGD(model.parameters(), 0.01)
for x, y in DataLoader(data, 64):
    optimizer.zero_grad()
    nn.functional.mse_loss(model(x), y).backward()
    optimizer.step()
torch.save(model.state_dict(), os.path.join(os.environ.get("SM_MODEL_DIR", "."), "model.pth"))
print("own", time.time() - began, used)
""",
}


class Bench:
    """A server of its own, with the clients of one user."""

    def __init__(self, data: Path, endpoint: str):
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
        clients = (boto3.client(name, endpoint_url=endpoint, **keys) for name in ("s3", "sagemaker", "logs"))
        self.data = data
        self.s3, self.sagemaker, self.logs = clients
        self.s3.create_bucket(Bucket=BUCKET)

    def create(
        self, name: str, script: str, image: str = IMAGES["scikit-learn"][1], extra: dict[str, bytes] | None = None
    ) -> None:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as tar:
            for file, content in ({"train.py": script.encode()} | (extra or {})).items():
                member = tarfile.TarInfo(file)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        packed.seek(0)
        self.s3.upload_fileobj(packed, BUCKET, f"{name}/sourcedir.tar.gz")
        parameters = {"sagemaker_program": "train.py", "sagemaker_submit_directory": f"s3://{BUCKET}/{name}/sourcedir.tar.gz"}
        self.request = {
            "TrainingJobName": name,
            "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File"},
            "RoleArn": ROLE,
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/"},
            "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 5},
            "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
            "HyperParameters": {key: json.dumps(value) for key, value in parameters.items()},
        }

    def run(self, *job: Any, **more: Any) -> tuple[float, dict[str, Any]]:
        """Seconds from the call to Completed as a client sees it, and the job."""
        self.create(*job, **more)
        began = time.perf_counter()
        self.sagemaker.create_training_job(**self.request)
        described = self.ended(self.request["TrainingJobName"])
        return time.perf_counter() - began, described

    def ended(self, name: str) -> dict[str, Any]:
        while (job := self.sagemaker.describe_training_job(TrainingJobName=name))["TrainingJobStatus"] == "InProgress":
            time.sleep(POLL_SECONDS)
        if job["TrainingJobStatus"] != "Completed":
            raise SystemExit(f"{name}: {job['TrainingJobStatus']}: {job.get('FailureReason')}")
        return job

    def lines(self, name: str) -> Iterator[str]:
        group = "/aws/sagemaker/TrainingJobs"
        (stream,) = self.logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/")["logStreams"]
        token: dict[str, str] = {}
        while True:
            page = self.logs.get_log_events(
                logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True, **token
            )
            if not page["events"]:
                return
            yield from (event["message"] for event in page["events"])
            token = {"nextToken": page["nextForwardToken"]}

    def own(self, name: str) -> tuple[float, float]:
        """Seconds of the script's own work, and of processor time that its process had used before."""
        line = next(line for line in self.lines(name) if line.startswith("own "))
        return float(line.split()[1]), float(line.split()[2])


@contextmanager
def server() -> Iterator[Bench]:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "data")
        command = [sys.executable, "-m", "clary.gateway.server", "--data", str(data), "--port", "0"]
        with running(command, Path(folder, "log")):
            port = until(lambda: json.loads((data / "server.json").read_text())["port"])
            yield Bench(data, f"http://127.0.0.1:{port}")


def overhead(jobs: int) -> None:
    for title, (module, image) in IMAGES.items():
        if importlib.util.find_spec(module) is None:
            print(f"{title}: not installed")
            continue
        script = SCRIPTS[title]
        with server() as bench:
            measured, used = [], []
            for number in range(jobs + 1):
                total, _ = bench.run(f"job-{number}", script, image)
                own, before = bench.own(f"job-{number}")
                measured.append(total - own)
                used.append(before)
        cold, warm = measured[0], sorted(measured[1:])
        peer = sorted(_by_hand(script) for _ in range(max(3, jobs // 4)))
        print(f"{title}: the first job of a server {cold:.2f} s; further ones p50 {statistics.median(warm):.3f} s, ", end="")
        print(f"p95 {warm[int(len(warm) * 0.95)]:.3f} s; python by hand p50 {statistics.median(peer):.3f} s, ", end="")
        print(f"ratio {statistics.median(peer) / statistics.median(warm):.1f}; ", end="")
        print(f"processor time of the script's process before its own work p50 {statistics.median(used[1:]):.3f} s")


def _by_hand(script: str) -> float:
    """What `python train.py` takes beyond the script's own work."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "train.py").write_text(script)
        began = time.perf_counter()
        said = subprocess.run([sys.executable, "train.py"], cwd=folder, capture_output=True, text=True, check=True).stdout
        return time.perf_counter() - began - float(said.split()[1])


def queue(jobs: int) -> None:
    count, slots = 100, os.cpu_count() or 1
    with server() as bench:
        bench.run("warm", "pass")
        began = time.perf_counter()
        for number in range(count):
            bench.create(f"queued-{number}", "import time; time.sleep(0.1)")
            bench.sagemaker.create_training_job(**bench.request)
        for number in range(count):
            bench.ended(f"queued-{number}")
        seconds = time.perf_counter() - began
    print(f"{count} jobs of 0.1 s on {slots} slots: {seconds:.1f} s; their own time alone {count * 0.1 / slots:.1f} s")


def bundle(jobs: int) -> None:
    content = {f"data/{n}": os.urandom(1 << 20) for n in range(100)}
    content |= {f"text/{n}": (b"%d," % n) * (1 << 18) for n in range(100)}
    with server() as bench:
        bench.run("warm", "pass")
        _, job = bench.run("bundle", "import os; print(len(os.listdir('data')))", extra=content)
        steps = {step["Status"]: step for step in job["SecondaryStatusTransitions"]}
        ours = (steps["Downloading"]["EndTime"] - steps["Downloading"]["StartTime"]).total_seconds()
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder, "sourcedir.tar.gz")
            bench.s3.download_file(BUCKET, "bundle/sourcedir.tar.gz", str(archive))
            began = time.perf_counter()
            subprocess.run(["tar", "xzf", str(archive), "-C", folder], check=True)
            peer = time.perf_counter() - began
            size = archive.stat().st_size / 1e6
    whole = sum(map(len, content.values())) / 1e6
    print(f"a bundle of {whole:.0f} MB ({size:.0f} MB packed), fetched and unpacked: {ours:.2f} s; tar xzf alone {peer:.2f} s")


def lines(jobs: int) -> None:
    script = """
import time
time.sleep(1)
for _ in range(100):
    print("at", time.time(), flush=True)
    time.sleep(0.073)
"""
    with server() as bench:
        bench.run("warm", "pass")
        bench.create("lines", script)
        bench.sagemaker.create_training_job(**bench.request)
        command = [sys.executable, "-m", "clary.cli", "logs", "lines", "-f", "--data", str(bench.data)]
        late = []
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as follower:
            assert follower.stdout is not None
            for line in follower.stdout:
                if " at " in line:
                    late.append(time.time() - float(line.split()[-1]))
    late.sort()
    print(f"a line reaches clary logs -f after p50 {statistics.median(late):.3f} s, p99 {late[-2]:.3f} s ({len(late)} lines)")


def many(jobs: int) -> None:
    script = "for n in range(1_000_000):\n    print(n)\n"
    with server() as bench:
        bench.run("warm", "pass")
        total, _job = bench.run("many", script)
        found = [line for line in bench.lines("many") if line.isdecimal()]
        if found != [str(n) for n in range(1_000_000)]:
            raise SystemExit(f"{len(found)} lines arrived, not a million in order")
    with tempfile.NamedTemporaryFile() as file:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-u", "-c", script], stdout=file, check=True)
        peer = time.perf_counter() - began
    print(f"a million lines, all read back: {total:.1f} s; python -u into a file {peer:.1f} s")


def long(jobs: int) -> None:
    script = "import sys\nfor _ in range(1024):\n    sys.stdout.write('x' * (1 << 20))\nprint()\nprint('end')\n"
    with server() as bench:
        bench.run("warm", "pass")
        before = time.perf_counter()
        bench.create("long", script)
        bench.sagemaker.create_training_job(**bench.request)
        most = 0
        while bench.sagemaker.describe_training_job(TrainingJobName="long")["TrainingJobStatus"] == "InProgress":
            most = max(most, *_peaks(bench.data), 0)
            time.sleep(0.05)
        seconds = time.perf_counter() - before
        bench.ended("long")
        whole = sum(len(line) for line in bench.lines("long") if line.startswith("x"))
    print(f"a line of 1 GB ({whole / 1e6:.0f} MB arrived): {seconds:.1f} s, the supervisor's most memory {most / 1024:.0f} MB")


def _peaks(data: Path) -> list[int]:
    """KiB of private memory that the supervisors of `data` have."""
    from clary.compute.runner import lock

    found = []
    for file in data.glob("jobs/*/*/*/*/*/*/supervisor.lock"):
        if pid := lock.holder(file.parent):
            try:
                text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            found.append(sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Private_")))
    return found or [0]


CASES: dict[str, Callable[[int], None]] = {
    "overhead": overhead,
    "queue": queue,
    "bundle": bundle,
    "lines": lines,
    "many": many,
    "long": long,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=CASES, default=list(CASES))
    parser.add_argument("--jobs", type=int, default=20)
    options = parser.parse_args()
    for name in options.only:
        CASES[name](options.jobs)


if __name__ == "__main__":
    main()
