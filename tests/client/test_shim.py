"""The shim in real Python processes: what reaches Clary, what is refused, what is left alone."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from clary.client import environment, shim


@pytest.fixture
def python(server, tmp_path):
    """`python(code, allow_aws=False)` runs a program as `clary run` would; returns its output, or its error as text."""

    def run(code: str, *, allow_aws: bool = False, **extra: str) -> str:
        environ = environment(server.endpoint, os.environ).applied_to(os.environ) | extra
        environ |= shim(server.endpoint, environ, allow_aws=allow_aws)
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=environ, timeout=60, cwd=tmp_path
        )
        return (done.stdout if done.returncode == 0 else done.stderr).strip()

    return run


CALLER = "client('sts', endpoint_url='https://sts.eu-west-1.amazonaws.com').get_caller_identity()['Account']"


@pytest.mark.parametrize(
    "code",
    [
        f"import boto3; print(boto3.{CALLER})",
        f"import http.client, boto3; print(boto3.{CALLER})",
        f"import urllib3.connection, boto3; print(boto3.{CALLER})",
    ],
)
@pytest.mark.parametrize("allow_aws", [False, True])
def test_a_hard_coded_sts_address_leads_to_the_server(python, code, allow_aws):
    assert python(code, allow_aws=allow_aws) == "000000000000"


@pytest.mark.parametrize(
    "code",
    [
        "import urllib.request; print(urllib.request.urlopen(URL).status)",
        "import http.client; c = http.client.HTTPSConnection(HOST); c.request('GET', '/'); print(c.getresponse().status)",
        "import urllib3; print(urllib3.PoolManager().request('GET', URL, retries=False).status)",
        "import urllib3; print(urllib3.PoolManager().request('GET', URL.replace('https', 'http'), retries=False).status)",
    ],
    ids=["urllib", "http.client", "urllib3", "urllib3 without TLS"],
)
def test_plain_http_libraries_reach_the_server_under_awss_names(python, code):
    """The bucket is not there, which only our server can know."""
    shown = python(f"HOST = 'no-bucket.s3.us-west-2.amazonaws.com'; URL = f'https://{{HOST}}/key'\n{code}")
    assert "404" in shown or "403" in shown, shown


def test_a_proxy_is_not_asked_for_aws(python):
    assert python(f"import boto3; print(boto3.{CALLER})", HTTPS_PROXY="http://127.0.0.1:9") == "000000000000"


@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.create_connection(('s3.amazonaws.com', 443))",
        "import socket; socket.gethostbyname('S3.AMAZONAWS.COM.')",
        "import asyncio; asyncio.run(asyncio.open_connection('sqs.us-east-1.api.aws', 443))",
        "import httpx; httpx.get('https://s3.cn-north-1.amazonaws.com.cn')",
        "import socket; socket.create_connection(('169.254.169.254', 80))",
    ],
)
def test_what_would_leave_the_machine_for_aws_is_refused_with_the_way_out(python, code):
    shown = python(code)
    assert "clary run: refused a connection to" in shown
    assert "--allow-aws" in shown


def test_aws_can_be_allowed(python):
    code = (
        "import socket\ntry: socket.getaddrinfo('nowhere.invalid', 443)\nexcept OSError as error: print(type(error).__name__)"
    )
    code = code.replace("nowhere.invalid", "nowhere.amazonaws.com.")
    assert "clary run" in python(code.replace("OSError", "ValueError"))
    assert python(code, allow_aws=True) == "gaierror"


def test_other_addresses_are_left_alone(python, server):
    code = f"import urllib.request; print(urllib.request.urlopen('{server.endpoint}/_clary/health').status)"
    assert python(code) == "200"


def test_a_sitecustomize_of_the_environment_still_runs(python, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "sitecustomize.py").write_text("import builtins; builtins.mine = 'ran'")
    assert python("print(mine)", PYTHONPATH=str(tmp_path / "mine")) == "ran"


def test_nothing_is_imported_before_the_program_does(python):
    code = "import sys; print([name for name in ('socket', 'ssl', 'http.client', 'urllib3') if name in sys.modules])"
    assert python(code) == "[]"


def test_without_clary_run_the_file_does_nothing(tmp_path):
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CLARY_")}
    environ |= {"PYTHONPATH": shim("http://127.0.0.1:1", {})["PYTHONPATH"]}
    code = "import sys; print(type(sys.meta_path[0]).__name__)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environ, check=True).stdout
    assert "_Gateway" not in shown
