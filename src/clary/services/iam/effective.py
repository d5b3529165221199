"""All policy documents that count for a user, a role or a group, wherever they are attached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clary.services.iam import managed
from clary.services.iam.rows import GROUP, POLICY, ROLE, USER, find_role, home
from clary.storage.resources import Resource

if TYPE_CHECKING:
    from clary.storage.resources import ResourceStore


@dataclass(frozen=True, slots=True)
class Source:
    """One document and where it comes from (`type` and `id` in SimulatePrincipalPolicy's words)."""

    id: str
    type: str
    document: str


def sources_of_user(store: ResourceStore, account: str, name: str) -> list[Source]:
    """The user's own policies and those of its groups; none when the user does not exist."""
    user = store.get(USER, home(account), name)
    if user is None:
        return []
    groups = [store.get(GROUP, home(account), group) for group in user.state["Groups"]]
    return sources_of(store, user) + [source for group in groups if group for source in sources_of(store, group)]


def sources_of_role(store: ResourceStore, account: str, name: str) -> list[Source]:
    role = find_role(store, account, name)
    return sources_of(store, role) if role else []


_TYPES = {USER: "user", GROUP: "group", ROLE: "role"}


def sources_of(store: ResourceStore, holder: Resource) -> list[Source]:
    """The inline and attached policies of one user, group or role."""
    kind = _TYPES[holder.kind]
    inline = [Source(f"{kind}_{holder.name}_{name}", kind, text) for name, text in holder.state["Inline"].items()]
    attached = ((arn, document_of(store, arn)) for arn in holder.state["Attached"])
    return inline + [Source(arn, "managed", text) for arn, text in attached if text is not None]


def document_of(store: ResourceStore, arn: str) -> str | None:
    """The default version of a managed policy, AWS's or the account's; None when there is none."""
    if arn in managed.BY_ARN:
        return managed.BY_ARN[arn].document
    row = store.by_arn(arn)
    if row is None or row.kind != POLICY:
        return None
    return next(one["Document"] for one in row.state["Versions"] if one["VersionId"] == row.state["Default"])
