"""A web page cannot drive the server: foreign Host and Origin are refused, whatever else the request carries."""

from __future__ import annotations

import pytest
from tests.gateway.auth.raw import send, signed

from clary.core.config import Config
from clary.gateway.auth.origin import ForeignCaller, Origins

OURS = [
    "localhost",
    "localhost:4566",
    "LocalHost",
    "127.0.0.1:80",
    "127.8.9.10",
    "[::1]:4566",
    "bucket.s3.localhost:4566",
    "s3.amazonaws.com",
    "bucket.s3.eu-west-1.amazonaws.com",
    "sts.cn-north-1.amazonaws.com.cn",
]
FOREIGN = [
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "evil-amazonaws.com",
    "",
    "10.0.0.1",
    "[::2]",
    "a b",
]


def accepts(origins, **headers):
    try:
        origins.check({name.replace("_", "-"): value for name, value in headers.items()})
    except ForeignCaller:
        return False
    return True


@pytest.mark.parametrize("host", OURS)
def test_our_hosts(host):
    assert accepts(Origins(Config()), host=host)


@pytest.mark.parametrize("host", FOREIGN)
def test_foreign_hosts(host):
    assert not accepts(Origins(Config()), host=host)


def test_configured_names():
    origins = Origins(Config(hosts=("clary.test", "*.lab.test")))
    assert accepts(origins, host="Clary.test:4566")
    assert accepts(origins, host="a.lab.test", origin="https://b.lab.test")
    assert not accepts(origins, host="other.test")
    assert accepts(Origins(Config(host="0.0.0.0", auth="strict")), host="10.0.0.1:4566")


@pytest.mark.parametrize(
    ("origin", "accepted"),
    [
        ("http://localhost:3000", True),
        ("https://127.0.0.1", True),
        ("http://app.localhost", True),
        ("https://sts.us-east-1.amazonaws.com", True),
        ("https://runtime.sagemaker.eu-west-1.amazonaws.com", True),
        ("https://evil.example", False),
        ("null", False),
        ("file://", False),
        ("https://evil.s3.amazonaws.com", False),
        ("https://s3.amazonaws.com", False),
        ("https://ec2-1-2-3-4.compute-1.amazonaws.com", False),
        ("https://localhost.evil.example", False),
    ],
)
def test_origins(origin, accepted):
    assert accepts(Origins(Config()), host="localhost", origin=origin) == accepted


def test_a_page_of_the_very_host_is_not_foreign():
    assert accepts(Origins(Config()), host="b.s3.amazonaws.com", origin="https://b.s3.amazonaws.com")


@pytest.mark.parametrize(
    "foreign",
    [
        {"Host": "evil.example"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
@pytest.mark.parametrize("path", ["/", "/_clary/health", "/_clary/metrics", "/endpoints/e/invocations", "/bucket/key"])
def test_foreign_requests_are_refused_everywhere(server, path, foreign):
    headers = signed(server, "GET", path) | foreign
    assert send(server, "GET", path, headers)[0] == 403


def test_a_form_post_from_a_page_does_nothing(server):
    """What a page can send without a preflight: a simple content type, no headers of its own."""
    server.client("s3").create_bucket(Bucket="form-target")
    form = b"Action=CreateUser&Version=2010-05-08&UserName=intruder"
    for headers in (
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/x-www-form-urlencoded", "Origin": "https://evil.example"},
        {"Content-Type": "text/plain", "Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    ):
        assert send(server, "POST", "/", headers, form)[0] == 403
    presigned = "/form-target/k?AWSAccessKeyId=any&Signature=any&Expires=99999999999"
    assert send(server, "PUT", presigned, {"Origin": "https://evil.example"}, b"x")[0] == 403
    assert send(server, "OPTIONS", "/form-target/k", {"Origin": "https://evil.example"})[0] == 403
    assert "Contents" not in server.client("s3").list_objects_v2(Bucket="form-target")


def test_no_answer_allows_other_origins(server):
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("OPTIONS", "/", headers={"Origin": "http://localhost:3000", "Access-Control-Request-Method": "PUT"})
    response = connection.getresponse()
    assert response.status >= 400
    assert not [name for name, _ in response.getheaders() if name.lower().startswith("access-control")]
    connection.close()
