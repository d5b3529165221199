"""May the caller do this? In `strict` mode the policies of the caller decide; in `open` mode everybody may.

`platform.extensions["authorizer"]`: services ask it about what is more than their own operation (passing a role, reading
what a job will read).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from clary.core.errors import ServiceError, ValidationException
from clary.core.service import Context, Identity, Platform
from clary.gateway.auth.actions import needs_of
from clary.gateway.auth.keys import split_role_arn
from clary.gateway.auth.principals import account_names, context_of, direct_names
from clary.gateway.auth.refusals import Reason, refusal
from clary.gateway.wire.directory import ENTRIES
from clary.languages.policies import Decision, Policy, Question, evaluate, parse
from clary.services.iam import effective
from clary.services.iam.rows import find_role

LONGEST_SESSION_SECONDS = 43200
MOST_REMEMBERED = 1000
_UNLIMITED = ("root", "service")

Values = Mapping[str, tuple[str, ...]]
"""Condition keys, in lower case, with their values."""


class Authorizer:
    """Decides with the policies that IAM holds now. They are remembered until IAM changes anything (`forget`)."""

    def __init__(self, platform: Platform):
        self._platform = platform
        self._strict = platform.config.auth == "strict"
        self._remembered: dict[str, list[Policy]] = {}

    def forget(self) -> None:
        self._remembered.clear()

    def authorize(self, ctx: Context, request: dict[str, Any]) -> None:
        """Raises AccessDenied when the caller's policies do not allow the operation of `ctx` on what `request` names."""
        if self._strict and ctx.identity.kind not in (*_UNLIMITED, "anonymous"):
            for action, resource in needs_of(ctx, request):
                self._require(ctx, action, resource, partial(context_of, ctx, request, resource))

    def check(self, ctx: Context, action: str, resource: str) -> None:
        """Raises AccessDenied unless the caller may do `action` on the resource with this ARN."""
        if self._strict:
            self._require(ctx, action, resource, partial(context_of, ctx, {}, resource))

    def _require(self, ctx: Context, action: str, resource: str, context: Callable[[], Values]) -> None:
        decision = self._decide(ctx.identity, action, resource, context)
        if decision is not Decision.ALLOWED:
            raise denied(ctx, action, resource, decision)

    def _decide(self, identity: Identity, action: str, resource: str, context: Callable[[], Values]) -> Decision:
        if identity.kind in _UNLIMITED:
            return Decision.ALLOWED
        policies = self._policies_of(identity)
        known = context() if any(policy.asks_context for policy in policies) else {}
        return evaluate(policies, Question(action, resource, known))

    def _policies_of(self, identity: Identity) -> list[Policy]:
        """The identity policies of a user or of the role of a session; none for anybody else."""
        principal = identity.role_arn or identity.arn
        found = self._remembered.get(principal)
        if found is None:
            found = [parse(source.document) for source in self._sources_of(identity)]
            if len(self._remembered) >= MOST_REMEMBERED:
                self.forget()
            self._remembered[principal] = found
        return found

    def _sources_of(self, identity: Identity) -> list[effective.Source]:
        store = self._platform.resources
        if identity.kind == "user":
            return effective.sources_of_user(store, identity.account, identity.arn.rpartition("/")[2])
        return effective.sources_of_role(store, *split_role_arn(identity.role_arn)) if identity.kind == "role" else []

    def pass_role(self, ctx: Context, role_arn: str, service_principal: str) -> None:
        """Whether a service may be given this role.

        The role must exist and trust the service; in open mode a role that does not exist is accepted. In strict mode the
        caller needs iam:PassRole. Raises `ValidationException` or AccessDenied.
        """
        account, name = _split(role_arn)
        role = find_role(self._platform.resources, account, name)
        if role is None and not self._strict:
            return
        trusted = role is not None and role.arn == role_arn and _trusts_service(role.document, service_principal)
        if not trusted:
            raise ValidationException(
                f"Could not assume role {role_arn}. Please ensure that the role exists and allows principal "
                f"'{service_principal}' to assume the role."
            )
        if self._strict:
            if account != ctx.account:
                protocol = ENTRIES[ctx.service].protocol if ctx.service in ENTRIES else "json"
                raise refusal(Reason.DENIED, protocol, "Cross-account pass role is not allowed.")
            passed = context_of(ctx, {}, role_arn) | {"iam:passedtoservice": (service_principal,)}
            self._require(ctx, "iam:PassRole", role_arn, lambda: passed)

    def assume_role(self, ctx: Context, role_arn: str, external_id: str | None) -> int:
        """Whether the caller may assume the role; returns the longest session in seconds. Raises AccessDenied."""
        account, name = _split(role_arn)
        role = find_role(self._platform.resources, account, name)
        longest = role.document.get("MaxSessionDuration", LONGEST_SESSION_SECONDS) if role else LONGEST_SESSION_SECONDS
        if not self._strict:
            return longest
        context = context_of(ctx, {}, role_arn)
        if external_id is not None:
            context |= {"sts:externalid": (external_id,)}
        if role is None or role.arn != role_arn or not self._trusted(ctx.identity, role.document, role_arn, account, context):
            raise denied(ctx, "sts:AssumeRole", role_arn, Decision.IMPLICIT_DENY)
        return longest

    def _trusted(self, identity: Identity, role: dict[str, Any], role_arn: str, account: str, context: Values) -> bool:
        """A trust policy that names the caller is enough within the account; one that trusts an account leaves the rest to
        the caller's own policies. A root user cannot assume roles but by the account's trust."""
        trust = parse(role["AssumeRolePolicyDocument"])
        direct, whole = direct_names(identity), account_names(identity.account)
        everybody = {"AWS": direct | whole}
        if evaluate([trust], Question("sts:AssumeRole", "*", context, everybody)) is not Decision.ALLOWED:
            return False
        own = self._decide(identity, "sts:AssumeRole", role_arn, lambda: context)
        if own is Decision.ALLOWED:
            return True
        named = evaluate([trust], Question("sts:AssumeRole", "*", context, {"AWS": direct})) is Decision.ALLOWED
        return named and own is not Decision.EXPLICIT_DENY and identity.account == account


def _split(role_arn: str) -> tuple[str, str]:
    try:
        return split_role_arn(role_arn)
    except ValueError as error:
        raise ValidationException(str(error)) from None


def _trusts_service(role: dict[str, Any], service_principal: str) -> bool:
    question = Question("sts:AssumeRole", "*", {}, {"Service": frozenset((service_principal,))})
    return evaluate([parse(role["AssumeRolePolicyDocument"])], question) is Decision.ALLOWED


def denied(ctx: Context, action: str, resource: str, decision: Decision) -> ServiceError:
    """AccessDenied in the words and code of the service that is called."""
    protocol = ENTRIES[ctx.service].protocol if ctx.service in ENTRIES else "json"
    because = (
        "with an explicit deny in an identity-based policy"
        if decision is Decision.EXPLICIT_DENY
        else f"because no identity-based policy allows the {action} action"
    )
    on = "" if resource == "*" else f" on resource: {resource}"
    return refusal(Reason.DENIED, protocol, f"User: {ctx.identity.arn} is not authorized to perform: {action}{on} {because}")
