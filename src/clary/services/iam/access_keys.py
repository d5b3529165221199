"""Access keys of users. The secret is shown once; the gateway keeps it, because signatures are verified with it."""

from __future__ import annotations

import secrets
from typing import Any

from clary.core.identifiers import access_key_id
from clary.core.service import Context, Platform, operation
from clary.services.iam import listing
from clary.services.iam.errors import InvalidInput, LimitExceeded, NoSuchEntity
from clary.services.iam.holders import find
from clary.services.iam.rows import ACCESS_KEY, NOWHERE, USER, insert_access_key, write
from clary.storage.resources import Resource, Transaction

MOST_KEYS = 2


class AccessKeys:
    def __init__(self, platform: Platform):
        self._platform = platform

    @operation("CreateAccessKey")
    async def create_access_key(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        name, key, secret = _user_name(ctx, request), access_key_id("AKIA", ctx.account), secrets.token_urlsafe(30)

        def work(transaction: Transaction) -> Resource:
            user = find(transaction, USER, ctx.account, name)
            if len(user.state["AccessKeys"]) >= MOST_KEYS:
                raise LimitExceeded(f"Cannot exceed quota for AccessKeysPerUser: {MOST_KEYS}")
            self._set_keys(transaction, user, [*user.state["AccessKeys"], key])
            return insert_access_key(transaction, ctx.account, name, key, secret, self._platform.clock.now())

        row = await write(self._platform, work)
        return {"AccessKey": _describe(row) | {"SecretAccessKey": secret}}

    @operation("ListAccessKeys")
    def list_access_keys(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        user = find(self._platform.resources, USER, ctx.account, _user_name(ctx, request))
        rows = [self._platform.resources.get(ACCESS_KEY, NOWHERE, key) for key in user.state["AccessKeys"]]
        shown, paging = listing.page([row for row in rows if row is not None], request, lambda row: row.name)
        return {"AccessKeyMetadata": [_describe(row) for row in shown]} | paging

    @operation("UpdateAccessKey")
    async def update_access_key(self, ctx: Context, request: dict[str, Any]) -> None:
        if request["Status"] not in ("Active", "Inactive"):
            raise InvalidInput(f"Status must be Active or Inactive; got {request['Status']!r}")

        def work(transaction: Transaction) -> None:
            row = _find(transaction, ctx, request)
            transaction.update(row, status=request["Status"], modified=self._platform.clock.now())

        await write(self._platform, work)

    @operation("DeleteAccessKey")
    async def delete_access_key(self, ctx: Context, request: dict[str, Any]) -> None:
        def work(transaction: Transaction) -> None:
            row = _find(transaction, ctx, request)
            user = find(transaction, USER, ctx.account, row.document["UserName"])
            self._set_keys(transaction, user, [key for key in user.state["AccessKeys"] if key != row.name])
            transaction.delete(row)

        await write(self._platform, work)

    def _set_keys(self, transaction: Transaction, user: Resource, keys: list[str]) -> None:
        transaction.update(user, state=user.state | {"AccessKeys": keys}, modified=self._platform.clock.now())


def _user_name(ctx: Context, request: dict[str, Any]) -> str:
    """The user that the request names, else the one that calls. Raises InvalidInput for callers that are no user."""
    if "UserName" in request:
        return request["UserName"]
    if ctx.identity.kind != "user":
        raise InvalidInput("Must specify userName when calling with non-User credentials")
    return ctx.identity.arn.rpartition("/")[2]


def _find(transaction: Transaction, ctx: Context, request: dict[str, Any]) -> Resource:
    row = transaction.get(ACCESS_KEY, NOWHERE, request["AccessKeyId"])
    owner = {"AccountId": ctx.account, "UserName": _user_name(ctx, request)}
    if row is None or row.document != owner:
        raise NoSuchEntity(f"The Access Key with id {request['AccessKeyId']} cannot be found.")
    return row


def _describe(row: Resource) -> dict[str, Any]:
    return {
        "UserName": row.document["UserName"],
        "AccessKeyId": row.name,
        "Status": row.status,
        "CreateDate": row.created,
    }
