"""The names a caller answers to in a policy's Principal, and what conditions may know about it and its request."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from clary.core.service import Context, Identity

_TYPES = {"root": "Account", "user": "User", "role": "AssumedRole", "anonymous": "Anonymous"}
_CONTEXT_MEMBERS = {
    "s3": {"Prefix": "s3:prefix", "Delimiter": "s3:delimiter", "MaxKeys": "s3:max-keys", "VersionId": "s3:versionid"},
    "sagemaker": {"InstanceType": "sagemaker:instancetypes"},
}


def direct_names(identity: Identity) -> frozenset[str]:
    """The ARNs that mean this caller and nobody else."""
    return frozenset(name for name in (identity.arn, identity.role_arn) if name)


def account_names(account: str) -> frozenset[str]:
    """The names by which a policy trusts a whole account."""
    return frozenset((account, f"arn:aws:iam::{account}:root"))


def context_of(ctx: Context, request: dict[str, Any], resource_arn: str) -> dict[str, tuple[str, ...]]:
    """Condition keys (lower case) with their values, for the operation of `ctx` on one resource."""
    identity = ctx.identity
    now = time.time()
    context = {
        "aws:principalarn": (identity.role_arn or identity.arn,),
        "aws:principalaccount": (identity.account,),
        "aws:principaltype": (_TYPES.get(identity.kind, "Service"),),
        "aws:userid": (identity.user_id,),
        "aws:securetransport": ("true" if ctx.secure else "false",),
        "aws:currenttime": (datetime.fromtimestamp(now, UTC).isoformat(),),
        "aws:epochtime": (str(int(now)),),
        "aws:requestedregion": (ctx.region,),
        "aws:useragent": (ctx.headers.get("user-agent", ""),),
    }
    if identity.kind == "user":
        context["aws:username"] = (identity.arn.rpartition("/")[2],)
    return context | _tags(ctx, request, resource_arn) | _members(ctx.service, request)


def _tags(ctx: Context, request: dict[str, Any], resource_arn: str) -> dict[str, tuple[str, ...]]:
    """Tags of the request and of the resource, and those of the user or role that calls."""
    resources = ctx.platform.resources
    found: dict[str, tuple[str, ...]] = {}
    requested = request.get("Tags")
    if isinstance(requested, list) and all(isinstance(tag, dict) and "Key" in tag for tag in requested):
        found |= {f"aws:requesttag/{tag['Key'].lower()}": (tag.get("Value", ""),) for tag in requested}
        if requested:
            found["aws:tagkeys"] = tuple(tag["Key"] for tag in requested)
    for key, value in resources.tags(resource_arn).items():
        found[f"aws:resourcetag/{key.lower()}"] = (value,)
    for key, value in resources.tags(ctx.identity.role_arn or ctx.identity.arn).items():
        found[f"aws:principaltag/{key.lower()}"] = (value,)
    return found


def _members(service: str, request: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    named = _CONTEXT_MEMBERS.get(service, {})
    return {key: (str(request[member]),) for member, key in named.items() if member in request}
