"""`clary tuning`, and `clary logs` and `clary why` of tuning jobs that really ran."""

from __future__ import annotations

import dataclasses
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import pytest

from clary.cli.tuning.study import latest_values, read

ACCOUNT = "555566667788"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/training"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.0-5"
PATIENCE = 300


def channel(name, prefix):
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://cli-tuning/{prefix}/"}
    return {"ChannelName": name, "ContentType": "text/csv", "DataSource": {"S3DataSource": source}}


def tuning_job(name, prefix="good", channels=("train", "validation"), static=None, **values):
    """A grid over the categorical `values`: one trial at a time, so that the order is that of the grid."""
    ranges = [{"Name": one, "Values": texts} for one, texts in values.items()]
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Grid",
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "validation:rmse"},
            "ResourceLimits": {"MaxParallelTrainingJobs": 1},
            "ParameterRanges": {"CategoricalParameterRanges": ranges},
        },
        "TrainingJobDefinition": {
            "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            "RoleArn": ROLE,
            "InputDataConfig": [channel(one, prefix) for one in channels],
            "OutputDataConfig": {"S3OutputPath": "s3://cli-tuning/out"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
            "StaticHyperParameters": {"num_round": "1", "eval_metric": "rmse", "nthread": "1"} | (static or {}),
        },
    }


@pytest.fixture(scope="module")
def sagemaker(server):
    s3 = server.client("s3", account=ACCOUNT)
    s3.create_bucket(Bucket="cli-tuning")
    s3.put_object(Bucket="cli-tuning", Key="good/rows.csv", Body="\n".join(f"{row % 5},{row}" for row in range(60)))
    return server.client("sagemaker", account=ACCOUNT)


@pytest.fixture(scope="module")
def jobs(server, sagemaker):
    """`mixed`: of four trials two fail, because their labels are no probabilities. `hopeless`: its only trial fails. `silent`:
    its only trial has no validation channel, so never reports the objective."""
    sagemaker.create_hyper_parameter_tuning_job(
        **tuning_job("mixed", objective=["reg:squarederror", "binary:logistic"], max_depth=["2", "3"])
    )
    sagemaker.create_hyper_parameter_tuning_job(**tuning_job("hopeless", objective=["binary:logistic"]))
    sagemaker.create_hyper_parameter_tuning_job(**tuning_job("silent", channels=("train",), max_depth=["2"]))
    for name in ("mixed", "hopeless", "silent"):
        wait_for_end(sagemaker, name)
    return ["--data", str(server.data), "--account", ACCOUNT]


def status(sagemaker, name):
    return sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)["HyperParameterTuningJobStatus"]


def wait_for_end(sagemaker, name):
    deadline = time.monotonic() + PATIENCE
    while status(sagemaker, name) not in ("Completed", "Failed", "Stopped"):
        assert time.monotonic() < deadline, name
        time.sleep(0.1)


def test_the_list_has_the_newest_first(clary, jobs):
    lines = clary("tuning", "list", *jobs).stdout.splitlines()
    assert [line.split()[0] for line in lines if line.split()[0] != "endless"] == ["silent", "hopeless", "mixed"]
    assert re.match(r"mixed +Completed +4 of 4 trials +Grid +\d{4}-\d\d-\d\d", lines[-1])


def test_the_leaderboard_is_printed_once_where_there_is_no_terminal(clary, jobs, sagemaker):
    shown = clary("tuning", "show", "mixed", *jobs)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("mixed  Completed  Grid, minimize validation:rmse\n")
    assert "4 of 4 trials, 2 failed" in shown.stdout
    best = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="mixed")["BestTrainingJob"]
    value = best["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
    assert f"best  {value:.6g}  {best['TrainingJobName']}  objective=reg:squarederror" in shown.stdout
    ranking = shown.stdout.partition("ranking, 2 of 2")[2].partition("why trials failed")[0].splitlines()
    assert [line.split()[0] for line in ranking if line.strip()] == ["rank", "1", "2"]
    assert "label must be in [0,1]" in shown.stdout.partition("why trials failed")[2]


def test_the_ranking_is_as_long_as_asked_for(clary, jobs):
    assert "ranking, 1 of 2" in clary("tuning", "show", "mixed", "--top", "1", *jobs).stdout


def test_the_latest_report_of_a_running_trial(server, sagemaker, jobs):
    """Of a trial that has ended and is taken for one that runs, so that its last report is known."""
    ended = read(sagemaker, "mixed")
    trial = ended.ranked[0]
    study = dataclasses.replace(ended, trials=(dataclasses.replace(trial, status="InProgress", value=None, ended=None),))
    latest = latest_values(server.client("cloudwatch", account=ACCOUNT), study)
    assert latest == {trial.name: pytest.approx(trial.value)}


def test_a_job_that_does_not_exist_is_one_line(clary, jobs):
    for command in ("show", "report"):
        missing = clary("tuning", command, "nobody", *jobs)
        assert missing.returncode == 1
        assert missing.stderr == "clary: no tuning job is called 'nobody' in this region and account\n"


def test_the_log_of_a_tuning_job_names_its_training_jobs(clary, jobs, sagemaker):
    lines = clary("logs", "--follow", "mixed", *jobs).stdout.splitlines()
    assert len(lines) == 4
    for number, line in enumerate(lines, 1):
        assert re.match(rf"\d\d:\d\d:\d\d  training job mixed-00{number}-[0-9a-f]{{8}} tries ", line), line


def test_why_a_tuning_job_failed(clary, jobs):
    shown = clary("why", "hopeless", *jobs).stdout
    assert shown.startswith("tuning job hopeless: Failed\n\ncause  No training job succeeded after 1 attempts")
    assert "1 training job failed, the first hopeless-001-" in shown
    assert "while Training" in shown.partition("place")[2]
    assert "labels fit each other" in shown.partition("fix")[2]


def test_why_some_training_jobs_of_a_tuning_job_failed(clary, jobs):
    shown = clary("why", "mixed", *jobs).stdout
    assert shown.startswith("tuning job mixed: Completed\nIt has not failed.\n\n2 training jobs failed, the first mixed-00")


def test_why_an_objective_is_missing(clary, jobs):
    shown = clary("why", "silent", *jobs).stdout
    assert "No objective metrics found" in shown.partition("cause")[2]
    assert "It ended without having reported the objective metric." in shown
    assert "needs a validation channel" in shown.partition("fix")[2]


def test_the_report_is_written(clary, jobs, tmp_path):
    written = clary("tuning", "report", "mixed", *jobs)
    assert written.returncode == 0, written.stderr
    assert written.stdout.startswith("mixed.html: 4 trials, ")
    assert "label must be in [0,1]" in (tmp_path / "mixed.html").read_text()
    refused = clary("tuning", "report", "mixed", "-o", "nowhere/report.html", *jobs)
    assert (refused.returncode, refused.stderr) == (
        1,
        "clary: nowhere/report.html cannot be written: No such file or directory\n",
    )


class Terminal:
    """The command line in a terminal of its own."""

    def __init__(self, *arguments):
        self._master, terminal = pty.openpty()
        environ = os.environ | {"TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
        command = [sys.executable, "-m", "clary.cli", *arguments]
        self.process = subprocess.Popen(
            command, stdin=terminal, stdout=terminal, stderr=terminal, env=environ, start_new_session=True
        )
        os.close(terminal)
        self.shown = ""

    def wait_for(self, text):
        deadline = time.monotonic() + PATIENCE
        while text not in self.shown:
            assert time.monotonic() < deadline, self.shown
            ready, _, _ = select.select([self._master], [], [], 1)
            if ready:
                self.shown += os.read(self._master, 65536).decode(errors="replace")

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self._master)


@pytest.fixture
def terminal():
    opened = []

    def start(*arguments):
        opened.append(Terminal(*arguments))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def test_in_a_terminal_the_leaderboard_ends_with_the_job(terminal, jobs):
    shown = terminal("tuning", "show", "mixed", *jobs)
    shown.wait_for("why trials failed")
    assert shown.process.wait(PATIENCE) == 0


def test_leaving_the_leaderboard_leaves_the_job_alone(terminal, jobs, sagemaker):
    sagemaker.create_hyper_parameter_tuning_job(**tuning_job("endless", static={"num_round": "1000000"}, max_depth=["2"]))
    try:
        shown = terminal("tuning", "show", "endless", *jobs)
        shown.wait_for("1 running")
        shown.process.send_signal(signal.SIGINT)
        assert shown.process.wait(PATIENCE) == 0
        assert status(sagemaker, "endless") == "InProgress"
    finally:
        sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="endless")
        wait_for_end(sagemaker, "endless")
