"""ECR look-ups through boto3."""

from __future__ import annotations

import base64
import hashlib
import uuid

import pytest
from botocore.exceptions import ClientError

XGBOOST = "sagemaker-xgboost"
AMAZON = "683313688378"


@pytest.fixture
def ecr(server):
    return server.client("ecr")


@pytest.fixture
def name():
    return f"team/{uuid.uuid4()}"


def code(call, **parameters) -> str:
    with pytest.raises(ClientError) as error:
        call(**parameters)
    return error.value.response["Error"]["Code"]


def test_a_repository_is_recorded_described_and_deleted(ecr, name):
    made = ecr.create_repository(repositoryName=name, tags=[{"Key": "k", "Value": "v"}])["repository"]
    assert made["repositoryUri"] == f"000000000000.dkr.ecr.us-east-1.amazonaws.com/{name}"
    assert made["repositoryArn"] == f"arn:aws:ecr:us-east-1:000000000000:repository/{name}"
    assert ecr.describe_repositories(repositoryNames=[name])["repositories"] == [made]
    assert name in [r["repositoryName"] for r in ecr.describe_repositories()["repositories"]]
    assert ecr.list_tags_for_resource(resourceArn=made["repositoryArn"])["tags"] == [{"Key": "k", "Value": "v"}]
    assert ecr.list_images(repositoryName=name)["imageIds"] == []
    assert code(ecr.create_repository, repositoryName=name) == "RepositoryAlreadyExistsException"
    assert ecr.delete_repository(repositoryName=name)["repository"]["repositoryName"] == name
    assert code(ecr.describe_repositories, repositoryNames=[name]) == "RepositoryNotFoundException"
    assert code(ecr.delete_repository, repositoryName=name) == "RepositoryNotFoundException"


def test_built_in_images_are_found_in_any_registry(ecr):
    for registry in ({}, {"registryId": AMAZON}):
        (repository,) = ecr.describe_repositories(repositoryNames=[XGBOOST], **registry)["repositories"]
        assert repository["registryId"] == registry.get("registryId", "000000000000")
        (image,) = ecr.describe_images(repositoryName=XGBOOST, imageIds=[{"imageTag": "1.7-1"}], **registry)["imageDetails"]
        assert "1.7-1" in image["imageTags"]


def test_a_digest_is_that_of_the_manifest_and_finds_the_image(ecr):
    request = {"repositoryName": XGBOOST, "registryId": AMAZON}
    answer = ecr.batch_get_image(**request, imageIds=[{"imageTag": "1.7-1-cpu-py3"}, {"imageTag": "no"}])
    (image,), (failure,) = answer["images"], answer["failures"]
    digest = "sha256:" + hashlib.sha256(image["imageManifest"].encode()).hexdigest()
    assert image["imageId"] == {"imageTag": "1.7-1-cpu-py3", "imageDigest": digest}
    assert failure["failureCode"] == "ImageNotFound"
    (found,) = ecr.describe_images(**request, imageIds=[{"imageDigest": digest}])["imageDetails"]
    assert "1.7-1" in found["imageTags"]
    assert code(ecr.describe_images, **request, imageIds=[{"imageTag": "0.1"}]) == "ImageNotFoundException"


def test_listing_pages(ecr):
    whole = ecr.list_images(repositoryName=XGBOOST)["imageIds"]
    pages = ecr.get_paginator("list_images").paginate(repositoryName=XGBOOST, PaginationConfig={"PageSize": 2})
    assert [image for page in pages for image in page["imageIds"]] == whole
    assert len({image["imageTag"] for image in whole}) == len(whole) > 2
    assert code(ecr.list_images, repositoryName="no/such") == "RepositoryNotFoundException"
    assert code(ecr.list_images, repositoryName=XGBOOST, nextToken="²") == "InvalidParameterException"


def test_a_token_never_sends_a_client_off_this_machine(server, ecr):
    (data,) = ecr.get_authorization_token()["authorizationData"]
    assert data["proxyEndpoint"] == server.endpoint
    user, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
    assert user == "AWS"
    assert password


def test_what_is_refused(ecr, name):
    with pytest.raises(ClientError, match="no image registry") as error:
        ecr.initiate_layer_upload(repositoryName=XGBOOST)
    assert error.value.response["Error"]["Code"] == "NotImplemented"
    encrypted = {"encryptionType": "KMS", "kmsKey": "k"}
    assert code(ecr.create_repository, repositoryName=name, encryptionConfiguration=encrypted) == "ValidationException"
    assert code(ecr.start_image_scan, repositoryName=XGBOOST, imageId={"imageTag": "1"}) == "NotImplemented"
