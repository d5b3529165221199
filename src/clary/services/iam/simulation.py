"""SimulatePrincipalPolicy and SimulateCustomPolicy: really evaluated, with the same language that `strict` enforces."""

from __future__ import annotations

from typing import Any

from clary.core.errors import ServiceError
from clary.core.service import Context, Platform, operation
from clary.languages import policies
from clary.services.iam import effective, listing
from clary.services.iam.documents import check_identity_policy
from clary.services.iam.effective import Source
from clary.services.iam.errors import InvalidInput, NoSuchEntity
from clary.services.iam.holders import find
from clary.services.iam.invented import InventedRoles
from clary.services.iam.rows import GROUP, ROLE, USER, find_role

_NOT_SIMULATED = (
    "ResourcePolicy",
    "ResourceOwner",
    "CallerArn",
    "ResourceHandlingOption",
    "PermissionsBoundaryPolicyInputList",
)


class Simulation:
    def __init__(self, platform: Platform):
        self._platform = platform
        self._invented = InventedRoles.of(platform)

    @operation("SimulatePrincipalPolicy")
    def simulate_principal_policy(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        return _simulate(request, self._sources(ctx, request["PolicySourceArn"]) + _given(request))

    @operation("SimulateCustomPolicy")
    def simulate_custom_policy(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        return _simulate(request, _given(request))

    def _sources(self, ctx: Context, arn: str) -> list[Source]:
        """The policies of a user, group or role by ARN. Raises NoSuchEntity, or InvalidInput for what has no policies."""
        *_, account, tail = arn.split(":", 5) if arn.count(":") >= 5 else ("", "", "")
        noun, _, name = tail.partition("/")
        kind = {"user": USER, "group": GROUP, "role": ROLE}.get(noun)
        if kind is None:
            raise InvalidInput(f"PolicySourceArn must be the ARN of a user, group or role; got {arn}")
        store, name = self._platform.resources, name.rpartition("/")[2]
        if kind == ROLE and name and find_role(store, account, name) is None and (role := self._invented.name(ctx, arn)):
            return effective.sources_of(store, role)
        if account != ctx.account:
            raise NoSuchEntity(f"The entity {arn} cannot be found in account {ctx.account}.")
        if kind == USER:
            find(store, USER, account, name)
            return effective.sources_of_user(store, account, name)
        return effective.sources_of(store, find(store, kind, account, name))


def _given(request: dict[str, Any]) -> list[Source]:
    documents = enumerate(request.get("PolicyInputList", []), start=1)
    return [Source(f"PolicyInputList.{number}", "none", check_identity_policy(text)) for number, text in documents]


def _simulate(request: dict[str, Any], sources: list[Source]) -> dict[str, Any]:
    for name in _NOT_SIMULATED:
        if request.get(name):
            raise ServiceError(f"{name} is not part of Clary's simulation; leave it out", code="InvalidInput", status=400)
    context = {
        entry["ContextKeyName"].lower(): tuple(entry.get("ContextKeyValues", ())) for entry in request.get("ContextEntries", [])
    }
    questions = [
        policies.Question(action, resource, context)
        for action in request["ActionNames"]
        for resource in request.get("ResourceArns") or ["*"]
    ]
    asked, paging = listing.page(enumerate(questions), request, lambda numbered: f"{numbered[0]:08d}")
    return {"EvaluationResults": [_result(question, sources) for _, question in asked]} | paging


def _result(question: policies.Question, sources: list[Source]) -> dict[str, Any]:
    parsed = [(source, policies.parse(source.document)) for source in sources]
    decision = policies.evaluate([policy for _, policy in parsed], question)
    deciding = [
        source
        for source, policy in parsed
        if decision is not policies.Decision.IMPLICIT_DENY and policies.evaluate([policy], question) is decision
    ]
    return {
        "EvalActionName": question.action,
        "EvalResourceName": question.resource,
        "EvalDecision": decision.value,
        "MatchedStatements": [{"SourcePolicyId": source.id, "SourcePolicyType": source.type} for source in deciding],
        "MissingContextValues": [],
    }
