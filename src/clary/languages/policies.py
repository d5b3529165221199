"""AWS policy documents: parse them, and answer whether they allow an action on a resource.

Source: the IAM user guide's "policy elements" and "evaluation logic" pages. An explicit Deny wins over every Allow, and
nothing is allowed that no statement allows. Identity policies and resource policies (those with a Principal) share one
language; `languages/conditions.py` has the Condition operators.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Any

from clary.languages import conditions

VERSIONS = ("2012-10-17", "2008-10-17")
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_SPECIAL_VARIABLES = {"*": "*", "?": "?", "$": "$"}


class MalformedPolicy(ValueError):
    """The document is not a policy; the message says which element is wrong."""


class Decision(Enum):
    """The answer, in the words of `SimulatePrincipalPolicy`."""

    ALLOWED = "allowed"
    EXPLICIT_DENY = "explicitDeny"
    IMPLICIT_DENY = "implicitDeny"


@dataclass(frozen=True, slots=True)
class Question:
    """May `principals` do `action` on `resource`?

    `context` holds condition keys in lower case with their values; `principals` are all the names the caller answers to,
    by kind: `{"AWS": {"arn:aws:iam::111122223333:user/anna", "111122223333", ...}, "Service": {"sagemaker.amazonaws.com"}}`.
    """

    action: str
    resource: str = "*"
    context: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    principals: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. `None` means that the element is absent; exactly one of each pair (x, not_x) is present where required."""

    sid: str
    allow: bool
    actions: tuple[str, ...] | None
    not_actions: tuple[str, ...] | None
    resources: tuple[str, ...] | None
    not_resources: tuple[str, ...] | None
    principals: dict[str, tuple[str, ...]] | None
    not_principals: dict[str, tuple[str, ...]] | None
    condition: tuple[conditions.Test, ...]
    variables: bool

    def applies(self, question: Question) -> bool:
        """Whether action, resource, principal and condition all match; the effect is not looked at."""
        return (
            self._matches_action(question.action)
            and self._matches_resource(question)
            and self._matches_principal(question)
            and all(test.holds(question.context, self._substitute(question)) for test in self.condition)
        )

    def _matches_action(self, action: str) -> bool:
        if self.actions is not None:
            return any(_like(pattern.lower())(action.lower()) for pattern in self.actions)
        return not any(_like(pattern.lower())(action.lower()) for pattern in self.not_actions or ())

    def _matches_resource(self, question: Question) -> bool:
        substitute = self._substitute(question)
        if self.resources is not None:
            return any(matches_arn(substitute(pattern), question.resource) for pattern in self.resources)
        if self.not_resources is not None:
            return not any(matches_arn(substitute(pattern), question.resource) for pattern in self.not_resources)
        return True

    def _matches_principal(self, question: Question) -> bool:
        if self.principals is not None:
            return _names_one_of(self.principals, question.principals)
        if self.not_principals is not None:
            return not _names_one_of(self.not_principals, question.principals)
        return True

    def _substitute(self, question: Question) -> Callable[[str], str]:
        """Replaces `${aws:username}` and the like; a variable without a value matches nothing, as AWS has it."""
        if not self.variables:
            return lambda text: text

        def value(match: re.Match[str]) -> str:
            key, _, default = match[1].partition(",")
            if key in _SPECIAL_VARIABLES:
                return escape_wildcards(_SPECIAL_VARIABLES[key])
            found = question.context.get(key.strip().lower(), ())
            if len(found) == 1:
                return escape_wildcards(found[0])
            return escape_wildcards(default.strip().strip("'")) if default else conditions.NOTHING

        return lambda text: _VARIABLE.sub(value, text) if "${" in text else text


@dataclass(frozen=True, slots=True)
class Policy:
    """`asks_context`: whether conditions or variables make the decision depend on more than action and resource."""

    statements: tuple[Statement, ...]
    asks_context: bool


def evaluate(policies: Iterable[Policy], question: Question) -> Decision:
    """The decision of all `policies` together: an explicit Deny, else any Allow, else nothing."""
    decision = Decision.IMPLICIT_DENY
    for policy in policies:
        for statement in policy.statements:
            if statement.allow and decision is Decision.ALLOWED:
                continue
            if statement.applies(question):
                if not statement.allow:
                    return Decision.EXPLICIT_DENY
                decision = Decision.ALLOWED
    return decision


def matches_arn(pattern: str, resource: str) -> bool:
    """Whether an ARN pattern covers a resource: the parts between the first five colons match one by one.

    >>> matches_arn("arn:aws:s3:::logs-*", "arn:aws:s3:::logs-2026/a/b")
    True
    """
    if pattern == "*":
        return True
    patterns, parts = pattern.split(":", 5), resource.split(":", 5)
    return len(patterns) == len(parts) and all(_like(one)(part) for one, part in zip(patterns, parts, strict=True))


def escape_wildcards(text: str) -> str:
    """Make `*` and `?` of a substituted value stand for themselves."""
    return re.sub(f"([*?{conditions.ESCAPE}])", rf"{conditions.ESCAPE}\1", text)


def _names_one_of(named: dict[str, tuple[str, ...]], principals: Mapping[str, frozenset[str]]) -> bool:
    if "*" in named.get("AWS", ()):
        return True
    return any(name in principals.get(kind, ()) for kind, names in named.items() for name in names)


@lru_cache(maxsize=4096)
def _like(pattern: str) -> Callable[[str], Any]:
    """A matcher for a pattern with `*` and `?`."""
    if pattern == "*":
        return lambda text: True
    return re.compile(conditions.expression_of(pattern), re.DOTALL).fullmatch


@lru_cache(maxsize=2048)
def parse(document: str) -> Policy:
    """The policy in a JSON text. Raises `MalformedPolicy`."""
    try:
        content = json.loads(document)
    except ValueError as error:
        raise MalformedPolicy(f"the policy is not valid JSON: {error}") from None
    if not isinstance(content, dict):
        raise MalformedPolicy("a policy is a JSON object with a Statement")
    version = content.get("Version", "2008-10-17")
    if version not in VERSIONS:
        raise MalformedPolicy(f"Version must be one of {', '.join(VERSIONS)}; got {version!r}")
    if unknown := sorted(set(content) - {"Version", "Id", "Statement"}):
        raise MalformedPolicy(f"unknown policy element {unknown[0]!r}; known are Version, Id and Statement")
    statements = content.get("Statement")
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not statements:
        raise MalformedPolicy("Statement must be an object or a list with at least one of them")
    parsed = tuple(_statement(one, version) for one in statements)
    return Policy(parsed, "${" in document or any(one.condition for one in parsed))


_ELEMENTS = {
    "Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Principal", "NotPrincipal", "Condition"
}  # fmt: skip


def _statement(content: Any, version: str) -> Statement:
    if not isinstance(content, dict):
        raise MalformedPolicy("each Statement must be an object")
    if unknown := sorted(set(content) - _ELEMENTS):
        raise MalformedPolicy(f"unknown statement element {unknown[0]!r}; known are {', '.join(sorted(_ELEMENTS))}")
    effect = content.get("Effect")
    if effect not in ("Allow", "Deny"):
        raise MalformedPolicy(f"Effect must be Allow or Deny; got {effect!r}")
    _exactly_one(content, "Action", "NotAction")
    for pair in (("Resource", "NotResource"), ("Principal", "NotPrincipal")):
        if pair[0] in content and pair[1] in content:
            raise MalformedPolicy(f"a statement has {pair[0]} or {pair[1]}, not both")
    try:
        condition = conditions.parse(content.get("Condition", {}))
    except ValueError as error:
        raise MalformedPolicy(str(error)) from None
    return Statement(
        sid=str(content.get("Sid", "")),
        allow=effect == "Allow",
        actions=_actions(content, "Action"),
        not_actions=_actions(content, "NotAction"),
        resources=_texts(content, "Resource"),
        not_resources=_texts(content, "NotResource"),
        principals=_principals(content, "Principal"),
        not_principals=_principals(content, "NotPrincipal"),
        condition=condition,
        variables=version == "2012-10-17",
    )


def _exactly_one(content: dict[str, Any], *names: str) -> None:
    if sum(name in content for name in names) != 1:
        raise MalformedPolicy(f"a statement has exactly one of {' and '.join(names)}")


def _texts(content: dict[str, Any], name: str) -> tuple[str, ...] | None:
    if name not in content:
        return None
    value = content[name]
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise MalformedPolicy(f"{name} must be a string or a list of strings")
    return tuple(texts)


def _actions(content: dict[str, Any], name: str) -> tuple[str, ...] | None:
    actions = _texts(content, name)
    for action in actions or ():
        if action != "*" and not re.fullmatch(r"[\w*?-]+:[\w*?]+", action):
            raise MalformedPolicy(f"{name} {action!r} must look like service:Operation, with * and ? as wildcards")
    return actions


def _principals(content: dict[str, Any], name: str) -> dict[str, tuple[str, ...]] | None:
    if name not in content:
        return None
    value = content[name]
    if value == "*":
        return {"AWS": ("*",)}
    if not isinstance(value, dict) or set(value) - {"AWS", "Service", "Federated", "CanonicalUser"}:
        raise MalformedPolicy(f'{name} must be "*" or an object with AWS, Service, Federated or CanonicalUser')
    return {kind: _texts(value, kind) or () for kind in value}


def names_resources(policy: Policy) -> bool:
    """Whether every statement has a Resource, as identity policies must."""
    return all(one.resources is not None or one.not_resources is not None for one in policy.statements)


def has_resources(policy: Policy) -> bool:
    """Whether any statement has a Resource, which trust policies must not."""
    return any(one.resources is not None or one.not_resources is not None for one in policy.statements)


def names_principals(policy: Policy) -> bool:
    """Whether every statement has a Principal, as resource and trust policies must."""
    return all(one.principals is not None or one.not_principals is not None for one in policy.statements)


def has_principals(policy: Policy) -> bool:
    """Whether any statement has a Principal, which identity policies must not."""
    return any(one.principals is not None or one.not_principals is not None for one in policy.statements)
