"""S3 where signatures and policies count: mounted folders stay public, copies and form uploads need their own rights."""

from __future__ import annotations

import json

import boto3
import httpx
import pytest
from botocore import UNSIGNED
from botocore.config import Config


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    """A strict server, its root client, and a folder mounted as `public-samples`."""
    from tests.conftest import Server

    folder = tmp_path_factory.mktemp("samples")
    (folder / "data.csv").write_text("1,2\n")
    server = Server(tmp_path_factory.mktemp("strict") / "data", auth="strict").start()
    token = json.loads((server.data / "server.json").read_text())["token"]
    body = json.dumps({"Bucket": "public-samples", "Directory": str(folder)}).encode()
    assert server.get("/_clary/mounts", method="POST", body=body, x_clary_token=token)[0] == 200
    yield server
    server.kill()


@pytest.fixture(scope="module")
def root(strict):
    key, secret = (line.partition("=")[2] for line in strict.log.splitlines() if "AWS_" in line and "=" in line)
    return strict.client("s3", access_key=key, secret=secret), strict.client("iam", access_key=key, secret=secret)


@pytest.fixture(scope="module")
def reader(strict, root):
    """A user who may write to one bucket and read nothing."""
    s3, iam = root
    s3.create_bucket(Bucket="closed-bucket")
    s3.create_bucket(Bucket="drop-box")
    s3.put_object(Bucket="closed-bucket", Key="secret", Body=b"secret")
    iam.create_user(UserName="writer")
    statement = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::drop-box/*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="writer", PolicyName="put", PolicyDocument=policy)
    made = iam.create_access_key(UserName="writer")["AccessKey"]
    return strict.client("s3", access_key=made["AccessKeyId"], secret=made["SecretAccessKey"])


def test_a_mounted_folder_is_public(strict):
    anybody = boto3.client(
        "s3", endpoint_url=strict.endpoint, region_name="us-east-1", config=Config(signature_version=UNSIGNED)
    )
    assert anybody.get_object(Bucket="public-samples", Key="data.csv")["Body"].read() == b"1,2\n"
    assert [entry["Key"] for entry in anybody.list_objects_v2(Bucket="public-samples")["Contents"]] == ["data.csv"]


def test_a_copy_needs_the_right_to_read_its_source(reader, refused):
    source = {"Bucket": "closed-bucket", "Key": "secret"}
    error = refused(reader.copy_object, Bucket="drop-box", Key="loot", CopySource=source)
    assert (error["Code"], error["status"]) == ("AccessDenied", 403)
    upload = {"Bucket": "drop-box", "Key": "loot"}
    upload |= {"UploadId": reader.create_multipart_upload(**upload)["UploadId"]}
    assert refused(reader.upload_part_copy, **upload, PartNumber=1, CopySource=source)["Code"] == "AccessDenied"


def test_a_form_is_a_put_of_the_one_who_signed_it(strict, reader, root):
    def post(bucket: str, client) -> int:
        signed = client.generate_presigned_post(bucket, "form")
        fields = {name: (None, value) for name, value in signed["fields"].items()}
        return httpx.post(f"{strict.endpoint}/{bucket}", files=fields | {"file": ("f", b"x")}).status_code

    assert post("drop-box", reader) == 204
    assert post("closed-bucket", reader) == 403
    assert post("closed-bucket", root[0]) == 204


def test_deleting_many_needs_the_right_to_delete(root, reader, refused):
    root[0].put_object(Bucket="drop-box", Key="kept", Body=b"x")
    error = refused(reader.delete_objects, Bucket="drop-box", Delete={"Objects": [{"Key": "kept"}]})
    assert error["Code"] == "AccessDenied"
    root[0].head_object(Bucket="drop-box", Key="kept")
