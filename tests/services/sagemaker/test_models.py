from __future__ import annotations

import pytest
from botocore.exceptions import ClientError
from tests.hosting import IMAGE, Customer, archive

ACCOUNT = "222200000001"


@pytest.fixture(scope="module")
def customer(server):
    return Customer(server, ACCOUNT)


def refused(customer: Customer, **request) -> str:
    with pytest.raises(ClientError) as error:
        customer.sagemaker.create_model(**{"ModelName": "m", "ExecutionRoleArn": customer.role} | request)
    assert error.value.response["Error"]["Code"] == "ValidationException"
    return error.value.response["Error"]["Message"]


def container(customer: Customer, **members) -> dict:
    return {"Image": IMAGE, "ModelDataUrl": f"s3://{customer.bucket}/plus/model.tar.gz"} | members


def test_a_model_is_described_as_it_was_made_listed_and_deleted(customer):
    made = container(customer, Environment={"A": "1"})
    arn = customer.sagemaker.create_model(ModelName="mine", ExecutionRoleArn=customer.role, PrimaryContainer=made)["ModelArn"]
    described = customer.sagemaker.describe_model(ModelName="mine")
    assert (described["ModelArn"], described["PrimaryContainer"]) == (arn, made)
    assert described["EnableNetworkIsolation"] is False
    assert [model["ModelName"] for model in customer.sagemaker.list_models(NameContains="min")["Models"]] == ["mine", "minus"]
    customer.sagemaker.delete_model(ModelName="mine")
    with pytest.raises(ClientError, match=f'Could not find model "{arn}"'):
        customer.sagemaker.describe_model(ModelName="mine")


def test_a_name_that_is_taken(customer):
    message = refused(customer, ModelName="plus", PrimaryContainer=container(customer))
    assert message.startswith('Cannot create already existing model "arn:aws:sagemaker:')


def test_model_data_must_be_there(customer):
    absent = f"s3://{customer.bucket}/nothing/model.tar.gz"
    assert (
        refused(customer, PrimaryContainer=container(customer, ModelDataUrl=absent))
        == f"Could not find model data at {absent}."
    )
    assert "Could not find model data" in refused(
        customer, PrimaryContainer=container(customer, ModelDataUrl="s3://no-such-bucket-here/model.tar.gz")
    )
    assert "s3://bucket/key" in refused(customer, PrimaryContainer=container(customer, ModelDataUrl=f"s3://{customer.bucket}"))


def test_uncompressed_model_data_under_a_prefix(customer):
    customer.s3.put_object(Bucket=customer.bucket, Key="loose/xgboost-model", Body=b"x")
    source = {"S3Uri": f"s3://{customer.bucket}/loose/", "S3DataType": "S3Prefix", "CompressionType": "None"}
    loose = {"Image": IMAGE, "ModelDataSource": {"S3DataSource": source}}
    customer.sagemaker.create_model(ModelName="loose", ExecutionRoleArn=customer.role, PrimaryContainer=loose)
    assert customer.sagemaker.describe_model(ModelName="loose")["PrimaryContainer"] == loose


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({}, "PrimaryContainer is required"),
        ({"PrimaryContainer": {"Image": "my-own:latest"}}, "my-own:latest cannot be served by Clary yet"),
        ({"PrimaryContainer": {"ModelDataUrl": "s3://b/k"}}, "Image is required"),
        ({"PrimaryContainer": {"Image": IMAGE, "Mode": "MultiModel"}}, "Mode MultiModel"),
        ({"PrimaryContainer": {"ModelPackageName": "p"}}, "ModelPackageName is not enforced"),
        ({"Containers": [{"Image": IMAGE}, {"Image": IMAGE}]}, "Containers has 2 members"),
        ({"PrimaryContainer": {"Image": IMAGE}, "EnableNetworkIsolation": True}, "EnableNetworkIsolation is not enforced"),
        ({"PrimaryContainer": {"Image": IMAGE}, "VpcConfig": {"SecurityGroupIds": ["s"], "Subnets": ["n"]}}, "VpcConfig"),
        ({"ModelName": "under_score", "PrimaryContainer": {"Image": IMAGE}}, "regular expression pattern"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_supported_is_refused_by_name(customer, request_, words):
    assert words in refused(customer, **request_)


def test_the_role_must_trust_sagemaker(customer):
    trust = '{"Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}'
    role = customer.client("iam").create_role(RoleName="of-another-service", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    message = refused(customer, PrimaryContainer=container(customer), ExecutionRoleArn=role)
    assert message.startswith(f"Could not assume role {role}.")


def test_data_that_changed_after_the_model_was_made_are_the_endpoint_s_to_find(customer):
    customer.model("again", archive())
    customer.s3.put_object(Bucket=customer.bucket, Key="again/model.tar.gz", Body=b"no archive")
    assert customer.deploy("from-no-archive", "again")["EndpointStatus"] == "Failed"
