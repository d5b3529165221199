"""The environment of `clary env` and `clary run`, against what botocore and the SDK make of it."""

from __future__ import annotations

import json
import os

import botocore.session
import pytest

from clary.client import Credentials, environment, shim
from clary.client.environment import SDK_CONFIG, SHIM, write_sdk_config

ENDPOINT = "http://127.0.0.1:4566"


def botocore_under(monkeypatch, environ):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return botocore.session.Session()


STRAYS = {
    "AWS_PROFILE": "work",
    "AWS_SESSION_TOKEN": "real",
    "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/real",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/real",
    "AWS_SSO_SESSION": "real",
    "AWS_ENDPOINT_URL_S3": "https://elsewhere",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    "AWS_USE_FIPS_ENDPOINT": "true",
}


@pytest.mark.parametrize("stray", STRAYS)
@pytest.mark.parametrize("service", ["s3", "sagemaker", "sagemaker-runtime", "logs"])
def test_nothing_in_the_environment_leads_botocore_elsewhere(monkeypatch, stray, service):
    found = {stray: STRAYS[stray]}
    session = botocore_under(monkeypatch, environment(ENDPOINT, found, region="eu-west-1").applied_to(found))
    client = session.create_client(service)
    assert client.meta.endpoint_url == ENDPOINT
    assert client.meta.region_name == "eu-west-1"
    keys = session.get_credentials().get_frozen_credentials()
    assert (keys.access_key, keys.token) == ("000000000000", None)


def test_given_keys_are_used():
    changes = environment(ENDPOINT, {}, credentials=Credentials("AKIA", "secret", "token"))
    assert changes.set["AWS_ACCESS_KEY_ID"] == "AKIA"
    assert changes.set["AWS_SESSION_TOKEN"] == "token"
    assert "AWS_SESSION_TOKEN" not in changes.unset


def test_proxies_are_passed_by_for_this_machine_and_for_aws():
    kept = environment(ENDPOINT, {"NO_PROXY": "intranet, localhost"}).set["NO_PROXY"].split(",")
    assert kept[:2] == ["intranet", "localhost"]
    assert {"127.0.0.1", ".amazonaws.com"} <= set(kept)


def test_the_sdks_telemetry_is_off_and_the_users_own_defaults_stay(tmp_path):
    file = write_sdk_config(tmp_path / "new" / "config.yaml")
    assert json.loads(file.read_text())["SageMaker"]["PythonSDK"]["Modules"]["TelemetryOptOut"] is True
    assert environment(ENDPOINT, {}, sdk_config=file).set[SDK_CONFIG] == str(file)
    assert SDK_CONFIG not in environment(ENDPOINT, {SDK_CONFIG: "/mine"}, sdk_config=file).set


def test_the_shim_comes_first_and_the_users_path_stays():
    path = shim(ENDPOINT, {"PYTHONPATH": os.pathsep.join(["/mine", str(SHIM)])})["PYTHONPATH"]
    assert path.split(os.pathsep) == [str(SHIM), "/mine"]
