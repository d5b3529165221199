"""`clary services`: what it says is what the server does."""

from __future__ import annotations

import pytest

from clary.cli.coverage import covered


@pytest.fixture(scope="module")
def coverage():
    return {entry.service: entry for entry in covered()}


def test_every_service_has_something_real(coverage):
    assert {"s3", "sagemaker", "sagemaker-runtime", "sts", "iam", "logs", "cloudwatch", "ecr"} <= set(coverage)
    for entry in coverage.values():
        assert entry.real, entry.service


def test_the_main_job_is_real(coverage):
    real = coverage["sagemaker"].real
    assert {"CreateTrainingJob", "CreateModel", "CreateEndpointConfig", "CreateEndpoint", "CreateTransformJob"} <= set(real)


def test_an_operation_that_is_not_listed_answers_not_implemented(coverage, server):
    assert "ListDomains" in coverage["sagemaker"].missing
    client = server.client("sagemaker")
    with pytest.raises(client.exceptions.ClientError) as error:
        client.list_domains()
    assert error.value.response["Error"]["Code"] == "NotImplemented"
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert "ListDomains" in error.value.response["Error"]["Message"]


def test_the_command_lists_operations(clary):
    shown = clary("services", "sts")
    assert "real  GetCallerIdentity" in shown.stdout.splitlines()
    assert shown.stderr == ""
    unknown = clary("services", "mainframe")
    assert unknown.returncode == 2
    assert "it has cloudwatch" in unknown.stderr
