"""XGBoost through the platform: Parquet, Pipe mode, checkpoints, a model to go on from, folds, selectable content."""

from __future__ import annotations

import io
import json
import tarfile
import time
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import xgboost

BUCKET = "xgboost-jobs"
ROLE = "arn:aws:iam::000000000000:role/SageMakerRole"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
PATIENCE = 180
RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 4)).astype(np.float32).round(3)
TABLE = np.column_stack([(X[:, 0] + X[:, 1] > 0).astype(np.float32), X])
CHECKPOINTS = {"S3Uri": f"s3://{BUCKET}/checkpoints"}


@pytest.fixture(scope="module")
def s3(server: Any) -> Any:
    client = server.client("s3")
    client.create_bucket(Bucket=BUCKET)
    sink = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({f"c{at}": column for at, column in enumerate(TABLE.T)}), sink)
    for part in "ab":
        client.put_object(Bucket=BUCKET, Key=f"parquet/{part}.parquet", Body=sink.getvalue())
    rows = "".join(",".join(f"{cell:g}" for cell in row) + "\n" for row in TABLE)
    client.put_object(Bucket=BUCKET, Key="csv/rows.csv", Body=rows.encode())
    return client


def channel(
    name: str, prefix: str, content_type: str, mode: str = "File", distribution: str = "FullyReplicated"
) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{prefix}", "S3DataDistributionType": distribution}
    return {"ChannelName": name, "ContentType": content_type, "InputMode": mode, "DataSource": {"S3DataSource": source}}


def train(
    server: Any, name: str, channels: list[dict[str, Any]], hyperparameters: dict[str, str], **more: Any
) -> dict[str, Any]:
    """The job, completed."""
    sagemaker, hosts = server.client("sagemaker"), more.pop("hosts", 1)
    sagemaker.create_training_job(
        TrainingJobName=name,
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        RoleArn=ROLE,
        InputDataConfig=channels,
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/out"},
        ResourceConfig={"InstanceCount": hosts, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
        HyperParameters={"objective": "binary:logistic", "nthread": "1"} | hyperparameters,
        **more,
    )
    deadline = time.monotonic() + PATIENCE
    while True:
        job = sagemaker.describe_training_job(TrainingJobName=name)
        if job["TrainingJobStatus"] in ("Completed", "Failed", "Stopped"):
            assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.02)


def unpacked(s3: Any, uri: str) -> dict[str, bytes]:
    key = uri.removeprefix(f"s3://{BUCKET}/")
    body = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}  # type: ignore[union-attr]


def rounds(s3: Any, job: dict[str, Any]) -> int:
    model = unpacked(s3, job["ModelArtifacts"]["S3ModelArtifacts"])["xgboost-model"]
    return xgboost.Booster(model_file=bytearray(model)).num_boosted_rounds()


def log_of(server: Any, name: str) -> str:
    logs, group = server.client("logs"), {"logGroupName": "/aws/sagemaker/TrainingJobs"}
    streams = logs.describe_log_streams(**group, logStreamNamePrefix=f"{name}/algo-1-")["logStreams"]
    events = logs.get_log_events(**group, logStreamName=streams[0]["logStreamName"], startFromHead=True)["events"]
    return "\n".join(event["message"] for event in events)


def test_parquet_through_a_pipe_checkpoints_and_a_second_job_that_goes_on(server: Any, s3: Any) -> None:
    pipe = [channel("train", "parquet/", "application/x-parquet", "Pipe")]
    first = train(server, "with-checkpoints", pipe, {"num_round": "4"}, CheckpointConfig=CHECKPOINTS)
    assert rounds(s3, first) == 4
    assert "Train matrix has 800 rows" in log_of(server, "with-checkpoints")
    kept = {entry["Key"] for entry in s3.list_objects_v2(Bucket=BUCKET, Prefix="checkpoints/")["Contents"]}
    assert "checkpoints/xgboost-checkpoint.3" in kept
    second = train(server, "resumed", pipe, {"num_round": "6"}, CheckpointConfig=CHECKPOINTS)
    assert rounds(s3, second) == 6
    assert "Resuming from iteration 4" in log_of(server, "resumed")


def test_a_job_goes_on_from_the_model_of_another(server: Any, s3: Any) -> None:
    rows = channel("train", "csv/", "text/csv")
    first = train(server, "given", [rows], {"num_round": "3"})
    key = first["ModelArtifacts"]["S3ModelArtifacts"].removeprefix(f"s3://{BUCKET}/")
    for mode in ("File", "FastFile"):
        model = channel("model", key, "application/x-sagemaker-model", mode)
        assert rounds(s3, train(server, f"continued-{mode.lower()}", [rows, model], {"num_round": "2"})) == 5


@pytest.mark.parametrize("mode", ["File", "Pipe", "FastFile"])
def test_a_host_that_gets_no_object_takes_no_part(server: Any, s3: Any, mode: str) -> None:
    rows, name = channel("train", "csv/", "text/csv", mode, "ShardedByS3Key"), f"one-object-{mode.lower()}"
    assert rounds(s3, train(server, name, [rows], {"num_round": "3"}, hosts=2)) == 3
    assert "Host algo-2 has no data in one of its channels and does not take part" in log_of(server, name)


def test_folds_answer_together_with_what_the_environment_selects(server: Any, s3: Any) -> None:
    job = train(server, "folds", [channel("train", "csv/", "text/csv")], {"num_round": "5", "_kfold": "3"})
    models = unpacked(s3, job["ModelArtifacts"]["S3ModelArtifacts"])
    assert sorted(models) == ["xgboost-model-0", "xgboost-model-1", "xgboost-model-2"]
    predictions = unpacked(s3, f"s3://{BUCKET}/out/folds/output/output.tar.gz")["predictions.csv"]
    assert np.loadtxt(io.BytesIO(predictions), delimiter=",").shape == (400, 3)
    means = log_of(server, "folds").split("The metrics of round 1 cross validation\n")[1]
    final = {metric["MetricName"]: metric["Value"] for metric in job["FinalMetricDataList"]}
    assert f"validation-logloss:{final['validation:logloss']:.5f}" in means
    answers = ask(server, job["ModelArtifacts"]["S3ModelArtifacts"], X[:2])
    boosters = [xgboost.Booster(model_file=bytearray(model)) for model in models.values()]
    expected = np.mean([booster.inplace_predict(X[:2]) for booster in boosters], axis=0)
    assert [answer["predicted_label"] for answer in answers] == (expected > 0.5).tolist()
    np.testing.assert_allclose([answer["probability"] for answer in answers], expected, rtol=1e-6)


def ask(server: Any, model: str, rows: np.ndarray) -> list[dict[str, Any]]:
    """What an endpoint with selected content says of `rows`."""
    sagemaker = server.client("sagemaker")
    selected = {"SAGEMAKER_INFERENCE_OUTPUT": "predicted_label,probability"}
    container = {"Image": IMAGE, "ModelDataUrl": model, "Environment": selected}
    sagemaker.create_model(ModelName="selected", PrimaryContainer=container, ExecutionRoleArn=ROLE)
    variant = {"VariantName": "all", "ModelName": "selected", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(EndpointConfigName="selected", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="selected", EndpointConfigName="selected")
    sagemaker.get_waiter("endpoint_in_service").wait(
        EndpointName="selected", WaiterConfig={"Delay": 1, "MaxAttempts": PATIENCE}
    )
    body = "\n".join(",".join(map(str, row)) for row in rows)
    reply = server.client("sagemaker-runtime").invoke_endpoint(
        EndpointName="selected", ContentType="text/csv", Accept="application/jsonlines", Body=body
    )
    sagemaker.delete_endpoint(EndpointName="selected")
    return [json.loads(line) for line in reply["Body"].read().splitlines()]
