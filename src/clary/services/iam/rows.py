"""How IAM's things lie in the resource store. IAM is global: the scope of an account's rows has region ""."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from clary.core.identifiers import Scope, derived_id
from clary.storage.resources import Resource

if TYPE_CHECKING:
    from clary.core.service import Platform
    from clary.storage.resources import ResourceStore, Transaction

T = TypeVar("T")

USER = "iam-user"
GROUP = "iam-group"
ROLE = "iam-role"
POLICY = "iam-policy"
INSTANCE_PROFILE = "iam-instance-profile"
ACCESS_KEY = "iam-access-key"

CHANGED = "iam"
"""The topic that IAM's writes wake."""
NOWHERE = Scope("", "")
"""The scope of access keys, which are looked up before the account is known."""

DEFAULT_ROLE = "ClaryExecutionRole"
"""A role that every account has without creating it, so that SDKs find an execution role."""
_DEFAULT_TRUST = """{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal":
 {"Service": ["sagemaker.amazonaws.com", "glue.amazonaws.com", "lambda.amazonaws.com", "states.amazonaws.com"]}}]}"""


async def write(platform: Platform, work: Callable[[Transaction], T]) -> T:
    """Write rows of IAM, and have the gateway forget what it remembers of keys and policies, before the caller hears of it."""

    def marked(transaction: Transaction) -> T:
        transaction.wake(CHANGED)
        return work(transaction)

    return await platform.resources.write(marked)


def home(account: str) -> Scope:
    return Scope(account, "")


def insert_access_key(
    transaction: Transaction, account: str, user: str | None, access_key: str, secret: str, created: float
) -> Resource:
    """The row of a key of `user`, or of the account's root when that is None."""
    document = {"AccountId": account} | ({} if user is None else {"UserName": user})
    return transaction.insert(
        ACCESS_KEY,
        NOWHERE,
        access_key,
        arn=f"arn:aws:iam::{account}:access-key/{access_key}",
        document=document,
        state={"Secret": secret},
        status="Active",
        created=created,
    )


def find_role(store: ResourceStore | Transaction, account: str, name: str) -> Resource | None:
    """The role, also the one that exists without a row."""
    return store.get(ROLE, home(account), name) or (default_role(account) if name == DEFAULT_ROLE else None)


def default_role(account: str) -> Resource:
    arn = f"arn:aws:iam::{account}:role/{DEFAULT_ROLE}"
    document = {
        "RoleName": DEFAULT_ROLE,
        "Path": "/",
        "AssumeRolePolicyDocument": _DEFAULT_TRUST,
        "Description": "Made by Clary: what training jobs and endpoints run as when nothing else is asked for",
        "MaxSessionDuration": 43200,
    }
    state = {
        "RoleId": derived_id("AROA", arn),
        "Inline": {},
        "Attached": ["arn:aws:iam::aws:policy/AmazonSageMakerFullAccess", "arn:aws:iam::aws:policy/AmazonS3FullAccess"],
    }
    return Resource(ROLE, home(account), DEFAULT_ROLE, arn, "", 0.0, 0.0, document, state)
