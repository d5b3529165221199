"""`clary logs` and `clary why`, of jobs and endpoints that really ran."""

from __future__ import annotations

import pytest
from tests.processing import Analyst

from clary.cli import causes

ACCOUNT = "555566667777"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/training"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
QUICK = {"Delay": 1, "MaxAttempts": 120}


def training_job(name, prefix, **hyperparameters):
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://cli-jobs/{prefix}/"}
    return {
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "RoleArn": ROLE,
        "HyperParameters": {"num_round": "3", "objective": "binary:logistic"} | hyperparameters,
        "InputDataConfig": [{"ChannelName": "train", "ContentType": "text/csv", "DataSource": {"S3DataSource": source}}],
        "OutputDataConfig": {"S3OutputPath": "s3://cli-jobs/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 300},
    }


@pytest.fixture(scope="module")
def jobs(server):
    """`good` trained; `header` has a header line, `unknown` an unknown hyperparameter; the endpoint `broken` has no model."""
    s3, sagemaker = server.client("s3", account=ACCOUNT), server.client("sagemaker", account=ACCOUNT)
    s3.create_bucket(Bucket="cli-jobs")
    s3.put_object(Bucket="cli-jobs", Key="good/rows.csv", Body="\n".join(f"{row % 2},{row}" for row in range(60)))
    s3.put_object(Bucket="cli-jobs", Key="header/rows.csv", Body="label,x\n0,1\n1,2\n")
    sagemaker.create_training_job(**training_job("good", "good"))
    sagemaker.create_training_job(**training_job("header", "header"))
    sagemaker.create_training_job(**training_job("unknown", "good", etta="0.3"))
    container = {"Image": IMAGE, "ModelDataUrl": "s3://cli-jobs/good/rows.csv"}
    sagemaker.create_model(ModelName="broken", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    variant = {"VariantName": "A", "ModelName": "broken", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(EndpointConfigName="broken", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="broken", EndpointConfigName="broken")
    finished = sagemaker.get_waiter("training_job_completed_or_stopped")
    finished.wait(TrainingJobName="good", WaiterConfig=QUICK)
    for name in ("header", "unknown"):
        with pytest.raises(Exception, match="terminal failure"):
            finished.wait(TrainingJobName=name, WaiterConfig=QUICK)
    with pytest.raises(Exception, match="terminal failure"):
        sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="broken", WaiterConfig=QUICK)
    return ["--data", str(server.data), "--account", ACCOUNT]


def test_the_log_of_a_job(clary, jobs):
    shown = clary("logs", "good", *jobs)
    assert shown.returncode == 0, shown.stderr
    rounds = [line for line in shown.stdout.splitlines() if "train-logloss" in line]
    assert len(rounds) == 3


def test_following_a_job_that_is_over_ends_by_itself(clary, jobs):
    assert clary("logs", "--follow", "good", *jobs).stdout == clary("logs", "good", *jobs).stdout


def test_why_a_job_failed(clary, jobs):
    shown = clary("why", "header", *jobs).stdout
    assert "header row" in shown.partition("cause")[2].partition("place")[0]
    assert "while Training, CustomerError" in shown.partition("place")[2]
    assert "Remove header lines" in shown.partition("fix")[2]
    assert "etta" in clary("why", "unknown", *jobs).stdout


def test_processing_jobs_are_told_about_too(clary, server):
    analyst = Analyst(server, "555566668888")
    assert "ValueError: 7 is no date" in analyst.reason("dates", "print('reading')\nraise ValueError('7 is no date')")
    options = ["--data", str(server.data), "--account", analyst.account]
    assert "reading" in clary("logs", "dates", *options).stdout
    shown = clary("why", "dates", *options).stdout
    assert shown.startswith("processing job dates: Failed")
    assert "ValueError: 7 is no date" in shown.partition("cause")[2].partition("place")[0]
    assert "script.py:2" in shown.partition("place")[2]


def test_why_an_endpoint_failed(clary, jobs):
    shown = clary("why", "broken", *jobs).stdout
    assert "while a worker was loading the model" in shown
    assert "ModelDataUrl must name a model.tar.gz" in shown


def test_a_job_that_did_not_fail_says_so(clary, jobs):
    assert "has not failed" in clary("why", "good", *jobs).stdout


def test_a_name_that_nothing_has_is_one_line(clary, jobs):
    for command in ("logs", "why"):
        missing = clary(command, "nobody", *jobs)
        assert missing.returncode == 1
        assert missing.stderr.startswith(
            "clary: no training job, processing job, transform job, tuning job or endpoint is called 'nobody'"
        )


def test_an_unknown_reason_still_says_where_to_look():
    assert causes.fix("AlgorithmError: something new") == causes.ELSE
    script = 'AlgorithmError: ExecuteUserScriptError:\nExitCode 1\nErrorMessage "{}"\nCommand "python train.py", exit code: 1'
    assert "requirements.txt" in causes.fix(script.format("ModuleNotFoundError: No module named 'humanize'"))
    assert "SM_MODEL_DIR" in causes.fix(script.format("FileNotFoundError: No such file or directory: '/opt/ml/model/a'"))
    assert "smaller model" in causes.fix(script.format("").replace("ExitCode 1", "ExitCode 137"))
    assert "Run the command" in causes.fix(
        "ClientError: x needs torch, which is not installed here; install it with: clary env add pytorch"
    )
