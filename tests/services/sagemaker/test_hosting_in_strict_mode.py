"""Hosting where policies count: those of the model's role and those of whoever calls."""

from __future__ import annotations

import re

import pytest
from botocore.exceptions import ClientError
from tests.hosting import Customer, csv, policy, predictions, rows

ROW = rows(1)


def test_the_role_must_be_allowed_to_read_the_model_and_the_caller_to_invoke(start_server):
    server = start_server(auth="strict")
    root = dict(re.findall(r"^(AWS_\w+)=(.+)$", server.log, re.MULTILINE))
    customer = Customer(server, access_key=root["AWS_ACCESS_KEY_ID"], secret=root["AWS_SECRET_ACCESS_KEY"])
    iam = customer.client("iam")

    iam.delete_role_policy(RoleName="sagemaker", PolicyName="data")
    with pytest.raises(ClientError, match=r"Could not access model data at s3://models-of-000000000000/poor/model\.tar\.gz"):
        customer.model("poor", b"whatever")
    customer.config("poor", {"VariantName": "AllTraffic", "ModelName": "plus"})
    customer.sagemaker.create_endpoint(EndpointName="poor", EndpointConfigName="poor")
    assert "AccessDenied" in customer.settled("poor")["FailureReason"]

    iam.put_role_policy(RoleName="sagemaker", PolicyName="data", PolicyDocument=policy("s3:*"))
    customer.deploy("endpoint")
    assert customer.predict("endpoint", ROW) == predictions(ROW)
    customer.s3.put_object(Bucket=customer.bucket, Key="in/a.csv", Body=csv(ROW))
    customer.transform("job", "in/")
    assert customer.transformed("job")["TransformJobStatus"] == "Completed"

    for user, action, allowed in (("may", "sagemaker:InvokeEndpoint", True), ("may-not", "sagemaker:Describe*", False)):
        iam.create_user(UserName=user)
        iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=policy(action))
        key = iam.create_access_key(UserName=user)["AccessKey"]
        runtime = server.client("sagemaker-runtime", access_key=key["AccessKeyId"], secret=key["SecretAccessKey"])
        request = {"EndpointName": "endpoint", "Body": csv(ROW), "ContentType": "text/csv"}
        if allowed:
            assert runtime.invoke_endpoint(**request)["Body"].read()
        else:
            with pytest.raises(ClientError, match="AccessDenied"):
                runtime.invoke_endpoint(**request)
