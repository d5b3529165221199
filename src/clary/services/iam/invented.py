"""Roles that clients use in open mode though nobody has made them.

There any role may run a job and be assumed. SDK v3 looks at a role before it uses it: SimulatePrincipalPolicy with the ARN,
then GetRole with the name. So a role that was named by its ARN, or that the caller has assumed, is described like the default
role. Only then: a program that makes a role when GetRole does not find it goes on to make it.
"""

from __future__ import annotations

from dataclasses import replace

from clary.core.identifiers import derived_id
from clary.core.service import Context, Platform
from clary.services.iam.rows import default_role
from clary.storage.resources import Resource

MOST_NAMED = 1000


class InventedRoles:
    """Remembered until the server ends: they have no rows, so CreateRole can still make them."""

    def __init__(self, platform: Platform):
        self._is_open = platform.config.auth == "open"
        self._named: dict[tuple[str, str], Resource] = {}

    @staticmethod
    def of(platform: Platform) -> InventedRoles:
        """The one memory that IAM's resources share."""
        return platform.extensions.setdefault("invented roles", InventedRoles(platform))

    def name(self, ctx: Context, role_arn: str) -> Resource | None:
        """The role with this ARN, which the account of the caller uses from now on; None in strict mode."""
        if not self._is_open:
            return None
        role = _like_the_default(role_arn)
        if len(self._named) >= MOST_NAMED:
            self._named.clear()
        self._named[ctx.account, role.name] = role
        return role

    def find(self, ctx: Context, name: str) -> Resource | None:
        """A role that was named before, or whose session the caller has."""
        own = ctx.identity.role_arn
        if self._is_open and own.rpartition("/")[2] == name:
            return _like_the_default(own)
        return self._named.get((ctx.account, name))


def _like_the_default(role_arn: str) -> Resource:
    account, tail = role_arn.split(":", 5)[4:]
    path, _, name = tail.removeprefix("role").rpartition("/")
    role = default_role(account)
    about = {"RoleName": name, "Path": f"{path}/", "Description": "Not made by anybody: in open mode any role may be used"}
    state = role.state | {"RoleId": derived_id("AROA", role_arn)}
    return replace(role, name=name, arn=role_arn, document=role.document | about, state=state)
