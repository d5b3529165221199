"""Processing jobs: what a script finds, what becomes of what it leaves, and how each end is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.hosting import wait_for
from tests.processing import CODE, GROUP, OUTPUT, Analyst, has_own_opt_ml
from tests.scripts import PATIENCE, ROLE, SKLEARN

pytestmark = pytest.mark.skipif(not has_own_opt_ml(), reason="scripts cannot have an /opt/ml of their own here")

COUNTS = """
import argparse, json, pathlib, sys

parser = argparse.ArgumentParser()
parser.add_argument("--factor", type=int)
factor = parser.parse_args().factor
rows = pathlib.Path("/opt/ml/processing/input/data/rows.csv").read_text().split()
pathlib.Path("/opt/ml/processing/output/deep").mkdir()
pathlib.Path("/opt/ml/processing/output/deep/sum.json").write_text(json.dumps(factor * sum(map(int, rows))))
print("counted", len(rows), "rows")
"""
LOOKS = """
import json, os, pathlib, sys

def tree(path):
    return sorted(str(file.relative_to(path)) for file in pathlib.Path(path).rglob("*") if file.is_file())

config = pathlib.Path("/opt/ml/config")
seen = {
    "argv": sys.argv, "environ": dict(os.environ), "name": __name__, "data": tree("/opt/ml/processing/input/data"),
    "job": json.loads((config / "processingjobconfig.json").read_text()),
    "resources": json.loads((config / "resourceconfig.json").read_text()),
    "modules": sorted({"sklearn", "pandas"} & sys.modules.keys()),
}
host = seen["resources"]["current_host"]
pathlib.Path("/opt/ml/processing/output", f"{host}.json").write_text(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def analyst(server: Any) -> Analyst:
    one = Analyst(server, "717171717171")
    one.upload("data/rows.csv", b"1\n2\n3\n")
    for name in ("a", "b", "c", "deep/d"):
        one.upload(f"many/{name}.csv", name.encode())
    one.upload("manifest.json", json.dumps([{"prefix": f"s3://{one.bucket}/many/"}, "a.csv", "deep/d.csv"]).encode())
    return one


# --- a job that goes well -------------------------------------------------------------------------------------------


def test_a_script_reads_its_inputs_and_leaves_outputs(analyst: Analyst) -> None:
    found = analyst.process("counts", COUNTS, "--factor", "10", inputs=(analyst.input("data", "data/"),))
    assert found == {"deep/sum.json": b"60"}
    assert "counted 3 rows" in analyst.log("counts")
    job = analyst.over("counts")
    assert job["CreationTime"] <= job["ProcessingStartTime"] <= job["ProcessingEndTime"]
    assert job["AppSpecification"]["ContainerArguments"] == ["--factor", "10"]
    assert "FailureReason" not in job
    assert "ExitMessage" not in job


@pytest.fixture(scope="module")
def seen(analyst: Analyst) -> dict[str, Any]:
    inputs = (analyst.input("data", "many/"),)
    found = analyst.process("looks", LOOKS, "--x", "a b", inputs=inputs, Environment={"GREETING": "hello"})
    return json.loads(found["algo-1.json"])


def test_what_a_script_is_told(seen: dict[str, Any]) -> None:
    assert seen["argv"] == [f"{CODE}/script.py", "--x", "a b"]
    assert seen["name"] == "__main__"
    assert seen["environ"]["GREETING"] == "hello"
    assert seen["environ"]["AWS_REGION"] == "us-east-1"
    assert seen["environ"]["PROCESSING_JOB_ARN"] == "arn:aws:sagemaker:us-east-1:717171717171:processing-job/looks"
    assert not [name for name in seen["environ"] if name.startswith("CLARY_")]


def test_the_config_files_of_a_job(seen: dict[str, Any]) -> None:
    job, resources = seen["job"], seen["resources"]
    assert job["ProcessingJobName"] == "looks"
    assert job["AppSpecification"]["ContainerEntrypoint"] == ["python3", f"{CODE}/script.py"]
    assert [one["InputName"] for one in job["ProcessingInputs"]] == ["data", "code"]
    assert job["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["LocalPath"] == OUTPUT
    assert job["ProcessingResources"]["ClusterConfig"]["InstanceCount"] == 1
    assert (resources["current_host"], resources["hosts"]) == ("algo-1", ["algo-1"])
    assert resources["current_instance_type"] == "ml.m5.large"


def test_inputs_keep_their_relative_paths(seen: dict[str, Any]) -> None:
    assert seen["data"] == ["a.csv", "b.csv", "c.csv", "deep/d.csv"]


def test_a_manifest_names_the_objects(analyst: Analyst) -> None:
    inputs = (analyst.input("data", "manifest.json", S3DataType="ManifestFile"),)
    found = analyst.process("manifest", LOOKS, inputs=inputs)
    assert json.loads(found["algo-1.json"])["data"] == ["a.csv", "deep/d.csv"]


def test_hosts_share_objects_and_each_stores_its_own(analyst: Analyst) -> None:
    inputs = (analyst.input("data", "many/", S3DataDistributionType="ShardedByS3Key"),)
    found = analyst.process("hosts", LOOKS, inputs=inputs, hosts=2)
    hosts = [json.loads(found[f"algo-{number}.json"]) for number in (1, 2)]
    assert [host["resources"]["current_host"] for host in hosts] == ["algo-1", "algo-2"]
    assert [host["data"] for host in hosts] == [["a.csv", "c.csv"], ["b.csv", "deep/d.csv"]]


def test_a_shell_command_finds_the_same_places(analyst: Analyst) -> None:
    command = ("/bin/bash", "-c", f"python3 {CODE}/script.py && pwd > {OUTPUT}/where && cat {CODE}/*.py | wc -l")
    found = analyst.process("shell", "import sklearn; print(sklearn.__version__)", entrypoint=command)
    assert set(found) == {"where"}


def test_the_job_says_something(analyst: Analyst) -> None:
    analyst.process("says", "open('/opt/ml/output/message', 'w').write('7 rows dropped')")
    assert analyst.over("says")["ExitMessage"] == "7 rows dropped"


def test_an_output_without_files_is_no_failure(analyst: Analyst) -> None:
    assert analyst.process("empty", "print('nothing')") == {}
    assert analyst.process("removed", f"import shutil; shutil.rmtree({OUTPUT!r})") == {}


def test_continuous_outputs_are_there_while_the_script_runs(analyst: Analyst) -> None:
    waits = f"""
        import pathlib, time
        pathlib.Path("{OUTPUT}/first").write_text("1")
        while True:
            time.sleep(0.1)
    """
    outputs = (analyst.output("continuous/output", mode="Continuous"),)
    analyst.begin("continuous", waits, outputs=outputs)
    wait_for(lambda: analyst.stored("continuous/output/").get("first") == b"1", PATIENCE)
    analyst.sagemaker.stop_processing_job(ProcessingJobName="continuous")
    assert analyst.over("continuous")["ProcessingJobStatus"] == "Stopped"


def test_a_pipe_is_read_from_a_fifo(analyst: Analyst) -> None:
    reads = f"open('{OUTPUT}/read', 'w').write(open('/opt/ml/processing/input/data_0').read())"
    inputs = (analyst.input("data", "data/", S3InputMode="Pipe"),)
    assert analyst.process("pipe", reads, inputs=inputs) == {"read": b"1\n2\n3\n"}


def test_the_script_has_the_rights_of_the_job(analyst: Analyst) -> None:
    uses = f"""
        import boto3, pathlib
        body = boto3.client("s3").get_object(Bucket="{analyst.bucket}", Key="data/rows.csv")["Body"].read()
        pathlib.Path("{OUTPUT}/copy").write_bytes(body)
    """
    assert analyst.process("rights", uses) == {"copy": b"1\n2\n3\n"}


def test_the_base_image_has_python_and_pip_and_nothing_else(analyst: Analyst) -> None:
    looks = f"""
        import importlib.util, json
        found = [name for name in ("pip", "sklearn", "clary") if importlib.util.find_spec(name)]
        json.dump(found, open("{OUTPUT}/found.json", "w"))
    """
    image = "081325390199.dkr.ecr.us-east-1.amazonaws.com/sagemaker-base-python-310:1.0"
    assert analyst.process("base", looks, image=image) == {"found.json": b'["pip"]'}


def test_an_isolated_job_has_no_network_but_its_data(analyst: Analyst) -> None:
    tries = f"""
        import os, socket, urllib.parse
        shown = open("/opt/ml/processing/input/data/rows.csv").read().split()
        server = urllib.parse.urlparse(os.environ["AWS_ENDPOINT_URL"])
        try:
            socket.create_connection((server.hostname, server.port), 5)
        except OSError:
            shown.append("no network")
        open("{OUTPUT}/shown", "w").write(" ".join(shown))
    """
    inputs = (analyst.input("data", "data/"),)
    found = analyst.process("isolated", tries, inputs=inputs, NetworkConfig={"EnableNetworkIsolation": True})
    assert found == {"shown": b"1 2 3 no network"}


# --- jobs that end otherwise ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "script", "told"),
    [
        ("raises", "raise ValueError('no such column')", ["AlgorithmError: ValueError: no such column, exit code: 1"]),
        ("exits", "import sys; print('giving up', file=sys.stderr); sys.exit(3)", ["giving up", "exit code: 3"]),
        ("killed", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)", ["SIGKILL", "exit code: 137"]),
        ("exits-137", "import sys; print('bye'); sys.exit(137)", ["bye", "memory", "exit code: 137"]),
        ("syntax", "x = = 1", ["SyntaxError", "exit code: 1"]),
    ],
)
def test_a_failure_quotes_the_end_of_the_log(analyst: Analyst, name: str, script: str, told: list[str]) -> None:
    reason = analyst.reason(name, script)
    assert reason.startswith("AlgorithmError: ")
    assert [part for part in told if part not in reason] == [], reason


def test_a_failed_job_stores_no_output_of_its_end(analyst: Analyst) -> None:
    analyst.reason("fails-late", f"open('{OUTPUT}/half', 'w').write('x'); raise SystemExit(1)")
    assert analyst.stored("fails-late/output/") == {}


def test_a_missing_input_fails_the_job(analyst: Analyst) -> None:
    reason = analyst.reason("missing", "", inputs=(analyst.input("data", "nowhere/"),))
    assert reason.startswith("ClientError: Data download failed: input 'data': no objects found under s3://")


def test_a_missing_bucket_of_an_output_fails_the_job_before_it_runs(analyst: Analyst) -> None:
    nowhere = {
        "OutputName": "o",
        "S3Output": {"S3Uri": "s3://no-such-bucket-7/x", "LocalPath": OUTPUT, "S3UploadMode": "EndOfJob"},
    }
    reason = analyst.reason("no-bucket", "print('ran')", outputs=(nowhere,))
    assert "NoSuchBucket" in reason
    assert "ran" not in analyst.log("no-bucket")


def test_a_program_that_is_not_there(analyst: Analyst) -> None:
    reason = analyst.reason("absent", "", entrypoint=("/usr/local/bin/no-such-program",))
    assert "no-such-program" in reason


def test_a_job_may_not_take_longer(analyst: Analyst) -> None:
    analyst.begin("slow", "import time; time.sleep(600)", seconds=1)
    assert analyst.over("slow")["ProcessingJobStatus"] == "Stopped"


def test_one_failed_host_fails_the_job(analyst: Analyst) -> None:
    one_fails = """
        import json, time
        if json.load(open("/opt/ml/config/resourceconfig.json"))["current_host"] == "algo-2":
            raise RuntimeError("algo-2 is tired")
        time.sleep(600)
    """
    reason = analyst.reason("one-fails", one_fails, hosts=2)
    assert "algo-2 is tired" in reason
    assert "host: algo-2" in reason


def test_a_stopped_job_is_stopped_and_may_be_deleted(analyst: Analyst) -> None:
    analyst.begin("stops", "import time; print('here', flush=True); time.sleep(600)")
    analyst.until_logged("stops", "here")
    with pytest.raises(ClientError, match="is in status InProgress") as refused:
        analyst.sagemaker.delete_processing_job(ProcessingJobName="stops")
    assert refused.value.response["Error"]["Code"] == "ResourceInUse"
    analyst.sagemaker.stop_processing_job(ProcessingJobName="stops")
    assert analyst.over("stops")["ProcessingJobStatus"] == "Stopped"
    with pytest.raises(ClientError, match="rejected because the processing job is in status Stopped"):
        analyst.sagemaker.stop_processing_job(ProcessingJobName="stops")
    analyst.sagemaker.delete_processing_job(ProcessingJobName="stops")
    with pytest.raises(ClientError, match="Could not find requested job with name: stops"):
        analyst.sagemaker.describe_processing_job(ProcessingJobName="stops")


# --- what is refused, and lists -------------------------------------------------------------------------------------


def refusal(analyst: Analyst, **change: Any) -> str:
    request = {
        "ProcessingJobName": "refused",
        "AppSpecification": {"ImageUri": SKLEARN, "ContainerEntrypoint": ["python3", "x.py"]},
        "ProcessingResources": {"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}},
        "RoleArn": ROLE.format(analyst.account),
    }
    with pytest.raises(ClientError) as refused:
        analyst.sagemaker.create_processing_job(**request | change)
    return refused.value.response["Error"]["Message"]


def test_inputs_that_clary_does_not_have_are_refused_by_name(analyst: Analyst) -> None:
    athena = {"Catalog": "c", "Database": "d", "QueryString": "q", "OutputS3Uri": "s3://b/o", "OutputFormat": "PARQUET"}
    dataset = {"AthenaDatasetDefinition": athena, "LocalPath": "/opt/ml/processing/x"}
    assert "AthenaDatasetDefinition" in refusal(analyst, ProcessingInputs=[{"InputName": "i", "DatasetDefinition": dataset}])
    redshift = {key: athena[key] for key in ("Database", "QueryString", "OutputS3Uri", "OutputFormat")}
    redshift |= {"ClusterId": "c", "DbUser": "u", "ClusterRoleArn": ROLE.format(analyst.account)}
    dataset = {"RedshiftDatasetDefinition": redshift, "LocalPath": "/opt/ml/processing/x"}
    assert "RedshiftDatasetDefinition" in refusal(analyst, ProcessingInputs=[{"InputName": "i", "DatasetDefinition": dataset}])
    output = {"OutputName": "o", "FeatureStoreOutput": {"FeatureGroupName": "g"}, "AppManaged": True}
    assert "AppManaged" in refusal(analyst, ProcessingOutputConfig={"Outputs": [output]})
    output = output | {"AppManaged": False}
    assert "FeatureStoreOutput" in refusal(analyst, ProcessingOutputConfig={"Outputs": [output]})


def test_what_cannot_be_enforced_is_refused_by_name(analyst: Analyst) -> None:
    assert "NetworkConfig.VpcConfig" in refusal(
        analyst, NetworkConfig={"VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}}
    )
    image = {"ImageUri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:1", "ContainerEntrypoint": ["x"]}
    assert "is not an image that Clary can process data with" in refusal(analyst, AppSpecification=image)
    assert "ContainerEntrypoint is missing" in refusal(analyst, AppSpecification={"ImageUri": SKLEARN})


@pytest.mark.parametrize("path", ["/opt/ml/input/x", "/opt/ml/processing/", "/opt/ml/processing/../x", "data", "/tmp/x"])
def test_paths_lie_below_opt_ml_processing(analyst: Analyst, path: str) -> None:
    assert "LocalPath must be a directory below /opt/ml/processing/" in refusal(
        analyst, ProcessingInputs=[analyst.input("i", "data/", path)]
    )


def test_names_and_paths_are_used_once(analyst: Analyst) -> None:
    twice = [analyst.input("i", "data/"), analyst.input("i", "data/", "/opt/ml/processing/other")]
    assert "'i' is used more than once" in refusal(analyst, ProcessingInputs=twice)
    same = [analyst.input("i", "data/"), analyst.input("j", "data/", "/opt/ml/processing/input/i/")]
    assert "a path of their own" in refusal(analyst, ProcessingInputs=same)
    gzip = [analyst.input("i", "data/", S3CompressionType="Gzip")]
    assert "needs S3InputMode Pipe" in refusal(analyst, ProcessingInputs=gzip)


def test_lists_and_duplicates(server: Any) -> None:
    analyst = Analyst(server, "727272727272")
    for name in ("one", "two"):
        analyst.process(name, "print('done')")
    jobs = analyst.sagemaker.list_processing_jobs(SortBy="Name", SortOrder="Ascending", StatusEquals="Completed")
    assert [job["ProcessingJobName"] for job in jobs["ProcessingJobSummaries"]] == ["one", "two"]
    assert jobs["ProcessingJobSummaries"][0]["ProcessingJobStatus"] == "Completed"
    assert "NextToken" not in jobs
    first = analyst.sagemaker.list_processing_jobs(MaxResults=1)
    assert [job["ProcessingJobName"] for job in first["ProcessingJobSummaries"]] == ["two"]
    rest = analyst.sagemaker.list_processing_jobs(MaxResults=1, NextToken=first["NextToken"])
    assert [job["ProcessingJobName"] for job in rest["ProcessingJobSummaries"]] == ["one"]
    with pytest.raises(ClientError, match=r"already exists \(arn:aws:sagemaker:us-east-1:727272727272:processing-job/one\)"):
        analyst.begin("one", "")
    assert analyst.logs.describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"]
