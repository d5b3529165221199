from __future__ import annotations

import pytest
from botocore.exceptions import ClientError
from tests.hosting import Customer

VARIANT = {"VariantName": "AllTraffic", "ModelName": "plus", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}


@pytest.fixture(scope="module")
def customer(server):
    return Customer(server, "222200000002")


def refused(customer: Customer, *variants: dict, **request) -> dict:
    with pytest.raises(ClientError) as error:
        customer.sagemaker.create_endpoint_config(
            EndpointConfigName="c", ProductionVariants=list(variants or [VARIANT]), **request
        )
    return error.value.response["Error"]


def test_a_configuration_is_described_as_it_was_made_with_the_default_weight(customer):
    made = customer.sagemaker.create_endpoint_config(EndpointConfigName="mine", ProductionVariants=[VARIANT])
    described = customer.sagemaker.describe_endpoint_config(EndpointConfigName="mine")
    assert described["EndpointConfigArn"] == made["EndpointConfigArn"]
    assert described["ProductionVariants"] == [VARIANT | {"InitialVariantWeight": 1.0}]
    with pytest.raises(ClientError, match="Cannot create already existing endpoint configuration"):
        customer.sagemaker.create_endpoint_config(EndpointConfigName="mine", ProductionVariants=[VARIANT])
    assert [c["EndpointConfigName"] for c in customer.sagemaker.list_endpoint_configs()["EndpointConfigs"]] == ["mine"]
    customer.sagemaker.delete_endpoint_config(EndpointConfigName="mine")
    with pytest.raises(ClientError, match="Could not find endpoint configuration"):
        customer.sagemaker.describe_endpoint_config(EndpointConfigName="mine")


def test_its_models_must_be_there(customer):
    assert 'Could not find model "arn:' in refused(customer, VARIANT | {"ModelName": "nobody"})["Message"]


@pytest.mark.parametrize(
    ("variant", "words"),
    [
        ({"ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 5}}, "ServerlessConfig"),
        ({"AcceleratorType": "ml.eia2.medium"}, "AcceleratorType"),
        ({"CoreDumpConfig": {"DestinationS3Uri": "s3://b/k"}}, "CoreDumpConfig"),
        ({"ManagedInstanceScaling": {"Status": "ENABLED"}}, "ManagedInstanceScaling"),
        ({"EnableSSMAccess": True}, "EnableSSMAccess"),
        ({"InitialVariantWeight": 0}, "weight above 0"),
    ],
)
def test_variant_members_that_are_not_supported_are_refused_by_name(customer, variant, words):
    assert words in refused(customer, VARIANT | variant)["Message"]


@pytest.mark.parametrize("missing", ["ModelName", "InitialInstanceCount", "InstanceType"])
def test_variant_members_that_are_needed(customer, missing):
    variant = {name: value for name, value in VARIANT.items() if name != missing}
    assert f"{missing} is required" in refused(customer, variant)["Message"]


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"KmsKeyId": "k"}, "KmsKeyId is not enforced"),
        ({"AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": "s3://b/k"}}}, "AsyncInferenceConfig"),
        ({"ShadowProductionVariants": [VARIANT]}, "ShadowProductionVariants"),
        (
            {
                "DataCaptureConfig": {
                    "EnableCapture": True,
                    "InitialSamplingPercentage": 100,
                    "DestinationS3Uri": "s3://b/k",
                    "CaptureOptions": [{"CaptureMode": "Input"}],
                }
            },
            "DataCaptureConfig.EnableCapture",
        ),
    ],
)
def test_members_that_are_not_supported_are_refused_by_name(customer, request_, words):
    assert words in refused(customer, **request_)["Message"]


def test_names_of_variants_are_unique_and_instances_limited(customer):
    assert "must be unique" in refused(customer, VARIANT, VARIANT)["Message"]
    error = refused(customer, VARIANT | {"InitialInstanceCount": 21})
    assert (error["Code"], "service limit 'ml.m5.large for endpoint usage' is 20" in error["Message"]) == (
        "ResourceLimitExceeded",
        True,
    )
