"""Policy documents on the way in and out: checked when they are stored, URL-encoded when they are shown."""

from __future__ import annotations

from urllib.parse import quote

from clary.languages import policies
from clary.services.iam.errors import MalformedPolicyDocument


def check_identity_policy(document: str) -> str:
    """A policy for a user, group or role: every statement names resources, none a principal. Raises MalformedPolicyDocument."""
    policy = _parsed(document)
    if policies.has_principals(policy):
        raise MalformedPolicyDocument("Policy document should not specify a principal.")
    if not policies.names_resources(policy):
        raise MalformedPolicyDocument("Policy statement must contain resources.")
    return document


def check_trust_policy(document: str) -> str:
    """A role's trust policy: every statement names principals and no resource. Raises MalformedPolicyDocument."""
    policy = _parsed(document)
    if not policies.names_principals(policy):
        raise MalformedPolicyDocument("AssumeRolepolicy must contain a principal in every statement.")
    if policies.has_resources(policy):
        raise MalformedPolicyDocument("Has prohibited field Resource")
    return document


def _parsed(document: str) -> policies.Policy:
    try:
        return policies.parse(document)
    except policies.MalformedPolicy as error:
        raise MalformedPolicyDocument(str(error)) from None


def encoded(document: str) -> str:
    """As IAM shows documents (RFC 3986); clients decode them again."""
    return quote(document, safe="")
