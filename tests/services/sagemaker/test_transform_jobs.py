from __future__ import annotations

import gzip

import pytest
from botocore.exceptions import ClientError
from tests.hosting import Customer, archive_of, csv, numbers, predictions, rows, wait_for

ROWS = rows(50)
GROUP = "/aws/sagemaker/TransformJobs"


@pytest.fixture(scope="module")
def customer(server):
    customer = Customer(server, "222200000006")
    customer.s3.put_object(Bucket=customer.bucket, Key="in/a.csv", Body=csv(ROWS[:30]))
    customer.s3.put_object(Bucket=customer.bucket, Key="in/deep/b.csv", Body=csv(ROWS[30:]))
    return customer


def refused(customer: Customer, name: str = "refused", source: str = "in/", **request) -> dict:
    with pytest.raises(ClientError) as error:
        customer.transform(name, source, **request)
    return error.value.response["Error"]


def test_every_input_gets_its_output_in_order(customer):
    arn = customer.transform("plain", "in/", TransformOutput={"AssembleWith": "Line"})["TransformJobArn"]
    described = customer.transformed("plain")
    assert (described["TransformJobStatus"], described["TransformJobArn"]) == ("Completed", arn)
    assert described["CreationTime"] <= described["TransformStartTime"] <= described["TransformEndTime"]
    assert numbers(customer.read("plain/a.csv.out")) == pytest.approx(predictions(ROWS[:30]))
    assert numbers(customer.read("plain/deep/b.csv.out")) == pytest.approx(predictions(ROWS[30:]))
    assert len(customer.read("plain/a.csv.out").splitlines()) == 30
    assert "BatchStrategy=MULTI_RECORD" in customer.log(GROUP, "plain/")


@pytest.mark.parametrize(
    "request_",
    [
        {"BatchStrategy": "SingleRecord", "MaxConcurrentTransforms": 7},
        {"TransformInput": {"SplitType": "None"}},
        {"MaxPayloadInMB": 0},
    ],
    ids=["record by record", "whole files", "payloads of any size"],
)
def test_however_inputs_are_cut_the_outputs_are_the_same(customer, request_):
    name = f"cut-{len(customer.sagemaker.list_transform_jobs(NameContains='cut-')['TransformJobSummaries'])}"
    customer.transform(name, "in/a.csv", **request_)
    assert customer.transformed(name)["TransformJobStatus"] == "Completed"
    assert numbers(customer.read(f"{name}/a.csv.out")) == pytest.approx(predictions(ROWS[:30]))


def test_inputs_may_be_compressed(customer):
    customer.s3.put_object(Bucket=customer.bucket, Key="packed/a.csv.gz", Body=gzip.compress(csv(ROWS)))
    customer.transform("unpacks", "packed/", TransformInput={"CompressionType": "Gzip"})
    assert customer.transformed("unpacks")["TransformJobStatus"] == "Completed"
    assert numbers(customer.read("unpacks/a.csv.gz.out")) == pytest.approx(predictions(ROWS))


def test_an_input_that_the_model_refuses_fails_the_job_with_the_cause_in_reason_and_log(customer):
    customer.s3.put_object(Bucket=customer.bucket, Key="bad/a.csv", Body=b"1,2,3,4\nx,y,z,w\n")
    customer.transform("fails", "bad/")
    described = customer.transformed("fails")
    assert described["TransformJobStatus"] == "Failed"
    assert described["FailureReason"].startswith("ClientError: See job logs for more information")
    assert f"s3://{customer.bucket}/bad/a.csv" in described["FailureReason"]
    assert f"{customer.bucket}/bad/a.csv: ClientError: 4" in customer.log(GROUP, "fails/")
    with pytest.raises(ClientError):
        customer.read("fails/a.csv.out")


def test_a_model_that_does_not_load_fails_the_job(customer):
    customer.model("unreadable", archive_of({"xgboost-model": b"no model"}))
    customer.transform("unloadable", "in/", ModelName="unreadable")
    described = customer.transformed("unloadable")
    assert described["TransformJobStatus"] == "Failed"
    assert "xgboost-model" in described["FailureReason"]


def test_a_record_larger_than_a_payload_fails_the_job(customer):
    customer.s3.put_object(Bucket=customer.bucket, Key="long/a.csv", Body=b"1," * 600_000)
    customer.transform("too-long", "long/", MaxPayloadInMB=1)
    assert "MaxPayloadInMB" in customer.transformed("too-long")["FailureReason"]


def test_stopping(customer):
    customer.s3.put_object(Bucket=customer.bucket, Key="much/a.csv", Body=csv(rows(20_000)))
    customer.transform("stopped", "much/", BatchStrategy="SingleRecord", MaxConcurrentTransforms=1)
    customer.sagemaker.stop_transform_job(TransformJobName="stopped")
    assert customer.transformed("stopped")["TransformJobStatus"] == "Stopped"
    with pytest.raises(ClientError) as error:
        customer.sagemaker.stop_transform_job(TransformJobName="stopped")
    assert error.value.response["Error"]["Message"] == (
        "The request was rejected because the transform job is in status Stopped."
    )


def test_names_are_unique_and_missing_ones_reported(customer):
    customer.transform("once", "in/a.csv")
    error = refused(customer, "once")
    assert (error["Code"], "already exists (arn:" in error["Message"]) == ("ResourceInUse", True)
    customer.transformed("once")
    with pytest.raises(ClientError, match="Could not find requested job with name: nobody"):
        customer.sagemaker.describe_transform_job(TransformJobName="nobody")


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"source": "nothing/here"}, "No S3 objects found under S3 URL"),
        ({"ModelName": "nobody"}, "Could not find model"),
        ({"DataProcessing": {"InputFilter": "$[1:]"}}, "DataProcessing.InputFilter"),
        ({"DataProcessing": {"JoinSource": "Input"}}, "DataProcessing.JoinSource"),
        ({"DataCaptureConfig": {"DestinationS3Uri": "s3://b/k"}}, "DataCaptureConfig is not enforced"),
        ({"TransformInput": {"SplitType": "TFRecord"}}, "SplitType TFRecord"),
        ({"TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 2}}, "InstanceCount"),
        ({"MaxConcurrentTransforms": 20, "MaxPayloadInMB": 6}, "must be at most 100"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_supported_is_refused_by_name(customer, request_, words):
    assert words in refused(customer, **request_)["Message"]


def test_lists(customer):
    def look() -> bool:
        found = customer.sagemaker.list_transform_jobs(StatusEquals="Completed", NameContains="plain")["TransformJobSummaries"]
        return [job["TransformJobName"] for job in found] == ["plain"]

    wait_for(look)
