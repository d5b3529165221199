"""The policy language, as tables of (policy, question, decision). The rows follow the IAM user guide's rules."""

from __future__ import annotations

import contextlib
import fnmatch
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.languages.policies import Decision, MalformedPolicy, Question, escape_wildcards, evaluate, matches_arn, parse

ALLOWED, DENIED, SILENT = Decision.ALLOWED, Decision.EXPLICIT_DENY, Decision.IMPLICIT_DENY
BUCKET = "arn:aws:s3:::data"


def policy(*statements: dict, version: str = "2012-10-17"):
    return parse(json.dumps({"Version": version, "Statement": list(statements)}))


def allow(action="*", resource="*", **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource} | more


def deny(action="*", resource="*", **more):
    return {"Effect": "Deny", "Action": action, "Resource": resource} | more


@pytest.mark.parametrize(
    ("statements", "action", "resource", "decision"),
    [
        ([allow("s3:GetObject", f"{BUCKET}/*")], "s3:GetObject", f"{BUCKET}/a/b", ALLOWED),
        ([allow("s3:GetObject", f"{BUCKET}/*")], "s3:PutObject", f"{BUCKET}/a/b", SILENT),
        ([allow("s3:GetObject", f"{BUCKET}/*")], "s3:GetObject", BUCKET, SILENT),
        ([allow("S3:getobject", "*")], "s3:GetObject", f"{BUCKET}/a", ALLOWED),
        ([allow("s3:Get*", "*")], "s3:GetObject", f"{BUCKET}/a", ALLOWED),
        ([allow("s3:Get?bject", "*")], "s3:GetObject", f"{BUCKET}/a", ALLOWED),
        ([allow("*", "*")], "sagemaker:CreateModel", "*", ALLOWED),
        ([allow("*", BUCKET)], "s3:ListBucket", BUCKET.upper(), SILENT),
        ([allow(), deny("s3:DeleteObject")], "s3:DeleteObject", f"{BUCKET}/a", DENIED),
        ([deny("s3:DeleteObject"), allow()], "s3:DeleteObject", f"{BUCKET}/a", DENIED),
        ([allow(), deny("s3:DeleteObject")], "s3:GetObject", f"{BUCKET}/a", ALLOWED),
        ([{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}], "s3:GetObject", "*", ALLOWED),
        ([{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}], "iam:GetUser", "*", SILENT),
        ([{"Effect": "Allow", "Action": "*", "NotResource": f"{BUCKET}/*"}], "s3:GetObject", f"{BUCKET}/a", SILENT),
        ([{"Effect": "Allow", "Action": "*", "NotResource": f"{BUCKET}/*"}], "s3:ListBucket", BUCKET, ALLOWED),
        ([allow(["s3:GetObject", "s3:PutObject"], [BUCKET, f"{BUCKET}/*"])], "s3:PutObject", f"{BUCKET}/a", ALLOWED),
        ([allow("*", f"{BUCKET}/a\\b*")], "s3:GetObject", f"{BUCKET}/a\\bc", ALLOWED),
        ([allow("*", "arn:aws:s3:*")], "s3:GetObject", f"{BUCKET}/a", SILENT),
    ],
)
def test_actions_and_resources(statements, action, resource, decision):
    assert evaluate([policy(*statements)], Question(action, resource)) is decision


def test_an_explicit_deny_in_any_policy_wins():
    policies = [policy(allow()), policy(deny("s3:*"))]
    assert evaluate(policies, Question("s3:GetObject")) is DENIED
    assert evaluate(reversed(policies), Question("s3:GetObject")) is DENIED
    assert evaluate([], Question("s3:GetObject")) is SILENT


@pytest.mark.parametrize(
    ("operator", "key", "values", "context", "holds"),
    [
        ("StringEquals", "k", "a", {"k": ["a"]}, True),
        ("StringEquals", "K", ["x", "a"], {"k": ["a"]}, True),
        ("StringEquals", "k", "a", {"k": ["A"]}, False),
        ("StringEquals", "k", "a", {}, False),
        ("StringEqualsIfExists", "k", "a", {}, True),
        ("StringEqualsIgnoreCase", "k", "a", {"k": ["A"]}, True),
        ("StringNotEquals", "k", ["a", "b"], {"k": ["b"]}, False),
        ("StringNotEquals", "k", ["a", "b"], {"k": ["c"]}, True),
        ("StringNotEquals", "k", "a", {}, True),
        ("StringLike", "k", "a*c?", {"k": ["abbbcd"]}, True),
        ("StringLike", "k", "a*c?", {"k": ["abbbc"]}, False),
        ("StringNotLike", "k", "a*", {"k": ["abc"]}, False),
        ("NumericLessThan", "k", "10", {"k": ["9.5"]}, True),
        ("NumericLessThan", "k", "10", {"k": ["10"]}, False),
        ("NumericLessThanEquals", "k", 10, {"k": ["10"]}, True),
        ("NumericGreaterThan", "k", "10", {"k": ["words"]}, False),
        ("NumericNotEquals", "k", "10", {"k": ["11"]}, True),
        ("DateGreaterThan", "k", "2026-01-01T00:00:00Z", {"k": ["2026-06-01T00:00:00Z"]}, True),
        ("DateLessThan", "k", "2026-01-01T00:00:00Z", {"k": ["1767225599"]}, True),
        ("Bool", "k", "true", {"k": ["true"]}, True),
        ("Bool", "k", True, {"k": ["false"]}, False),
        ("IpAddress", "k", "10.0.0.0/8", {"k": ["10.1.2.3"]}, True),
        ("IpAddress", "k", "10.0.0.0/8", {"k": ["11.1.2.3"]}, False),
        ("NotIpAddress", "k", "10.0.0.0/8", {"k": ["11.1.2.3"]}, True),
        ("IpAddress", "k", "2001:db8::/32", {"k": ["2001:db8::1"]}, True),
        ("ArnLike", "k", "arn:aws:iam::*:role/a*", {"k": ["arn:aws:iam::1:role/ab"]}, True),
        ("ArnLike", "k", "arn:aws:iam::*:role/a*", {"k": ["arn:aws:iam::1:user/ab"]}, False),
        ("ArnNotLike", "k", "arn:aws:iam::*:role/a*", {"k": ["arn:aws:iam::1:user/ab"]}, True),
        ("Null", "k", "true", {}, True),
        ("Null", "k", "true", {"k": ["a"]}, False),
        ("Null", "k", "false", {"k": ["a"]}, True),
        ("ForAllValues:StringEquals", "k", ["a", "b"], {"k": ["a", "b", "a"]}, True),
        ("ForAllValues:StringEquals", "k", ["a", "b"], {"k": ["a", "c"]}, False),
        ("ForAllValues:StringEquals", "k", ["a", "b"], {}, True),
        ("ForAnyValue:StringEquals", "k", ["a", "b"], {"k": ["c", "b"]}, True),
        ("ForAnyValue:StringEquals", "k", ["a", "b"], {}, False),
        ("ForAnyValue:StringLike", "k", "a*", {"k": ["b", "ax"]}, True),
    ],
)
def test_conditions(operator, key, values, context, holds):
    statement = allow(Condition={operator: {key: values}})
    question = Question("s3:GetObject", "*", {name: tuple(found) for name, found in context.items()})
    assert (evaluate([policy(statement)], question) is ALLOWED) == holds


def test_all_operators_and_keys_of_a_condition_must_hold():
    statement = allow(Condition={"StringEquals": {"a": "1", "b": "2"}, "Bool": {"c": "true"}})
    everything = {"a": ("1",), "b": ("2",), "c": ("true",)}
    assert evaluate([policy(statement)], Question("x:Y", "*", everything)) is ALLOWED
    for name in everything:
        without = {key: value for key, value in everything.items() if key != name}
        assert evaluate([policy(statement)], Question("x:Y", "*", without)) is SILENT


@pytest.mark.parametrize(
    ("pattern", "resource", "user", "allowed"),
    [
        (f"{BUCKET}/home/${{aws:username}}/*", f"{BUCKET}/home/anna/a", "anna", True),
        (f"{BUCKET}/home/${{aws:username}}/*", f"{BUCKET}/home/bert/a", "anna", False),
        (f"{BUCKET}/home/${{aws:username}}/*", f"{BUCKET}/home/bert/a", "*", False),
        (f"{BUCKET}/home/${{aws:username}}/*", f"{BUCKET}/home/anna/a", None, False),
        (f"{BUCKET}/home/${{aws:username, 'guest'}}/*", f"{BUCKET}/home/guest/a", None, True),
        (f"{BUCKET}/${{*}}", f"{BUCKET}/*", "anna", True),
        (f"{BUCKET}/${{*}}", f"{BUCKET}/a", "anna", False),
    ],
)
def test_policy_variables(pattern, resource, user, allowed):
    context = {} if user is None else {"aws:username": (user,)}
    question = Question("s3:GetObject", resource, context)
    assert (evaluate([policy(allow("s3:*", pattern))], question) is ALLOWED) == allowed


def test_policies_of_2008_have_no_variables():
    old = policy(allow("s3:*", f"{BUCKET}/${{aws:username}}"), version="2008-10-17")
    question = Question("s3:GetObject", f"{BUCKET}/anna", {"aws:username": ("anna",)})
    assert evaluate([old], question) is SILENT


@pytest.mark.parametrize(
    ("principal", "callers", "matches"),
    [
        ("*", {"AWS": {"arn:aws:iam::1:user/a"}}, True),
        ({"AWS": "*"}, {"Service": {"x.amazonaws.com"}}, True),
        ({"AWS": "111122223333"}, {"AWS": {"arn:aws:iam::111122223333:user/a", "111122223333"}}, True),
        ({"AWS": ["arn:aws:iam::1:role/r"]}, {"AWS": {"arn:aws:iam::1:user/a"}}, False),
        ({"Service": "sagemaker.amazonaws.com"}, {"Service": {"sagemaker.amazonaws.com"}}, True),
        ({"Service": "sagemaker.amazonaws.com"}, {"AWS": {"sagemaker.amazonaws.com"}}, False),
        ({"Service": ["a.amazonaws.com"], "AWS": "1"}, {"AWS": {"1"}}, True),
    ],
)
def test_principals_of_resource_policies(principal, callers, matches):
    names = {kind: frozenset(found) for kind, found in callers.items()}
    trust = policy({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal})
    assert (evaluate([trust], Question("sts:AssumeRole", principals=names)) is ALLOWED) == matches
    inverse = policy({"Effect": "Deny", "Action": "sts:AssumeRole", "NotPrincipal": principal})
    assert (evaluate([inverse], Question("sts:AssumeRole", principals=names)) is DENIED) != matches


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ("{", "JSON"),
        ("[]", "object"),
        ('{"Version": "2012-10-17"}', "Statement"),
        ('{"Version": "2026-01-01", "Statement": []}', "Version"),
        ('{"Statement": []}', "Statement"),
        ('{"Statement": {"Effect": "Permit", "Action": "*", "Resource": "*"}}', "Effect"),
        ('{"Statement": {"Effect": "Allow", "Resource": "*"}}', "Action"),
        ('{"Statement": {"Effect": "Allow", "Action": "*", "NotAction": "*", "Resource": "*"}}', "Action"),
        ('{"Statement": {"Effect": "Allow", "Action": 7, "Resource": "*"}}', "Action"),
        ('{"Statement": {"Effect": "Allow", "Action": "GetObject", "Resource": "*"}}', "GetObject"),
        ('{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "NotResource": "*"}}', "Resource"),
        ('{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "Sids": "x"}}', "Sids"),
        ('{"Statement": {"Effect": "Allow", "Action": "*", "Principal": "me"}}', "Principal"),
        ('{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"Like": {"a": "b"}}}}', "Like"),
        ('{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": []}}', "Condition"),
        ('{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"Bool": "x"}}}', "Bool"),
    ],
)
def test_a_malformed_policy_is_refused_by_name(document, named):
    with pytest.raises(MalformedPolicy, match=named):
        parse(document)


@given(st.text(max_size=40))
def test_an_escaped_text_matches_itself_and_only_itself(text):
    context = {"aws:username": (text,)}
    one = policy(allow("s3:*", f"{BUCKET}/${{aws:username}}"))
    assert evaluate([one], Question("s3:GetObject", f"{BUCKET}/{text}", context)) is ALLOWED
    assert evaluate([one], Question("s3:GetObject", f"{BUCKET}/{text}x", context)) is SILENT


@given(st.text(alphabet="ab*?\\:", max_size=12), st.text(alphabet="ab:", max_size=12))
def test_patterns_never_fail(pattern, text):
    matches_arn(pattern, text)
    assert matches_arn(escape_wildcards(text), text)


ELEMENTS = st.sampled_from(["Version", "Statement", "Effect", "Action", "Resource", "Principal", "Condition", "Bool"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ELEMENTS, inner, max_size=4),
)


@given(JSON)
def test_any_json_is_a_policy_or_malformed(content):
    with contextlib.suppress(MalformedPolicy):
        parse(json.dumps(content))


def test_no_pattern_takes_for_ever():
    assert not matches_arn(f"{BUCKET}/" + "*a" * 30 + "*b", f"{BUCKET}/" + "a" * 1000)
    assert matches_arn(f"{BUCKET}/" + "*a" * 30 + "*b", f"{BUCKET}/" + "a" * 1000 + "b")


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=10))
def test_wildcards_match_as_the_shell_s(pattern: str, text: str):
    assert matches_arn(f"a:b:c:d:e:{pattern}", f"a:b:c:d:e:{text}") == fnmatch.fnmatchcase(text, pattern)
