"""`clary demo`: a real model, end to end, through the public API only: what a user's own script would do."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from clary.cli.console import client
from clary.cli.errors import CommandError
from clary.cli.server import clean_up_when_terminated, start_detached, stop
from clary.client import Credentials, RunningServer
from clary.core.config import Config

ROLE = "arn:aws:iam::000000000000:role/demo"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
HYPERPARAMETERS = {"objective": "binary:logistic", "num_round": "60", "max_depth": "4", "eta": "0.2", "eval_metric": "auc"}
HELD_OUT = 0.3
WAIT_SECONDS = 120
POLL_SECONDS = 0.1


def add_to(app: typer.Typer) -> None:
    app.command()(demo)


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the server and its data for a look around.")] = False,
) -> None:
    """Train XGBoost on a real data set, deploy it and predict rows it has not seen; then clean up."""
    try:
        import sklearn  # noqa: F401
        import xgboost  # noqa: F401
    except ImportError as error:
        raise CommandError(f"the demo needs {error.name}, which is not installed: pip install 'clary[demo]'") from None
    data = Path(tempfile.mkdtemp(prefix="clary-demo-"))
    with _steps() as step, _server(data, step, keep) as server:
        _run(server, step)


@contextlib.contextmanager
def _server(data: Path, step: Any, keep: bool) -> Iterator[RunningServer]:
    """A server on a free port with a data directory of its own."""
    import shutil

    clean_up_when_terminated()
    with step("start a server on a free port") as note:
        server = start_detached(Config(data=data, port=0), None, {"data": data, "port": 0})
        note(server.endpoint)
    try:
        yield server
    finally:
        if keep:
            print(f"The server goes on: clary status --data {data}")
        else:
            stop(server)
            shutil.rmtree(data)


def _run(server: RunningServer, step: Any) -> None:
    s3, sagemaker, runtime = (client(server, name, Credentials()) for name in ("s3", "sagemaker", "sagemaker-runtime"))
    with step("load scikit-learn's breast cancer data") as note:
        train, validation, rows, labels = _data()
        note(f"{train.count(chr(10))} rows to train, {len(labels)} held out, {rows[0].count(',') + 1} features")
    with step("upload it to S3"):
        s3.create_bucket(Bucket="demo")
        s3.put_object(Bucket="demo", Key="train/train.csv", Body=train)
        s3.put_object(Bucket="demo", Key="validation/validation.csv", Body=validation)
    with step("train XGBoost in a training job") as note:
        sagemaker.create_training_job(**_training_job())
        job = _wait(lambda: sagemaker.describe_training_job(TrainingJobName="demo"), "TrainingJobStatus", "Completed")
        metrics = {metric["MetricName"]: metric["Value"] for metric in job.get("FinalMetricDataList", [])}
        note(", ".join(f"{name} {value:.3f}" for name, value in metrics.items()))
    with step("deploy the model to an endpoint") as note:
        _deploy(sagemaker, job["ModelArtifacts"]["S3ModelArtifacts"])
        _wait(lambda: sagemaker.describe_endpoint(EndpointName="demo"), "EndpointStatus", "InService")
    with step("predict the held-out rows") as note:
        scores, milliseconds = _predict(runtime, rows)
        note(f"{len(rows)} rows, and one row in {milliseconds:.1f} ms")
    _show_quality(labels, scores)


def _data() -> tuple[str, str, list[str], Any]:
    """Train and validation CSV (label first), the held-out rows without labels, and their labels."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.model_selection import train_test_split

    features, labels = load_breast_cancer(return_X_y=True)
    train, held_out, train_labels, held_out_labels = train_test_split(
        features, labels, test_size=HELD_OUT, random_state=0, stratify=labels
    )
    lines = [",".join(map(str, (label, *row))) for label, row in zip(train_labels, train, strict=True)]
    cut = len(lines) * 4 // 5
    rows = [",".join(map(str, row)) for row in held_out]
    return "\n".join(lines[:cut]) + "\n", "\n".join(lines[cut:]) + "\n", rows, held_out_labels


def _training_job() -> dict[str, Any]:
    return {
        "TrainingJobName": "demo",
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "RoleArn": ROLE,
        "HyperParameters": HYPERPARAMETERS,
        "InputDataConfig": [_channel("train"), _channel("validation")],
        "OutputDataConfig": {"S3OutputPath": "s3://demo/models"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }


def _channel(name: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://demo/{name}/", "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "ContentType": "text/csv", "DataSource": {"S3DataSource": source}}


def _deploy(sagemaker: Any, artifacts: str) -> None:
    sagemaker.create_model(
        ModelName="demo", ExecutionRoleArn=ROLE, PrimaryContainer={"Image": IMAGE, "ModelDataUrl": artifacts}
    )
    variant = {"VariantName": "AllTraffic", "ModelName": "demo", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(EndpointConfigName="demo", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="demo", EndpointConfigName="demo")


def _wait(describe: Any, member: str, wanted: str) -> dict[str, Any]:
    """Describe until `member` is `wanted`. Raises `CommandError` with the failure's reason."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        description = describe()
        if description[member] == wanted:
            return description
        if description[member] in ("Failed", "Stopped") or time.monotonic() > deadline:
            raise CommandError(f"{member} is {description[member]}: {description.get('FailureReason', 'it takes too long')}")
        time.sleep(POLL_SECONDS)


def _predict(runtime: Any, rows: list[str]) -> tuple[list[float], float]:
    """The scores of all rows, and how long a request with one row takes, in milliseconds."""

    def invoke(body: str) -> str:
        answer = runtime.invoke_endpoint(EndpointName="demo", ContentType="text/csv", Accept="text/csv", Body=body)
        return answer["Body"].read().decode()

    scores = [float(score) for score in invoke("\n".join(rows)).split()]
    began = time.perf_counter()
    invoke(rows[0])
    return scores, (time.perf_counter() - began) * 1000


def _show_quality(labels: Any, scores: list[float]) -> None:
    from sklearn.metrics import roc_auc_score

    right = sum((score > 0.5) == bool(label) for score, label in zip(scores, labels, strict=True))
    accuracy, auc = right / len(labels), roc_auc_score(labels, scores)
    print(f"\naccuracy {accuracy:.4f}   AUC {auc:.4f}   on {len(labels)} rows it had not seen")


@contextlib.contextmanager
def _steps() -> Iterator[Any]:
    """`with step("text") as note:` shows a spinner, then the time that the step took and what it noted."""
    from rich.console import Console

    console = Console()

    @contextlib.contextmanager
    def step(text: str) -> Iterator[Any]:
        notes: list[str] = []
        began = time.perf_counter()
        with console.status(text):
            yield notes.append
        seconds = time.perf_counter() - began
        console.print(f"[green]✓[/green] {text} [dim]{seconds:.2f} s[/dim]  {' '.join(notes)}", highlight=False, soft_wrap=True)

    yield step
