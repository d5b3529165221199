from __future__ import annotations

import pytest
from botocore.exceptions import ClientError
from tests.hosting import Customer, csv, numbers, predictions, rows

ROWS = rows(3)


@pytest.fixture(scope="module")
def customer(server):
    customer = Customer(server, "222200000004")
    customer.deploy("endpoint")
    return customer


def invoke(customer: Customer, **request):
    return customer.runtime.invoke_endpoint(
        **{"EndpointName": "endpoint", "Body": csv(ROWS), "ContentType": "text/csv"} | request
    )


def error(customer: Customer, **request) -> dict:
    with pytest.raises(ClientError) as raised:
        invoke(customer, **request)
    return raised.value.response


def test_rows_go_in_and_predictions_come_out(customer):
    answer = invoke(customer, Accept="text/csv", InferenceId="mine", CustomAttributes="c=1")
    assert numbers(answer["Body"].read()) == predictions(ROWS)
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert answer["ContentType"].startswith("text/csv")


def test_the_container_s_errors_are_model_errors_with_its_words(customer):
    response = error(customer, Body=b"a,b,c,d", ContentType="text/csv")
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert response["Error"]["Code"] == "ModelError"
    assert response["OriginalStatusCode"] in (400, 415)
    assert response["OriginalMessage"]
    assert response["Error"]["Message"].startswith(
        f"Received client error ({response['OriginalStatusCode']}) from primary with message"
    )
    assert response["Error"]["Message"].endswith("in account 222200000004 for more information.")
    assert ":log-group:/aws/sagemaker/Endpoints/endpoint:log-stream:AllTraffic/i-" in response["LogStreamArn"]


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("TargetModel", "m.tar.gz"),
        ("TargetContainerHostname", "host"),
        ("InferenceComponentName", "component"),
        ("EnableExplanations", "`true`"),
        ("SessionId", "NEW_SESSION"),
    ],
)
def test_parameters_that_are_not_supported_are_refused_by_name(customer, parameter, value):
    found = error(customer, **{parameter: value})["Error"]
    assert found["Code"] == "ValidationError"
    assert parameter in found["Message"]


def test_a_variant_or_endpoint_that_is_not_there_and_a_body_too_large(customer):
    assert "Variant other not found" in error(customer, TargetVariant="other")["Error"]["Message"]
    assert error(customer, EndpointName="nobody")["Error"] == {
        "Code": "ValidationError",
        "Message": "Endpoint nobody of account 222200000004 not found.",
    }
    assert error(customer, Body=b"1" * 6_291_457)["Error"]["Code"] == "ValidationError"


def test_another_account_or_region_does_not_see_the_endpoint(customer):
    for other in ({"account": "222200000005"}, {"account": "222200000004", "region": "eu-west-1"}):
        runtime = customer.server.client("sagemaker-runtime", **other)
        with pytest.raises(ClientError, match="not found"):
            runtime.invoke_endpoint(EndpointName="endpoint", Body=b"1")


def test_operations_that_are_not_there_yet_say_so(customer):
    with pytest.raises(ClientError) as raised:
        customer.runtime.invoke_endpoint_async(EndpointName="endpoint", InputLocation="s3://b/k")
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
