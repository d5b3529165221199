"""The environment variables that make unmodified AWS clients speak to Clary, and nothing else.

Sources: botocore's configuration provider chain, the `sagemaker` SDK's configuration files (v2 and v3 read the same).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from clary.core.identifiers import DEFAULT_ACCOUNT, DEFAULT_REGION

SHIM = Path(__file__).parent / "shim"
AWS_DOMAINS = ("amazonaws.com", "amazonaws.com.cn", "api.aws")
SDK_CONFIG = "SAGEMAKER_ADMIN_CONFIG_OVERRIDE"

STRAY_CREDENTIALS = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SECURITY_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CREDENTIAL_EXPIRATION",
)
"""Other ways to an identity. A client that finds one may prefer it, or refuse to start because its profile is gone."""

STRAY_ENDPOINTS = ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT")
"""Settings that make botocore ignore `AWS_ENDPOINT_URL`, or refuse it."""

STRAY_PREFIXES = ("AWS_SSO_", "AWS_ENDPOINT_URL_")
"""`AWS_ENDPOINT_URL_S3` and its like win over `AWS_ENDPOINT_URL`."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key pair. In `open` mode any does, and 12 digits name the account."""

    access_key_id: str = DEFAULT_ACCOUNT
    secret_access_key: str = "clary"
    session_token: str = ""


@dataclass(slots=True)
class Changes:
    """What to do to an environment."""

    set: dict[str, str] = field(default_factory=dict)
    unset: list[str] = field(default_factory=list)

    def applied_to(self, environ: Mapping[str, str]) -> dict[str, str]:
        return {name: value for name, value in environ.items() if name not in self.unset} | self.set


def environment(
    endpoint: str,
    environ: Mapping[str, str],
    *,
    credentials: Credentials | None = None,
    region: str = DEFAULT_REGION,
    sdk_config: Path | None = None,
) -> Changes:
    """What turns `environ` into one whose AWS clients speak to `endpoint`.

    `sdk_config` is a file that `write_sdk_config` made. A defaults file that the user has set already is left in place.
    """
    credentials = credentials or Credentials()
    changes = Changes(
        {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_ACCESS_KEY_ID": credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        | _no_proxy(environ)
    )
    changes.unset = [*STRAY_CREDENTIALS, *STRAY_ENDPOINTS, *(n for n in sorted(environ) if n.startswith(STRAY_PREFIXES))]
    if credentials.session_token:
        changes.set["AWS_SESSION_TOKEN"] = credentials.session_token
    else:
        changes.unset.append("AWS_SESSION_TOKEN")
    if sdk_config is not None and SDK_CONFIG not in environ:
        changes.set[SDK_CONFIG] = str(sdk_config)
    return changes


def shim(endpoint: str, environ: Mapping[str, str], *, allow_aws: bool = False) -> dict[str, str]:
    """What makes Python programs load `shim/sitecustomize.py`, which says what it does."""
    path = [str(SHIM), *filter(None, environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(path)),
        "CLARY_ENDPOINT": endpoint,
        "CLARY_ALLOW_AWS": "1" if allow_aws else "",
    }


def _no_proxy(environ: Mapping[str, str]) -> dict[str, str]:
    """Loopback and AWS's names must not go to a proxy: it would send them to the real ones, or not find ours."""
    direct = ["localhost", "127.0.0.1", "::1", *(f".{domain}" for domain in AWS_DOMAINS)]
    return {name: ",".join(dict.fromkeys([*_listed(environ.get(name)), *direct])) for name in ("NO_PROXY", "no_proxy")}


def _listed(value: str | None) -> list[str]:
    return [part.strip() for part in (value or "").split(",") if part.strip()]


def write_sdk_config(file: Path) -> Path:
    """A defaults file for the `sagemaker` SDKs that turns their telemetry off. JSON, which is YAML too."""
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"SchemaVersion": "1.0", "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}}}, indent=2)
    if not file.exists() or file.read_text() != text:
        file.write_text(text)
    return file
