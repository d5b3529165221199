"""Endpoints and transforms with the user's own functions: each framework's defaults, formats, sources, failures."""

from __future__ import annotations

import io
import json
import pickle
from typing import Any

import numpy as np
import pytest
import xgboost
from botocore.exceptions import ClientError
from sklearn.linear_model import LinearRegression
from tests.hosting import wait_for
from tests.scripts import PYTORCH, SKLEARN, XGBOOST, Scientist, bundle

ROWS = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]])
TARGETS = ROWS @ [2.0, -1.0] + 3
MODEL = pickle.dumps(LinearRegression().fit(ROWS, TARGETS))
MODEL_FN = """
import os, pickle

def model_fn(model_dir):
    with open(os.path.join(model_dir, "model.pkl"), "rb") as file:
        return pickle.load(file)
"""
ROW_FNS = """
import shelf

def input_fn(body, content_type):
    return [[float(cell) for cell in body.split(",")]]

def output_fn(prediction, accept):
    return f"{shelf.NAME} {prediction[0]:.1f}"
"""
TORCH_INFERENCE = PYTORCH.replace("training", "inference")


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.fixture(scope="module")
def scientist(server: Any) -> Scientist:
    return Scientist(server, "525252525252")


def in_service(endpoint: dict[str, Any]) -> None:
    assert endpoint["EndpointStatus"] == "InService", endpoint.get("FailureReason")


@pytest.fixture(scope="module")
def linear(scientist: Scientist) -> str:
    """A scikit-learn endpoint as the SDK makes it: the source in S3, model_fn only."""
    source = scientist.upload("linear/sourcedir.tar.gz", bundle({"train.py": MODEL_FN + "\nprint('module loaded')\n"}))
    environment = {"SAGEMAKER_PROGRAM": "train.py", "SAGEMAKER_SUBMIT_DIRECTORY": source, "SAGEMAKER_REGION": "us-east-1"}
    in_service(scientist.deploy("linear", {"model.pkl": MODEL}, environment=environment))
    return "linear"


# --- scikit-learn ---------------------------------------------------------------------------------------------------


def test_rows_of_every_format_are_predicted(scientist: Scientist, linear: str) -> None:
    import pyarrow
    import pyarrow.parquet

    parquet = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"a": ROWS[:, 0], "b": ROWS[:, 1]}), parquet)
    csv = "\n".join(",".join(map(str, row)) for row in ROWS)
    for body, content_type in (
        (json.dumps(ROWS.tolist()), "application/json"),
        (csv, "text/csv"),
        (csv, "text/csv; charset=utf-8"),
        (npy(ROWS), "application/x-npy"),
        (parquet.getvalue(), "application/x-parquet"),
    ):
        answer, answered = scientist.invoke(linear, body, content_type)
        assert answered == "application/json"
        assert json.loads(answer) == pytest.approx(TARGETS.tolist(), rel=1e-5)


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        ("application/json", "application/json"),
        ("text/csv", "text/csv"),
        ("application/x-npy", "application/x-npy"),
        ("application/x-parquet", "application/x-parquet"),
        ("image/png, text/csv", "text/csv"),
        ("*/*", "application/json"),
    ],
)
def test_the_answer_comes_as_it_is_accepted(scientist: Scientist, linear: str, accept: str, answered: str) -> None:
    import pyarrow.parquet

    body, content_type = scientist.invoke(linear, json.dumps(ROWS.tolist()), accept=accept)
    assert content_type == answered
    readers = {
        "application/json": json.loads,
        "text/csv": lambda body: [float(line) for line in body.split()],
        "application/x-npy": lambda body: np.load(io.BytesIO(body)).tolist(),
        "application/x-parquet": lambda body: pyarrow.parquet.read_table(io.BytesIO(body))["c0"].to_pylist(),
    }
    assert readers[answered](body) == pytest.approx(TARGETS.tolist(), rel=1e-5)


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "status", "told"),
    [
        ("x", "image/png", "", 415, "Content type image/png is not supported"),
        ("[[1, 2]]", "application/json", "image/png", 415, "image/png"),
        ("[[1, 2, 3]]", "application/json", "", 500, "features"),
        ("{", "application/json", "", 500, "JSONDecodeError"),
    ],
)
def test_a_bad_request_is_told_and_the_next_one_answered(
    scientist: Scientist, linear: str, body: str, content_type: str, accept: str, status: int, told: str
) -> None:
    with pytest.raises(ClientError) as caught:
        scientist.invoke(linear, body, content_type, accept)
    response = caught.value.response
    assert response["Error"]["Code"] == "ModelError"
    assert response["OriginalStatusCode"] == status
    assert told in response["OriginalMessage"]
    assert json.loads(scientist.invoke(linear, "[[1, 2]]")[0]) == pytest.approx([3])


def test_what_the_module_prints_is_logged(scientist: Scientist, linear: str) -> None:
    group = "/aws/sagemaker/Endpoints/linear"

    def look() -> bool:
        events = scientist.logs.filter_log_events(logGroupName=group)["events"]
        said = [event["message"] for event in events]
        return "module loaded" in said and any(line.startswith("Clary: scikit-learn ") for line in said)

    wait_for(look)


def test_functions_of_the_users_own_replace_the_defaults(scientist: Scientist) -> None:
    code = (
        MODEL_FN
        + """
import json

def input_fn(body, content_type):
    assert content_type == "application/x-words"
    return [[float(word) for word in body.decode().split()]]

def predict_fn(data, model, context):
    return model.predict(data)[0], context.get_request_header(0, "x-amzn-sagemaker-custom-attributes")

def output_fn(prediction, accept):
    return json.dumps({"value": round(prediction[0], 3), "asked": prediction[1]}), "application/x-value"
"""
    )
    model = {"model.pkl": MODEL, "code/inference.py": code}
    in_service(scientist.deploy("own-functions", model, environment={"SAGEMAKER_PROGRAM": "inference.py"}))
    answer = scientist.runtime.invoke_endpoint(
        EndpointName="own-functions", Body=b"1 2", ContentType="application/x-words", CustomAttributes="trace=1"
    )
    assert answer["ContentType"] == "application/x-value"
    assert json.loads(answer["Body"].read()) == {"value": 3.0, "asked": "trace=1"}


def test_transform_fn_does_it_all(scientist: Scientist) -> None:
    code = (
        MODEL_FN
        + """
def transform_fn(model, body, content_type, accept):
    return f"{content_type} {accept} {body}", "text/plain"
"""
    )
    in_service(scientist.deploy("transform-fn", {"model.pkl": MODEL, "code/inference.py": code}))
    assert scientist.invoke("transform-fn", "a,b", "text/csv", "x/y") == (b"text/csv x/y a,b", "text/plain")


def test_requirements_are_installed_before_the_model_is_loaded(scientist: Scientist) -> None:
    from tests.services.sagemaker.test_script_jobs import PACKAGE

    files: dict[str, bytes | str] = {f"code/shelf/{name}": content for name, content in PACKAGE.items()}
    files |= {
        "code/requirements.txt": "./shelf\n",
        "code/inference.py": MODEL_FN + "\nimport shelf\n\ndef output_fn(prediction, accept):\n    return shelf.NAME, accept\n",
        "model.pkl": MODEL,
    }
    in_service(scientist.deploy("serving-requires", files))
    assert scientist.invoke("serving-requires", "[[1, 2]]")[0] == b"installed"


@pytest.mark.parametrize(
    ("name", "files", "environment", "cause"),
    [
        ("no-model-fn", {"code/inference.py": "x = 1"}, {}, "NotImplementedError: the source has no model_fn"),
        ("no-program", {"model.pkl": MODEL}, {"SAGEMAKER_PROGRAM": "serve.py"}, "'serve.py' is not in the source"),
        ("both-forms", {"code/inference.py": MODEL_FN + "transform_fn = input_fn = print"}, {}, "transform_fn and input_fn"),
        ("bad-module", {"code/inference.py": "import no_such_module"}, {}, "No module named 'no_such_module'"),
        ("bad-requirements", {"code/requirements.txt": "--no-index\nnone-such\n"}, {}, "InstallRequirementsError"),
        ("no-bundle", {}, {"SAGEMAKER_SUBMIT_DIRECTORY": "s3://scripts-of-525252525252/none.tar.gz"}, "none.tar.gz: NoSuchKey"),
    ],
)
def test_a_model_that_cannot_be_loaded_says_why(
    scientist: Scientist, name: str, files: dict[str, bytes | str], environment: dict[str, str], cause: str
) -> None:
    endpoint = scientist.deploy(name, files, environment=environment)
    assert endpoint["EndpointStatus"] == "Failed"
    assert cause in endpoint["FailureReason"]


def test_a_framework_that_is_not_installed_says_what_installs_it(scientist: Scientist) -> None:
    image = "763104351884.dkr.ecr.us-east-1.amazonaws.com/tensorflow-inference:2.14.1-cpu"
    endpoint = scientist.deploy("no-tensorflow", {"1/saved_model.pb": b""}, image=image)
    assert endpoint["EndpointStatus"] == "Failed"
    assert "clary env add tensorflow" in endpoint["FailureReason"]


# --- XGBoost, PyTorch -----------------------------------------------------------------------------------------------


def test_xgboosts_defaults_load_and_predict(scientist: Scientist) -> None:
    booster = xgboost.train({"nthread": 1, "base_score": 0}, xgboost.DMatrix(ROWS, TARGETS), 5)
    model = {"xgboost-model": bytes(booster.save_raw("ubj")), "code/inference.py": "x = 1"}
    in_service(scientist.deploy("xgboost", model, image=XGBOOST, environment={"SAGEMAKER_PROGRAM": "inference.py"}))
    expected = booster.predict(xgboost.DMatrix(ROWS)).tolist()
    csv = "\n".join(",".join(map(str, row)) for row in ROWS)
    libsvm = "\n".join(f"0 0:{a} 1:{b}" for a, b in ROWS)
    for body, content_type in ((csv, "text/csv"), (libsvm, "text/libsvm"), (npy(ROWS), "application/x-npy")):
        answer = json.loads(scientist.invoke("xgboost", body, content_type)[0])
        assert answer == pytest.approx(expected, rel=1e-5)


def test_pytorch_serves_torchscript_without_a_line_of_code(scientist: Scientist) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not in the test environment")
    stream = io.BytesIO()
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 3), torch.zeros(1, 2)), stream)
    linear = torch.jit.load(io.BytesIO(stream.getvalue()))
    in_service(scientist.deploy("torchscript", {"model.pt": stream.getvalue()}, image=TORCH_INFERENCE))
    expected = linear(torch.tensor(ROWS, dtype=torch.float32)).tolist()
    assert json.loads(scientist.invoke("torchscript", json.dumps(ROWS.tolist()))[0]) == [pytest.approx(row) for row in expected]
    body, _ = scientist.invoke("torchscript", npy(ROWS.astype(np.float32)), "application/x-npy", "application/x-npy")
    assert np.load(io.BytesIO(body)) == pytest.approx(np.array(expected))


def test_pytorch_asks_for_a_model_fn_where_it_needs_one(scientist: Scientist) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not in the test environment")
    stream = io.BytesIO()
    torch.save({"weight": torch.zeros(1)}, stream)
    endpoint = scientist.deploy("no-torchscript", {"model.pth": stream.getvalue()}, image=TORCH_INFERENCE)
    assert endpoint["EndpointStatus"] == "Failed"
    assert "is not TorchScript: save it with torch.jit.save, or write a model_fn" in endpoint["FailureReason"]


# --- batch transform ------------------------------------------------------------------------------------------------


def test_a_transform_runs_the_users_functions(scientist: Scientist) -> None:
    from tests.services.sagemaker.test_script_jobs import PACKAGE

    files: dict[str, bytes | str] = {f"shelf/{name}": content for name, content in PACKAGE.items()}
    files |= {"requirements.txt": "./shelf\n", "serve.py": MODEL_FN + ROW_FNS}
    source = scientist.upload("batch/sourcedir.tar.gz", bundle(files))
    container = {
        "Image": SKLEARN,
        "ModelDataUrl": scientist.upload("batch/model.tar.gz", bundle({"model.pkl": MODEL})),
        "Environment": {"SAGEMAKER_PROGRAM": "serve.py", "SAGEMAKER_SUBMIT_DIRECTORY": source},
    }
    role = f"arn:aws:iam::{scientist.account}:role/SageMakerRole"
    scientist.sagemaker.create_model(ModelName="batch", ExecutionRoleArn=role, PrimaryContainer=container)
    data = scientist.upload("batch/in/rows.csv", b"1,2\n3,4\n")
    scientist.sagemaker.create_transform_job(
        TransformJobName="batch",
        ModelName="batch",
        BatchStrategy="SingleRecord",
        TransformInput={
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": data}},
            "ContentType": "text/csv",
            "SplitType": "Line",
        },
        TransformOutput={"S3OutputPath": f"s3://{scientist.bucket}/batch/out", "AssembleWith": "Line"},
        TransformResources={"InstanceCount": 1, "InstanceType": "ml.m5.large"},
    )

    def look() -> dict[str, Any] | None:
        job = scientist.sagemaker.describe_transform_job(TransformJobName="batch")
        return None if job["TransformJobStatus"] == "InProgress" else job

    job = wait_for(look, 180)
    assert job["TransformJobStatus"] == "Completed", job.get("FailureReason")
    answer = scientist.s3.get_object(Bucket=scientist.bucket, Key="batch/out/rows.csv.out")["Body"].read()
    assert answer == b"installed 3.0\ninstalled 5.0\n"
