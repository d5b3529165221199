"""Browser uploads: a signed policy allows exactly what it says. The form is streamed, and boundaries may fall anywhere."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.services.s3.errors import S3Error
from clary.services.s3.forms import read_form


@pytest.fixture
def post(server, s3, bucket):
    """`post(key, file, fields, conditions)`: what a page would do with `generate_presigned_post`."""

    def send(key="k", file=b"content", fields=None, conditions=None, more=None, name="dir/photo.png", client=s3):
        signed = client.generate_presigned_post(bucket, key, Fields=fields, Conditions=conditions)
        form = {field: (None, value) for field, value in (signed["fields"] | (more or {})).items()}
        return httpx.post(f"{server.endpoint}/{bucket}", files=form | {"file": (name, file)})

    return send


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_a_form_stores_its_file(server, s3, bucket, post, version):
    client = server.client("s3", signature_version=version)
    fields = {"Content-Type": "image/png", "x-amz-meta-by": "me"}
    answer = post(fields=fields, conditions=[{"Content-Type": "image/png"}, {"x-amz-meta-by": "me"}], client=client)
    assert answer.status_code == 204, answer.text
    got = s3.get_object(Bucket=bucket, Key="k")
    assert (got["Body"].read(), got["ContentType"], got["Metadata"]) == (b"content", "image/png", {"by": "me"})
    assert answer.headers["etag"] == got["ETag"]


def test_a_large_file(s3, bucket, post):
    file = bytes(range(256)) * 20_000
    assert post(file=file).status_code == 204
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == file


def test_the_key_takes_the_files_name(s3, bucket, post):
    assert post(key="up/${filename}").status_code == 204
    assert s3.list_objects_v2(Bucket=bucket)["Contents"][0]["Key"] == "up/photo.png"


def test_success_answers(bucket, post):
    def asked(name: str, value: str):
        return post(fields={name: value}, conditions=[{name: value}])

    assert asked("success_action_status", "200").status_code == 200
    assert asked("success_action_status", "999").status_code == 204
    created = asked("success_action_status", "201")
    assert created.status_code == 201
    assert f"<Bucket>{bucket}</Bucket><Key>k</Key>" in created.text
    redirected = asked("success_action_redirect", "http://example.com/done?a=1")
    assert redirected.status_code == 303
    assert redirected.headers["location"].startswith(f"http://example.com/done?a=1&bucket={bucket}&key=k&etag=")


def test_the_policy_decides(s3, bucket, post):
    for arguments, code in (
        ({"more": {"x-amz-meta-extra": "1"}}, "AccessDenied"),
        ({"more": {"key": "another"}}, "AccessDenied"),
        ({"fields": {"Content-Type": "text/html"}, "conditions": [["starts-with", "$Content-Type", "image/"]]}, "AccessDenied"),
        ({"conditions": [["content-length-range", 1, 3]]}, "EntityTooLarge"),
        ({"conditions": [["content-length-range", 100, 200]]}, "EntityTooSmall"),
    ):
        answer = post(**arguments)
        assert f"<Code>{code}</Code>" in answer.text, (arguments, answer.text)
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    allowed = post(fields={"Content-Type": "image/gif"}, conditions=[["starts-with", "$Content-Type", "image/"]])
    assert allowed.status_code == 204
    assert post(more={"x-ignore-me": "1"}, conditions=[["content-length-range", 7, 7]]).status_code == 204


def test_an_expired_policy_and_a_form_without_one(server, s3, bucket):
    signed = s3.generate_presigned_post(bucket, "k")
    policy = json.loads(base64.b64decode(signed["fields"]["policy"]))
    policy["expiration"] = (datetime.now(UTC) - timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    old = signed["fields"] | {"policy": base64.b64encode(json.dumps(policy).encode()).decode()}
    for fields in (old, {"key": "k"}):
        form = {field: (None, value) for field, value in fields.items()} | {"file": ("f", b"x")}
        answer = httpx.post(f"{server.endpoint}/{bucket}", files=form)
        assert (answer.status_code, "AccessDenied" in answer.text) == (403, True), answer.text


def test_malformed_forms(server, bucket):
    for content_type, body, code in (
        ("multipart/form-data", b"x", "MalformedPOSTRequest"),
        ("multipart/form-data; boundary=b", b"--b\r\nno name\r\n\r\nx\r\n--b--\r\n", "MalformedPOSTRequest"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="key"\r\n\r\nx',
            "MalformedPOSTRequest",
        ),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="key"\r\n\r\nx\r\n--b--\r\n',
            "InvalidArgument",
        ),
        ("multipart/form-data; boundary=b", b"--b\r\n" + b"x" * 30_000, "MaxPostPreDataLengthExceededError"),
    ):
        answer = httpx.post(f"{server.endpoint}/{bucket}", content=body, headers={"Content-Type": content_type})
        assert (answer.status_code, f"<Code>{code}</Code>" in answer.text) == (400, True), answer.text


@given(
    st.dictionaries(
        st.text("abcxyz-", min_size=1, max_size=8).filter(lambda name: name != "file"),
        st.text("a-\r\n", max_size=20),
        max_size=4,
    ),
    st.binary(max_size=300) | st.sampled_from([b"\r\n--bounda", b"\r\n--boundar\r\n--boundary", b"--boundary"[:-1] * 30]),
    st.integers(1, 40),
)
def test_a_form_survives_any_split(fields, file, step):
    body = b"".join(
        f'--boundary\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    )
    body += b'--boundary\r\nContent-Disposition: form-data; name="file"; filename="C:\\dir\\f.txt"\r\n\r\n'
    if b"\r\n--boundary" in file or any("\r\n--boundary" in value for value in fields.values()):
        return
    body += file + b"\r\n--boundary--\r\n"

    async def chunks():
        for start in range(0, len(body), step):
            yield body[start : start + step]

    async def scenario():
        form = await read_form('multipart/form-data; boundary="boundary"', chunks())
        assert form.fields == fields
        assert form.file_name == "f.txt"
        assert b"".join([piece async for piece in form.file]) == file

    asyncio.run(scenario())


@given(st.binary(max_size=200))
def test_garbage_is_refused_and_nothing_else_happens(body):
    async def chunks():
        yield body

    async def scenario():
        with pytest.raises(S3Error):
            await read_form("multipart/form-data; boundary=b", chunks())

    asyncio.run(scenario())
