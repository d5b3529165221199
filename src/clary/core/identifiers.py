"""Accounts, regions, ARNs, request ids and access key ids."""

from __future__ import annotations

import base64
import hashlib
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


def access_key_id(prefix: str, account: str) -> str:
    """A new access key id of 20 characters, as AWS's: `AKIA` (a user's) or `ASIA` (a session's), the account, then chance."""
    return prefix + base64.b32encode(int(account).to_bytes(5, "big")).decode() + random_id(8)


def account_in(access_key: str) -> str | None:
    """The account that an id made by `access_key_id` carries; None for other text."""
    if not re.fullmatch(r"A[KS]IA[A-Z2-7]{16}", access_key):
        return None
    return f"{int.from_bytes(base64.b32decode(access_key[4:12]), 'big'):012d}"


def derived_id(prefix: str, arn: str) -> str:
    """The unique id (`AROA...`) of something that exists without having been created; the same on every call."""
    return prefix + base64.b32encode(hashlib.sha256(arn.encode()).digest()).decode()[:17]
