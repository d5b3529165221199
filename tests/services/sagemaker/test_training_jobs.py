"""Training jobs as boto3 users meet them: what is refused, what is shown, how jobs end."""

from __future__ import annotations

import io
import itertools
import re
import tarfile
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import xgboost
from botocore.exceptions import ClientError

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.0-5"
ROLE = "arn:aws:iam::000000000000:role/SageMakerRole"
BUCKET = "training-job-tests"
PATIENCE = 180
"""Seconds: machines that test are busy."""
ROWS = "\n".join(f"{n % 2},{n % 2 + n / 1000},{n % 7}" for n in range(200)).encode()


@pytest.fixture(scope="module")
def clients(server: Any) -> dict[str, Any]:
    names = ("sagemaker", "s3", "logs", "cloudwatch")
    clients = {name: server.client(name) for name in names}
    clients["s3"].create_bucket(Bucket=BUCKET)
    clients["s3"].put_object(Bucket=BUCKET, Key="train/a.csv", Body=ROWS)
    clients["s3"].put_object(Bucket=BUCKET, Key="bad/a.csv", Body=b"label,x\n1,2\n0,text\n")
    return clients


@pytest.fixture(scope="module")
def sagemaker(clients: dict[str, Any]) -> Any:
    return clients["sagemaker"]


def channel(name: str = "train", uri: str = f"s3://{BUCKET}/train/", **more: Any) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "ContentType": "text/csv", "DataSource": {"S3DataSource": source}} | more


def job(name: str, **changes: Any) -> dict[str, Any]:
    """A complete CreateTrainingJob request; a change to None leaves the member out."""
    request = {
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "RoleArn": ROLE,
        "InputDataConfig": [channel()],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out/"},
        "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 5},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        "HyperParameters": {"num_round": "5", "objective": "binary:logistic"},
    } | changes
    return {member: value for member, value in request.items() if value is not None}


def end(sagemaker: Any, name: str) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE
    while True:
        described = sagemaker.describe_training_job(TrainingJobName=name)
        if described["TrainingJobStatus"] in ("Completed", "Failed", "Stopped"):
            return described
        assert time.monotonic() < deadline, described
        time.sleep(0.02)


def until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return value


def refusal(sagemaker: Any, request: dict[str, Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        sagemaker.create_training_job(**request)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


# --- a job from beginning to end ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def completed(sagemaker: Any) -> dict[str, Any]:
    sagemaker.create_training_job(
        **job(
            "completed",
            DebugHookConfig={"S3OutputPath": f"s3://{BUCKET}/debug", "CollectionConfigurations": []},
            ProfilerConfig={"S3OutputPath": f"s3://{BUCKET}/profile", "DisableProfiler": False},
            HyperParameters={"num_round": "5", "objective": "binary:logistic", "eval_metric": "logloss,error"},
            Tags=[{"Key": "team", "Value": "a"}],
        )
    )
    return end(sagemaker, "completed")


def test_a_completed_job_shows_everything_clients_index(completed: dict[str, Any]) -> None:
    assert completed["TrainingJobStatus"] == completed["SecondaryStatus"] == "Completed", completed.get("FailureReason")
    assert completed["TrainingJobArn"] == "arn:aws:sagemaker:us-east-1:000000000000:training-job/completed"
    assert completed["ModelArtifacts"] == {"S3ModelArtifacts": f"s3://{BUCKET}/out/completed/output/model.tar.gz"}
    assert completed["OutputDataConfig"]["KmsKeyId"] == ""
    assert completed["OutputDataConfig"]["S3OutputPath"] == f"s3://{BUCKET}/out/"
    assert completed["HyperParameters"] == {"num_round": "5", "objective": "binary:logistic", "eval_metric": "logloss,error"}
    assert completed["RoleArn"] == ROLE
    assert completed["ResourceConfig"] == {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 5}
    assert completed["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600}
    assert completed["DebugHookConfig"]["S3OutputPath"] == f"s3://{BUCKET}/debug"
    assert completed["AlgorithmSpecification"]["TrainingInputMode"] == "File"
    assert "validation:error" in {metric["Name"] for metric in completed["AlgorithmSpecification"]["MetricDefinitions"]}
    assert completed["TrainingTimeInSeconds"] == completed["BillableTimeInSeconds"] >= 1
    assert (
        completed["CreationTime"]
        <= completed["TrainingStartTime"]
        <= completed["TrainingEndTime"]
        <= completed["LastModifiedTime"]
    )


def test_every_transition_has_a_message_and_an_end(completed: dict[str, Any]) -> None:
    transitions = completed["SecondaryStatusTransitions"]
    assert [step["Status"] for step in transitions] == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert all(step["StatusMessage"] for step in transitions)
    for step, following in itertools.pairwise(transitions):
        assert step["EndTime"] == following["StartTime"]


def test_the_artifact_is_a_model_that_plain_xgboost_opens(clients: dict[str, Any], completed: dict[str, Any]) -> None:
    body = clients["s3"].get_object(Bucket=BUCKET, Key="out/completed/output/model.tar.gz")["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        (member,) = tar.getmembers()
        assert member.name == "xgboost-model"
        booster = xgboost.Booster(model_file=bytearray(tar.extractfile(member).read()))  # type: ignore[union-attr]
    assert booster.num_boosted_rounds() == 5


def test_logs_are_there_in_full_when_the_job_is_completed(clients: dict[str, Any], completed: dict[str, Any]) -> None:
    logs = clients["logs"]
    group = "/aws/sagemaker/TrainingJobs"
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix="completed/", orderBy="LogStreamName", limit=1)
    (stream,) = streams["logStreams"]
    assert "nextToken" not in streams
    assert re.fullmatch(r"completed/algo-1-\d{10}", stream["logStreamName"])
    events = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True)["events"]
    rounds = [event["message"] for event in events if event["message"].startswith("[") and "\ttrain-" in event["message"]]
    assert [line.split("\t")[0] for line in rounds] == [f"[{n}]" for n in range(5)]
    assert [event["timestamp"] for event in events] == sorted(event["timestamp"] for event in events)


def test_final_metrics_are_the_last_ones_and_all_are_in_cloudwatch(clients: dict[str, Any], completed: dict[str, Any]) -> None:
    final = {metric["MetricName"]: metric["Value"] for metric in completed["FinalMetricDataList"]}
    assert set(final) == {"train:logloss", "train:error"}
    answer = clients["cloudwatch"].get_metric_statistics(
        Namespace="/aws/sagemaker/TrainingJobs",
        MetricName="train:logloss",
        Dimensions=[{"Name": "TrainingJobName", "Value": "completed"}],
        StartTime=completed["CreationTime"].timestamp() - 60,
        EndTime=completed["TrainingEndTime"].timestamp() + 60,
        Period=3600,
        Statistics=["SampleCount", "Minimum"],
    )["Datapoints"]
    assert sum(point["SampleCount"] for point in answer) == 5
    assert min(point["Minimum"] for point in answer) == pytest.approx(final["train:logloss"])


def test_tags(sagemaker: Any, completed: dict[str, Any]) -> None:
    arn = completed["TrainingJobArn"]
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "a"}]
    added = sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "team", "Value": "b"}, {"Key": "x", "Value": ""}])["Tags"]
    assert added == [{"Key": "team", "Value": "b"}, {"Key": "x", "Value": ""}]
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["team", "nothing"])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "x", "Value": ""}]


# --- how else jobs end ----------------------------------------------------------------------------------------------


def test_bad_data_fail_the_job_with_a_reason(sagemaker: Any) -> None:
    sagemaker.create_training_job(**job("bad-data", InputDataConfig=[channel(uri=f"s3://{BUCKET}/bad/")]))
    failed = end(sagemaker, "bad-data")
    assert failed["TrainingJobStatus"] == failed["SecondaryStatus"] == "Failed"
    assert failed["FailureReason"].startswith("ClientError: ")
    assert "a.csv" in failed["FailureReason"]
    assert "ModelArtifacts" not in failed


def test_bad_hyperparameters_fail_the_job_with_a_reason(sagemaker: Any) -> None:
    sagemaker.create_training_job(**job("bad-eta", HyperParameters={"num_round": "5", "eta": "3"}))
    assert "eta" in end(sagemaker, "bad-eta")["FailureReason"]


def test_a_job_is_stopped(sagemaker: Any) -> None:
    sagemaker.create_training_job(**job("stopped", HyperParameters={"num_round": "1000000", "nthread": "1"}))
    until(lambda: sagemaker.describe_training_job(TrainingJobName="stopped")["SecondaryStatus"] == "Training")
    assert "ModelArtifacts" not in sagemaker.describe_training_job(TrainingJobName="stopped")  # it tells that there is a model
    sagemaker.stop_training_job(TrainingJobName="stopped")
    seen = sagemaker.describe_training_job(TrainingJobName="stopped")
    assert seen["TrainingJobStatus"] in ("Stopping", "Stopped")
    stopped = end(sagemaker, "stopped")
    assert stopped["TrainingJobStatus"] == stopped["SecondaryStatus"] == "Stopped"
    assert [step["Status"] for step in stopped["SecondaryStatusTransitions"]][-2:] == ["Stopping", "Stopped"]
    with pytest.raises(ClientError, match="The request was rejected because the training job is in status Stopped"):
        sagemaker.stop_training_job(TrainingJobName="stopped")


def test_a_job_past_its_runtime_is_stopped_with_that_secondary_status(sagemaker: Any) -> None:
    condition = {"MaxRuntimeInSeconds": 1}
    hyperparameters = {"num_round": "1000000", "nthread": "1"}
    sagemaker.create_training_job(**job("late", StoppingCondition=condition, HyperParameters=hyperparameters))
    late = end(sagemaker, "late")
    assert (late["TrainingJobStatus"], late["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


@pytest.mark.parametrize("mode", ["Pipe", "FastFile"])
def test_streamed_channels_train_the_same_model(clients: dict[str, Any], completed: dict[str, Any], mode: str) -> None:
    sagemaker, name = clients["sagemaker"], f"mode-{mode.lower()}"
    specification = {"TrainingImage": IMAGE, "TrainingInputMode": mode}
    sagemaker.create_training_job(
        **job(name, AlgorithmSpecification=specification, HyperParameters=completed["HyperParameters"])
    )
    streamed = end(sagemaker, name)
    assert streamed["TrainingJobStatus"] == "Completed", streamed.get("FailureReason")
    last = [{m["MetricName"]: m["Value"] for m in described["FinalMetricDataList"]} for described in (completed, streamed)]
    assert last[0] == last[1]


def test_jobs_wait_for_capacity_and_say_so(start_server: Callable[..., Any]) -> None:
    server = start_server(capacity_cpus=1)
    sagemaker, s3 = server.client("sagemaker"), server.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="train/a.csv", Body=ROWS)
    sagemaker.create_training_job(**job("first", HyperParameters={"num_round": "1000000", "nthread": "1"}))
    sagemaker.create_training_job(**job("second"))
    sagemaker.create_training_job(**job("third"))
    until(lambda: sagemaker.describe_training_job(TrainingJobName="second")["SecondaryStatus"] == "Pending")
    sagemaker.stop_training_job(TrainingJobName="third")
    assert end(sagemaker, "third")["TrainingJobStatus"] == "Stopped"
    assert sagemaker.describe_training_job(TrainingJobName="second")["TrainingJobStatus"] == "InProgress"
    sagemaker.stop_training_job(TrainingJobName="first")
    assert end(sagemaker, "second")["TrainingJobStatus"] == "Completed"


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("member", ["AlgorithmSpecification", "ResourceConfig", "StoppingCondition"])
def test_members_that_the_service_demands(sagemaker: Any, member: str) -> None:
    code, message = refusal(sagemaker, job("incomplete", **{member: None}))
    assert code == "ValidationException"
    path = member[0].lower() + member[1:]
    assert message.startswith(f"1 validation error detected: Value null at '{path}' failed to satisfy constraint")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 2419201}}, "2419200 (28 days)"),
        (
            {
                "EnableNetworkIsolation": True,
                "ResourceConfig": {"InstanceCount": 2, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 5},
            },
            "EnableNetworkIsolation",
        ),
        ({"EnableManagedSpotTraining": True}, "EnableManagedSpotTraining"),
        ({"EnableInterContainerTrafficEncryption": True}, "EnableInterContainerTrafficEncryption"),
        ({"CheckpointConfig": {"S3Uri": "https://elsewhere/c"}}, "CheckpointConfig.S3Uri"),
        ({"CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/c", "LocalPath": "/tmp/checkpoints"}}, "CheckpointConfig.LocalPath"),
        ({"CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/c", "LocalPath": "/opt/ml/model/"}}, "CheckpointConfig.LocalPath"),
        ({"CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/c", "LocalPath": "/opt/ml/"}}, "CheckpointConfig.LocalPath"),
        ({"CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/c", "LocalPath": "/opt/ml/a/../../b"}}, "CheckpointConfig.LocalPath"),
        ({"VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}}, "VpcConfig"),
        ({"InputDataConfig": [channel(uri=f"s3://{BUCKET}/nothing/")]}, "No S3 objects found under S3 URL"),
        ({"InputDataConfig": [channel(uri="s3://no-such-bucket-anywhere/x")]}, "No S3 objects found under S3 URL"),
        ({"InputDataConfig": [channel(), channel()]}, "more than once"),
        ({"InputDataConfig": [channel(name="..")]}, "'..'"),
        ({"OutputDataConfig": {"S3OutputPath": "https://b/out"}}, "OutputDataConfig.S3OutputPath"),
        ({"AlgorithmSpecification": {"TrainingImage": "me/mine:1", "TrainingInputMode": "File"}}, "sagemaker-xgboost:1.7-1"),
        ({"AlgorithmSpecification": {"TrainingImage": "xgboost:99", "TrainingInputMode": "File"}}, "xgboost:1"),
        (
            {
                "AlgorithmSpecification": {
                    "TrainingImage": IMAGE,
                    "TrainingInputMode": "File",
                    "MetricDefinitions": [{"Name": "broken", "Regex": "("}],
                }
            },
            "'broken' is not a regular expression",
        ),
        ({"AlgorithmSpecification": {"TrainingInputMode": "File"}}, "algorithmSpecification.trainingImage"),
        ({"ResourceConfig": {"InstanceCount": 0, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}}, "at least 1"),
    ],
)
def test_what_cannot_be_done_as_asked_is_refused_by_name(sagemaker: Any, changes: dict[str, Any], words: str) -> None:
    code, message = refusal(sagemaker, job("refused", **changes))
    assert code == "ValidationException"
    assert words in message
    with pytest.raises(ClientError, match="Requested resource not found"):
        sagemaker.describe_training_job(TrainingJobName="refused")


def test_a_name_is_used_once(sagemaker: Any, completed: dict[str, Any]) -> None:
    with pytest.raises(sagemaker.exceptions.ResourceInUse, match=r"training-job/completed\)"):
        sagemaker.create_training_job(**job("completed"))


def test_the_default_runtime_is_a_day(sagemaker: Any) -> None:
    sagemaker.create_training_job(**job("default-runtime", StoppingCondition={}))
    assert end(sagemaker, "default-runtime")["StoppingCondition"] == {"MaxRuntimeInSeconds": 86400}


# --- lists and deletion ---------------------------------------------------------------------------------------------


def test_lists_filter_sort_and_page(server: Any) -> None:
    account = server.client("sagemaker", account="111122223333"), server.client("s3", account="111122223333")
    sagemaker, s3 = account
    bucket = "training-job-lists"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="train/a.csv", Body=ROWS)
    role = ROLE.replace("000000000000", "111122223333")
    for name in ("list-b", "list-a", "list-c"):
        data = [channel(uri=f"s3://{bucket}/train/")]
        output = {"S3OutputPath": f"s3://{bucket}/out"}
        sagemaker.create_training_job(**job(name, InputDataConfig=data, OutputDataConfig=output, RoleArn=role))
        end(sagemaker, name)

    def names(**filters: Any) -> list[str]:
        return [summary["TrainingJobName"] for summary in sagemaker.list_training_jobs(**filters)["TrainingJobSummaries"]]

    assert names() == ["list-c", "list-a", "list-b"]
    assert names(SortBy="Name", SortOrder="Ascending") == ["list-a", "list-b", "list-c"]
    assert names(NameContains="LIST-B") == ["list-b"]
    assert names(StatusEquals="Completed", MaxResults=1) == ["list-c"]
    assert names(StatusEquals="Failed") == []
    assert names(WarmPoolStatusEquals="Available") == []
    first, last = (sagemaker.describe_training_job(TrainingJobName=name)["CreationTime"] for name in ("list-b", "list-c"))
    second = timedelta(seconds=1)  # what botocore keeps of a time in a request
    assert len(names(CreationTimeAfter=first - second, CreationTimeBefore=last + second)) == 3
    assert names(CreationTimeAfter=last + second) == names(CreationTimeBefore=first - second) == []
    pages = sagemaker.get_paginator("list_training_jobs").paginate(PaginationConfig={"PageSize": 2})
    summaries = [summary for page in pages for summary in page["TrainingJobSummaries"]]
    assert [summary["TrainingJobName"] for summary in summaries] == names()
    assert summaries[0]["TrainingEndTime"] <= summaries[0]["LastModifiedTime"]


def test_a_deleted_name_can_be_used_again(sagemaker: Any) -> None:
    sagemaker.create_training_job(**job("again"))
    with pytest.raises(sagemaker.exceptions.ResourceInUse):
        sagemaker.delete_training_job(TrainingJobName="again")
    end(sagemaker, "again")
    sagemaker.delete_training_job(TrainingJobName="again")
    with pytest.raises(ClientError, match="Requested resource not found"):
        sagemaker.describe_training_job(TrainingJobName="again")
    sagemaker.create_training_job(**job("again", HyperParameters={"num_round": "2"}))
    assert end(sagemaker, "again")["TrainingJobStatus"] == "Completed"


def test_operations_that_are_not_built_say_so(sagemaker: Any) -> None:
    with pytest.raises(ClientError) as caught:
        sagemaker.update_training_job(TrainingJobName="x")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
