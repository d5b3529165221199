"""Tuning jobs as boto3 users meet them: what is refused, what is tried, how they end."""

from __future__ import annotations

import io
import tarfile
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.scripts import SKLEARN, bundle

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.0-5"
ROLE = "arn:aws:iam::000000000000:role/SageMakerRole"
BUCKET = "tuning-job-tests"
PATIENCE = 300
"""Seconds: machines that test are busy."""
RMSE = {"Type": "Minimize", "MetricName": "validation:rmse"}
ROWS = "\n".join(f"{n % 7 + n % 3},{n % 7},{n % 3},{n * 7919 % 11}" for n in range(150)).encode()


@pytest.fixture(scope="module")
def s3(server: Any) -> Any:
    s3 = server.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    for channel in ("train", "validation"):
        s3.put_object(Bucket=BUCKET, Key=f"{channel}/a.csv", Body=ROWS)
    s3.put_object(Bucket=BUCKET, Key="bad/a.csv", Body=b"label,x\n1,2\n0,text\n")
    return s3


@pytest.fixture(scope="module")
def sagemaker(server: Any, s3: Any) -> Any:
    return server.client("sagemaker")


def channel(name: str, prefix: str = "") -> dict[str, Any]:
    source = {
        "S3DataType": "S3Prefix",
        "S3Uri": f"s3://{BUCKET}/{prefix or name}/",
        "S3DataDistributionType": "FullyReplicated",
    }
    return {"ChannelName": name, "ContentType": "text/csv", "DataSource": {"S3DataSource": source}}


def definition(**changes: Any) -> dict[str, Any]:
    return {
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "RoleArn": ROLE,
        "InputDataConfig": [channel("train"), channel("validation")],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
        "HyperParameterTuningResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        "StaticHyperParameters": {"num_round": "3", "nthread": "1"},
    } | changes


ETA = {"ContinuousParameterRanges": [{"Name": "eta", "MinValue": "0.01", "MaxValue": "0.9", "ScalingType": "Logarithmic"}]}


def job(
    name: str, *, trials: int | None = 3, parallel: int = 2, changes: dict[str, Any] | None = None, **config: Any
) -> dict[str, Any]:
    """A complete CreateHyperParameterTuningJob request; `config` goes into HyperParameterTuningJobConfig."""
    limits = {"MaxParallelTrainingJobs": parallel} | ({} if trials is None else {"MaxNumberOfTrainingJobs": trials})
    settings = {
        "Strategy": "Random",
        "HyperParameterTuningJobObjective": RMSE,
        "ResourceLimits": limits,
        "ParameterRanges": ETA,
    }
    request = {"HyperParameterTuningJobName": name, "HyperParameterTuningJobConfig": settings | config}
    return request | {"TrainingJobDefinition": definition()} | (changes or {})


def several(name: str, *definitions: dict[str, Any], trials: int) -> dict[str, Any]:
    request = job(name, trials=trials)
    config = request["HyperParameterTuningJobConfig"]
    del config["HyperParameterTuningJobObjective"], config["ParameterRanges"], request["TrainingJobDefinition"]
    return request | {"TrainingJobDefinitions": list(definitions)}


def describe(sagemaker: Any, name: str) -> dict[str, Any]:
    return sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)


def end(sagemaker: Any, name: str) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE
    while True:
        described = describe(sagemaker, name)
        if described["HyperParameterTuningJobStatus"] in ("Completed", "Failed", "Stopped"):
            return described
        assert time.monotonic() < deadline, described
        time.sleep(0.05)


def run(sagemaker: Any, request: dict[str, Any]) -> dict[str, Any]:
    sagemaker.create_hyper_parameter_tuning_job(**request)
    return end(sagemaker, request["HyperParameterTuningJobName"])


def trials(sagemaker: Any, name: str, **options: Any) -> list[dict[str, Any]]:
    request = {"HyperParameterTuningJobName": name, "MaxResults": 100} | options
    return sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(**request)["TrainingJobSummaries"]


def value(trial: dict[str, Any]) -> float:
    return trial["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]


def refusal(sagemaker: Any, request: dict[str, Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        sagemaker.create_hyper_parameter_tuning_job(**request)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


# --- a job from beginning to end ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def completed(sagemaker: Any) -> dict[str, Any]:
    changes = {"Tags": [{"Key": "team", "Value": "a"}]}
    return run(sagemaker, job("completed", trials=5, changes=changes, RandomSeed=1))


def test_a_completed_job_shows_everything_clients_index(sagemaker: Any, completed: dict[str, Any]) -> None:
    assert completed["HyperParameterTuningJobStatus"] == "Completed", completed.get("FailureReason")
    arn = "arn:aws:sagemaker:us-east-1:000000000000:hyper-parameter-tuning-job/completed"
    assert completed["HyperParameterTuningJobArn"] == arn
    assert completed["TrainingJobStatusCounters"] == {
        "Completed": 5,
        "InProgress": 0,
        "RetryableError": 0,
        "NonRetryableError": 0,
        "Stopped": 0,
    }
    assert completed["ObjectiveStatusCounters"] == {"Succeeded": 5, "Pending": 0, "Failed": 0}
    assert completed["HyperParameterTuningJobConfig"]["RandomSeed"] == 1
    static = {"num_round": "3", "nthread": "1", "_tuning_objective_metric": "validation:rmse"}
    assert completed["TrainingJobDefinition"]["StaticHyperParameters"] == static
    assert completed["CreationTime"] <= completed["HyperParameterTuningEndTime"] <= completed["LastModifiedTime"]
    assert completed["ConsumedResources"]["RuntimeInSeconds"] >= 5
    summaries = trials(sagemaker, "completed")
    best = min(summaries, key=value)
    assert completed["BestTrainingJob"] == best
    after_best = len(summaries) - 1 - summaries.index(best)
    assert completed["TuningJobCompletionDetails"]["NumberOfTrainingJobsObjectiveNotImproving"] == after_best
    assert "OverallBestTrainingJob" not in completed


def test_trials_are_ordinary_training_jobs(sagemaker: Any, s3: Any, completed: dict[str, Any]) -> None:
    names = [trial["TrainingJobName"] for trial in trials(sagemaker, "completed")]
    assert [name.rsplit("-", 1)[0] for name in names] == [f"completed-{number:03d}" for number in range(1, 6)]
    best = completed["BestTrainingJob"]
    described = sagemaker.describe_training_job(TrainingJobName=best["TrainingJobName"])
    assert described["TuningJobArn"] == completed["HyperParameterTuningJobArn"]
    tuned = best["TunedHyperParameters"]
    assert described["HyperParameters"] == {
        "num_round": "3",
        "nthread": "1",
        "_tuning_objective_metric": "validation:rmse",
        **tuned,
    }
    assert 0.01 <= float(tuned["eta"]) <= 0.9
    final = {metric["MetricName"]: metric["Value"] for metric in described["FinalMetricDataList"]}
    assert final["validation:rmse"] == value(best)
    key = described["ModelArtifacts"]["S3ModelArtifacts"].removeprefix(f"s3://{BUCKET}/")
    assert key == f"out/{best['TrainingJobName']}/output/model.tar.gz"
    archive = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(archive)) as model:
        assert model.getnames()
    tags = sagemaker.list_tags(ResourceArn=described["TrainingJobArn"])["Tags"]
    assert tags == [{"Key": "team", "Value": "a"}]


def test_trials_are_listed_by_what_they_reached(sagemaker: Any, completed: dict[str, Any]) -> None:
    values = [value(trial) for trial in trials(sagemaker, "completed", SortBy="FinalObjectiveMetricValue")]
    assert values == sorted(values)
    falling = [
        value(trial) for trial in trials(sagemaker, "completed", SortBy="FinalObjectiveMetricValue", SortOrder="Descending")
    ]
    assert falling == values[::-1]
    pages = sagemaker.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job").paginate(
        HyperParameterTuningJobName="completed", SortBy="FinalObjectiveMetricValue", PaginationConfig={"PageSize": 2}
    )
    assert [value(trial) for page in pages for trial in page["TrainingJobSummaries"]] == values
    assert trials(sagemaker, "completed", StatusEquals="Failed") == []
    with pytest.raises(ClientError, match="Invalid pagination token"):
        trials(sagemaker, "completed", NextToken="nowhere")


def test_tuning_jobs_are_listed(sagemaker: Any, completed: dict[str, Any]) -> None:
    (summary,) = sagemaker.list_hyper_parameter_tuning_jobs(NameContains="completed")["HyperParameterTuningJobSummaries"]
    assert summary["Strategy"] == "Random"
    assert summary["ResourceLimits"] == {"MaxNumberOfTrainingJobs": 5, "MaxParallelTrainingJobs": 2}
    assert summary["TrainingJobStatusCounters"]["Completed"] == 5
    assert summary["HyperParameterTuningJobStatus"] == "Completed"


def test_the_same_seed_tries_the_same(sagemaker: Any, completed: dict[str, Any]) -> None:
    again = run(sagemaker, job("completed-again", trials=5, RandomSeed=1))
    assert again["HyperParameterTuningJobStatus"] == "Completed"
    tried = [[trial["TunedHyperParameters"] for trial in trials(sagemaker, name)] for name in ("completed", "completed-again")]
    assert tried[0] == tried[1]


# --- strategies and ends --------------------------------------------------------------------------------------------


def test_bayesian_search_learns(sagemaker: Any) -> None:
    ended = run(sagemaker, job("bayesian", trials=6, parallel=1, Strategy="Bayesian", RandomSeed=3))
    assert ended["HyperParameterTuningJobStatus"] == "Completed", ended.get("FailureReason")
    assert ended["TrainingJobStatusCounters"]["Completed"] == 6


def test_a_grid_is_tried_once_each(sagemaker: Any) -> None:
    ranges = {
        "CategoricalParameterRanges": [
            {"Name": "max_depth", "Values": ["1", "2"]},
            {"Name": "eta", "Values": ["0.1", "0.3", "0.9"]},
        ]
    }
    ended = run(sagemaker, job("grid", trials=None, Strategy="Grid", ParameterRanges=ranges))
    assert ended["HyperParameterTuningJobStatus"] == "Completed", ended.get("FailureReason")
    tried = {tuple(sorted(trial["TunedHyperParameters"].items())) for trial in trials(sagemaker, "grid")}
    assert len(tried) == ended["TrainingJobStatusCounters"]["Completed"] == 6


def test_several_definitions_take_turns(sagemaker: Any) -> None:
    trees = definition(DefinitionName="trees", TuningObjective=RMSE, HyperParameterRanges=ETA)
    lines = definition(
        DefinitionName="lines",
        TuningObjective=RMSE,
        HyperParameterRanges=ETA,
        StaticHyperParameters={"num_round": "3", "booster": "gblinear"},
    )
    ended = run(sagemaker, several("several", trees, lines, trials=4))
    assert ended["HyperParameterTuningJobStatus"] == "Completed", ended.get("FailureReason")
    assert [one["DefinitionName"] for one in ended["TrainingJobDefinitions"]] == ["trees", "lines"]
    assert [trial["TrainingJobDefinitionName"] for trial in trials(sagemaker, "several")] == ["trees", "lines"] * 2
    assert ended["BestTrainingJob"]["TrainingJobDefinitionName"] in ("trees", "lines")


def test_a_reached_target_ends_the_job(sagemaker: Any) -> None:
    criteria = {"TargetObjectiveMetricValue": 1000.0}
    ended = run(sagemaker, job("target", trials=50, parallel=1, TuningJobCompletionCriteria=criteria))
    assert ended["HyperParameterTuningJobStatus"] == "Completed"
    assert ended["TrainingJobStatusCounters"]["Completed"] == 1


def slow_grid(name: str, etas: list[str], **config: Any) -> dict[str, Any]:
    """Trials one at a time, of which those that learn slowly take long enough to be stopped."""
    ranges = {"CategoricalParameterRanges": [{"Name": "eta", "Values": etas}]}
    static = {"num_round": "100000", "nthread": "1", "early_stopping_rounds": "200"}
    changes = {"TrainingJobDefinition": definition(StaticHyperParameters=static)}
    return job(name, trials=None, parallel=1, changes=changes, Strategy="Grid", ParameterRanges=ranges, **config)


def test_a_hopeless_trial_is_stopped_early_and_keeps_its_model(sagemaker: Any) -> None:
    """The good ones end by themselves soon; one learns next to nothing, for a long time if nobody stopped it. With this seed
    it comes last."""
    etas = ["0.9", "0.8", "0.7", "0.6", "0.5", "0.00001"]
    ended = run(sagemaker, slow_grid("early", etas, TrainingJobEarlyStoppingType="Auto", RandomSeed=8))
    assert trials(sagemaker, "early")[-1]["TunedHyperParameters"]["eta"] == "0.00001"
    assert ended["HyperParameterTuningJobStatus"] == "Completed", ended.get("FailureReason")
    hopeless = next(trial for trial in trials(sagemaker, "early") if trial["TunedHyperParameters"]["eta"] == "0.00001")
    assert hopeless["TrainingJobStatus"] == "Stopped"
    assert hopeless["ObjectiveStatus"] == "Succeeded"
    assert ended["TrainingJobStatusCounters"]["Stopped"] >= 1
    assert value(ended["BestTrainingJob"]) < value(hopeless)
    described = sagemaker.describe_training_job(TrainingJobName=hopeless["TrainingJobName"])
    assert described["ModelArtifacts"]["S3ModelArtifacts"].endswith("/model.tar.gz")


def test_hyperband_gives_the_most_to_a_few(sagemaker: Any) -> None:
    static = {"num_round": "100000", "nthread": "1"}
    config = {"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 27}}
    request = job("hyperband", trials=4, parallel=1, Strategy="Hyperband", StrategyConfig=config, RandomSeed=5)
    ended = run(sagemaker, request | {"TrainingJobDefinition": definition(StaticHyperParameters=static)})
    assert ended["HyperParameterTuningJobStatus"] == "Completed", ended.get("FailureReason")
    assert ended["TrainingJobStatusCounters"]["Stopped"] == 4, "none runs for 100,000 rounds"
    assert ended["ObjectiveStatusCounters"]["Succeeded"] == 4


def test_a_stopped_job_stops_its_trials(sagemaker: Any) -> None:
    sagemaker.create_hyper_parameter_tuning_job(**slow_grid("stopped", ["0.00001", "0.00002"]))
    deadline = time.monotonic() + PATIENCE
    while not describe(sagemaker, "stopped")["TrainingJobStatusCounters"]["InProgress"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    with pytest.raises(ClientError, match=r"in status InProgress"):
        sagemaker.delete_training_job(TrainingJobName=trials(sagemaker, "stopped")[0]["TrainingJobName"])
    with pytest.raises(ClientError, match="stop it and wait before deleting it"):
        sagemaker.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName="stopped")
    sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="stopped")
    ended = end(sagemaker, "stopped")
    assert ended["HyperParameterTuningJobStatus"] == "Stopped"
    assert [trial["TrainingJobStatus"] for trial in trials(sagemaker, "stopped")] == ["Stopped"]
    with pytest.raises(ClientError, match="because the hyperparameter tuning job is in status Stopped"):
        sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="stopped")


def test_a_deleted_job_leaves_its_trials_and_frees_its_name(sagemaker: Any) -> None:
    run(sagemaker, job("deleted", trials=1, parallel=1))
    (first,) = trials(sagemaker, "deleted")
    with pytest.raises(ClientError, match=r"ResourceInUse.*already exists \(arn:aws:sagemaker:.*/deleted\)"):
        sagemaker.create_hyper_parameter_tuning_job(**job("deleted"))
    sagemaker.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName="deleted")
    with pytest.raises(ClientError, match="ResourceNotFound"):
        describe(sagemaker, "deleted")
    assert sagemaker.describe_training_job(TrainingJobName=first["TrainingJobName"])["TrainingJobStatus"] == "Completed"
    run(sagemaker, job("deleted", trials=1, parallel=1))
    (second,) = trials(sagemaker, "deleted")
    assert second["TrainingJobName"] != first["TrainingJobName"]


SCRIPT = """
    import argparse
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float)
    parser.add_argument("--kind", type=str)
    given = parser.parse_args()
    for step in range(3):
        print(f"score={given.rate + len(given.kind) + step / 100:.3f};", flush=True)
"""


def test_a_script_is_tuned_by_the_metric_that_it_prints(sagemaker: Any, s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="sourcedir.tar.gz", Body=bundle({"train.py": SCRIPT}))
    static = {"sagemaker_program": '"train.py"', "sagemaker_submit_directory": f'"s3://{BUCKET}/sourcedir.tar.gz"'}
    metrics = [{"Name": "score", "Regex": "score=(.*?);"}]
    script = definition(
        AlgorithmSpecification={"TrainingImage": SKLEARN, "TrainingInputMode": "File", "MetricDefinitions": metrics},
        StaticHyperParameters=static,
        InputDataConfig=[channel("train")],
    )
    ranges = {
        "ContinuousParameterRanges": [{"Name": "rate", "MinValue": "0", "MaxValue": "1"}],
        "CategoricalParameterRanges": [{"Name": "kind", "Values": ['"long"', '"longer"']}],
    }
    objective = {"Type": "Maximize", "MetricName": "score"}
    changes = {"TrainingJobDefinition": script}
    request = job("script", trials=4, changes=changes, ParameterRanges=ranges, HyperParameterTuningJobObjective=objective)
    ended = run(sagemaker, request)
    assert ended["HyperParameterTuningJobStatus"] == "Completed", (ended.get("FailureReason"), trials(sagemaker, "script"))
    for trial in trials(sagemaker, "script"):
        tuned = trial["TunedHyperParameters"]
        assert value(trial) == pytest.approx(float(tuned["rate"]) + len(tuned["kind"]) - 2 + 0.02, abs=1e-3)
    assert value(ended["BestTrainingJob"]) == max(value(trial) for trial in trials(sagemaker, "script"))


# --- failures -------------------------------------------------------------------------------------------------------


def test_when_nothing_succeeds_the_job_fails(sagemaker: Any) -> None:
    changes = {"TrainingJobDefinition": definition(InputDataConfig=[channel("train", "bad"), channel("validation")])}
    ended = run(sagemaker, job("failing", trials=20, parallel=1, changes=changes))
    assert ended["HyperParameterTuningJobStatus"] == "Failed"
    assert ended["FailureReason"].startswith("No training job succeeded after 5 attempts.")
    assert ended["TrainingJobStatusCounters"]["NonRetryableError"] == 5
    assert ended["ObjectiveStatusCounters"] == {"Succeeded": 0, "Pending": 0, "Failed": 5}
    assert "BestTrainingJob" not in ended
    assert all(trial["FailureReason"].startswith("ClientError:") for trial in trials(sagemaker, "failing"))


@pytest.mark.parametrize("regex", ["never printed: (.*)", r"\[\d+\]\t(train)-rmse"], ids=["never", "no-number"])
def test_a_metric_that_never_appears_fails_the_job(sagemaker: Any, regex: str) -> None:
    specification = definition()["AlgorithmSpecification"] | {"MetricDefinitions": [{"Name": "validation:mae", "Regex": regex}]}
    changes = {"TrainingJobDefinition": definition(AlgorithmSpecification=specification)}
    objective = {"Type": "Maximize", "MetricName": "validation:mae"}
    name = f"silent-{len(regex)}"
    ended = run(sagemaker, job(name, trials=20, parallel=1, changes=changes, HyperParameterTuningJobObjective=objective))
    assert ended["HyperParameterTuningJobStatus"] == "Failed"
    assert ended["FailureReason"].startswith("ClientError: No objective metrics found after running 5 training jobs.")
    assert ended["TrainingJobStatusCounters"]["Completed"] == 5
    assert ended["ObjectiveStatusCounters"]["Failed"] == 5


# --- warm start -----------------------------------------------------------------------------------------------------


def warm(kind: str, *parents: str) -> dict[str, Any]:
    named = [{"HyperParameterTuningJobName": parent} for parent in parents]
    return {"WarmStartConfig": {"WarmStartType": kind, "ParentHyperParameterTuningJobs": named}}


def test_a_warm_start_on_identical_data_knows_the_overall_best(sagemaker: Any, completed: dict[str, Any]) -> None:
    changes = warm("IdenticalDataAndAlgorithm", "completed")
    ended = run(sagemaker, job("warm", trials=2, parallel=1, changes=changes, Strategy="Bayesian"))
    assert ended["HyperParameterTuningJobStatus"] == "Completed", ended.get("FailureReason")
    assert ended["WarmStartConfig"] == changes["WarmStartConfig"]
    both = [completed["BestTrainingJob"], ended["BestTrainingJob"]]
    overall = ended["OverallBestTrainingJob"]
    assert overall["TrainingJobName"] == min(both, key=value)["TrainingJobName"]
    if overall["TrainingJobName"].startswith("completed"):
        assert overall["TuningJobName"] == "completed"


def test_a_transfer_takes_parents_with_other_data(sagemaker: Any, completed: dict[str, Any]) -> None:
    changes = warm("TransferLearning", "completed") | {
        "TrainingJobDefinition": definition(InputDataConfig=[channel("train"), channel("validation", "train")])
    }
    ended = run(sagemaker, job("transfer", trials=2, parallel=1, changes=changes, Strategy="Bayesian"))
    assert ended["HyperParameterTuningJobStatus"] == "Completed", ended.get("FailureReason")
    assert "OverallBestTrainingJob" not in ended
    identical = changes | warm("IdenticalDataAndAlgorithm", "completed")
    code, message = refusal(sagemaker, job("transfer-2", changes=identical))
    assert code == "ValidationException"
    assert "IdenticalDataAndAlgorithm needs the InputDataConfig of the parent completed" in message


# --- refusals -------------------------------------------------------------------------------------------------------

INTEGERS = {"IntegerParameterRanges": [{"Name": "max_depth", "MinValue": "1", "MaxValue": "2"}]}
UPSIDE_DOWN = {"ContinuousParameterRanges": [{"Name": "eta", "MinValue": "0.9", "MaxValue": "0.1"}]}
HYPERBAND = {"Strategy": "Hyperband", "StrategyConfig": {"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 9}}}
REFUSED = [
    (job("r", ParameterRanges=UPSIDE_DOWN), "ValidationException", "range of eta is upside down"),
    (job("r", HyperParameterTuningJobObjective=RMSE | {"MetricName": "no"}), "ValidationException", "A metric is required"),
    (job("r", Strategy="Grid", ParameterRanges=INTEGERS), "ValidationException", "Grid takes CategoricalParameterRanges only"),
    (job("r", **HYPERBAND, TrainingJobEarlyStoppingType="Auto"), "ValidationException", "must be Off with Strategy Hyperband"),
    (job("r", StrategyConfig=HYPERBAND["StrategyConfig"]), "ValidationException", "goes with Strategy Hyperband"),
    (job("r", trials=None), "ValidationException", "MaxNumberOfTrainingJobs is required"),
    (job("r", trials=2, parallel=3), "ValidationException", "must be at most MaxNumberOfTrainingJobs, 2; got 3"),
    (job("r", trials=751, Strategy="Bayesian"), "ResourceLimitExceeded", "is 750, with a request of 751"),
    (job("r", trials=200, parallel=101), "ResourceLimitExceeded", "is 100, with a request of 101"),
    (job("r", changes=warm("TransferLearning", "nobody")), "ResourceNotFound", "could not find a tuning job with"),
    (
        job("r", changes={"TrainingJobDefinition": definition(EnableManagedSpotTraining=True)}),
        "ValidationException",
        "EnableManagedSpotTraining",
    ),
    (
        job("r", changes={"TrainingJobDefinition": definition(InputDataConfig=[channel("train", "nothing")])}),
        "ValidationException",
        "nothing",
    ),
    (
        job("r", changes={"TrainingJobDefinition": definition(HyperParameterTuningResourceConfig={})}),
        "ValidationException",
        "resourceConfig",
    ),
]


@pytest.mark.parametrize(("request_", "code", "words"), REFUSED, ids=[words for _, _, words in REFUSED])
def test_refusals(sagemaker: Any, request_: dict[str, Any], code: str, words: str) -> None:
    found = refusal(sagemaker, request_)
    assert found[0] == code
    assert words in found[1]
    with pytest.raises(ClientError, match="ResourceNotFound"):
        describe(sagemaker, "r")
