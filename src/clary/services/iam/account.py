"""What IAM says about the account as a whole: its aliases and what it holds against its quotas."""

from __future__ import annotations

from typing import Any

from clary.core.service import Context, Platform, operation
from clary.services.iam import listing
from clary.services.iam.access_keys import MOST_KEYS
from clary.services.iam.errors import EntityAlreadyExists, NoSuchEntity
from clary.services.iam.holders import MOST_ATTACHED
from clary.services.iam.policies import MOST_VERSIONS
from clary.services.iam.rows import GROUP, INSTANCE_PROFILE, NOWHERE, POLICY, ROLE, USER, home, write
from clary.storage.resources import Duplicate, Transaction

ALIAS = "iam-account-alias"
_COUNTED = {
    "Users": USER,
    "Groups": GROUP,
    "Roles": ROLE,
    "Policies": POLICY,
    "InstanceProfiles": INSTANCE_PROFILE,
}


class Account:
    def __init__(self, platform: Platform):
        self._platform = platform

    @operation("GetAccountSummary")
    def get_account_summary(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        """What there is, and the quotas that are enforced."""
        counted = {name: len(listing.rows(ctx, kind)) for name, kind in _COUNTED.items()}
        quotas = {f"AttachedPoliciesPer{noun}Quota": MOST_ATTACHED for noun in ("User", "Group", "Role")}
        return {"SummaryMap": counted | quotas | {"AccessKeysPerUserQuota": MOST_KEYS, "VersionsPerPolicyQuota": MOST_VERSIONS}}

    @operation("CreateAccountAlias")
    async def create_account_alias(self, ctx: Context, request: dict[str, Any]) -> None:
        """An alias is unique over all accounts; a second one replaces the first."""
        alias = request["AccountAlias"]

        def work(transaction: Transaction) -> None:
            if (old := transaction.get(ALIAS, home(ctx.account), "alias")) is not None:
                self._remove(transaction, ctx, old.document["AccountAlias"])
            now, arn = self._platform.clock.now(), f"arn:aws:iam::{ctx.account}:alias/{alias}"
            transaction.insert(ALIAS, NOWHERE, alias, arn=arn, document={"AccountId": ctx.account}, created=now)
            transaction.insert(ALIAS, home(ctx.account), "alias", arn=arn, document={"AccountAlias": alias}, created=now)

        try:
            await write(self._platform, work)
        except Duplicate:
            raise EntityAlreadyExists(f"The account alias {alias} already exists.") from None

    @operation("DeleteAccountAlias")
    async def delete_account_alias(self, ctx: Context, request: dict[str, Any]) -> None:
        def work(transaction: Transaction) -> None:
            row = transaction.get(ALIAS, home(ctx.account), "alias")
            if row is None or row.document["AccountAlias"] != request["AccountAlias"]:
                raise NoSuchEntity(f"The account alias {request['AccountAlias']} cannot be found.")
            self._remove(transaction, ctx, request["AccountAlias"])

        await write(self._platform, work)

    def _remove(self, transaction: Transaction, ctx: Context, alias: str) -> None:
        for scope, name in ((NOWHERE, alias), (home(ctx.account), "alias")):
            if (row := transaction.get(ALIAS, scope, name)) is not None:
                transaction.delete(row)

    @operation("ListAccountAliases")
    def list_account_aliases(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        row = self._platform.resources.get(ALIAS, home(ctx.account), "alias")
        return {"AccountAliases": [row.document["AccountAlias"]] if row else [], "IsTruncated": False}
