"""Accounts, regions, ARNs, request ids and access key ids."""

from __future__ import annotations

import re
import secrets
import uuid
from dataclasses import dataclass

DEFAULT_ACCOUNT = "000000000000"
DEFAULT_REGION = "us-east-1"
_ACCOUNT = re.compile(r"\d{12}")


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a resource lives. Global services use region `""`."""

    account: str
    region: str


def partition(region: str) -> str:
    """The ARN partition of a region: `aws`, `aws-cn` or `aws-us-gov`."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


def arn(service: str, scope: Scope, tail: str) -> str:
    """`arn:aws:SERVICE:REGION:ACCOUNT:TAIL`."""
    return f"arn:{partition(scope.region)}:{service}:{scope.region}:{scope.account}:{tail}"


def account_of_access_key(access_key: str) -> str:
    """The account an unregistered key means in `open` mode: itself when it is 12 digits, else the default."""
    return access_key if _ACCOUNT.fullmatch(access_key) else DEFAULT_ACCOUNT


def request_id() -> str:
    return str(uuid.uuid4())


def random_id(length: int, alphabet: str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))
