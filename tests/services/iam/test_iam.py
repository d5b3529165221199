"""IAM through boto3; each test has an account of its own, so names do not meet."""

from __future__ import annotations

import itertools
import json

import pytest
from botocore.exceptions import ClientError

ACCOUNTS = itertools.count(600000000000)
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "sagemaker.amazonaws.com"}}],
    }
)


def document(action, resource="*", effect="Allow"):
    one = {"Effect": effect, "Action": action, "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [one]})


@pytest.fixture
def iam(server):
    client = server.client("iam", account=str(next(ACCOUNTS)))
    client.account = client._request_signer._credentials.access_key
    return client


def error_of(call, **request):
    with pytest.raises(ClientError) as error:
        call(**request)
    return error.value.response["ResponseMetadata"]["HTTPStatusCode"], error.value.response["Error"]["Code"]


def test_a_role_keeps_what_it_was_made_with(iam):
    made = iam.create_role(
        RoleName="r",
        Path="/service-role/",
        AssumeRolePolicyDocument=TRUST,
        Description="d & <d>",
        MaxSessionDuration=7200,
        Tags=[{"Key": "k", "Value": "v"}],
    )["Role"]
    found = iam.get_role(RoleName="r")["Role"]
    assert found == made
    assert found["Arn"] == f"arn:aws:iam::{iam.account}:role/service-role/r"
    assert found["AssumeRolePolicyDocument"] == json.loads(TRUST)
    assert (found["Description"], found["MaxSessionDuration"]) == ("d & <d>", 7200)
    assert found["Tags"] == [{"Key": "k", "Value": "v"}]
    assert error_of(iam.create_role, RoleName="r", AssumeRolePolicyDocument=TRUST) == (409, "EntityAlreadyExists")


def test_roles_are_updated_listed_and_deleted(iam):
    for name in ("b", "a", "c"):
        iam.create_role(RoleName=name, Path="/team/", AssumeRolePolicyDocument=TRUST)
    names = [role["RoleName"] for role in iam.list_roles(PathPrefix="/team/")["Roles"]]
    assert names == ["a", "b", "c"]
    assert "ClaryExecutionRole" in [role["RoleName"] for role in iam.list_roles()["Roles"]]
    iam.update_role(RoleName="a", Description="new", MaxSessionDuration=3600)
    assert iam.get_role(RoleName="a")["Role"]["Description"] == "new"
    other = TRUST.replace("sagemaker", "glue")
    iam.update_assume_role_policy(RoleName="a", PolicyDocument=other)
    assert iam.get_role(RoleName="a")["Role"]["AssumeRolePolicyDocument"] == json.loads(other)
    iam.delete_role(RoleName="a")
    assert error_of(iam.get_role, RoleName="a") == (404, "NoSuchEntity")
    assert error_of(iam.delete_role, RoleName="a") == (404, "NoSuchEntity")


def test_the_default_role_can_be_changed_but_not_deleted(iam):
    arn = "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryFullAccess"
    before = iam.get_role(RoleName="ClaryExecutionRole")["Role"]
    iam.attach_role_policy(RoleName="ClaryExecutionRole", PolicyArn=arn)
    iam.put_role_policy(RoleName="ClaryExecutionRole", PolicyName="p", PolicyDocument=document("s3:*"))
    attached = iam.list_attached_role_policies(RoleName="ClaryExecutionRole")["AttachedPolicies"]
    assert arn in [policy["PolicyArn"] for policy in attached]
    assert iam.get_role(RoleName="ClaryExecutionRole")["Role"]["RoleId"] == before["RoleId"]
    assert len([r for r in iam.list_roles()["Roles"] if r["RoleName"] == "ClaryExecutionRole"]) == 1
    assert error_of(iam.delete_role, RoleName="ClaryExecutionRole") == (400, "UnmodifiableEntity")


def test_service_linked_roles(iam):
    role = iam.create_service_linked_role(AWSServiceName="sagemaker.application-autoscaling.amazonaws.com")["Role"]
    assert role["Path"] == "/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/"
    refused = dict(RoleName="x", Path="/aws-service-role/x/", AssumeRolePolicyDocument=TRUST)
    assert error_of(iam.create_role, **refused) == (400, "InvalidInput")


@pytest.mark.parametrize(
    ("noun", "prefix"), [("role", "Role"), ("user", "User"), ("group", "Group")], ids=["role", "user", "group"]
)
def test_inline_and_attached_policies(iam, noun, prefix):
    extra = {"AssumeRolePolicyDocument": TRUST} if noun == "role" else {}
    name = {f"{prefix}Name": "holder"}
    getattr(iam, f"create_{noun}")(**name, **extra)

    def call(verb, suffix="policy", **more):
        return getattr(iam, f"{verb}_{noun}_{suffix}")(**name, **more)

    call("put", PolicyName="p", PolicyDocument=document("s3:GetObject"))
    assert call("get", PolicyName="p")["PolicyDocument"] == json.loads(document("s3:GetObject"))
    call("put", PolicyName="p", PolicyDocument=document("s3:PutObject"))
    assert call("get", PolicyName="p")["PolicyDocument"] == json.loads(document("s3:PutObject"))
    assert call("list", "policies")["PolicyNames"] == ["p"]
    arn = "arn:aws:iam::aws:policy/AmazonS3FullAccess"
    call("attach", PolicyArn=arn)
    call("attach", PolicyArn=arn)
    attached = getattr(iam, f"list_attached_{noun}_policies")(**name)["AttachedPolicies"]
    assert attached == [{"PolicyName": "AmazonS3FullAccess", "PolicyArn": arn}]
    delete = getattr(iam, f"delete_{noun}")
    assert error_of(delete, **name) == (409, "DeleteConflict")
    call("delete", PolicyName="p")
    assert error_of(delete, **name) == (409, "DeleteConflict")
    call("detach", PolicyArn=arn)
    delete(**name)
    assert error_of(getattr(iam, f"get_{noun}"), **name) == (404, "NoSuchEntity")


def test_what_is_not_there_is_named(iam):
    iam.create_user(UserName="u")
    assert error_of(iam.get_user_policy, UserName="u", PolicyName="p") == (404, "NoSuchEntity")
    assert error_of(iam.delete_user_policy, UserName="u", PolicyName="p") == (404, "NoSuchEntity")
    unknown = "arn:aws:iam::aws:policy/NoSuchPolicy"
    assert error_of(iam.attach_user_policy, UserName="u", PolicyArn=unknown) == (404, "NoSuchEntity")
    assert error_of(iam.detach_user_policy, UserName="u", PolicyArn=unknown) == (404, "NoSuchEntity")
    assert error_of(iam.put_user_policy, UserName="x", PolicyName="p", PolicyDocument=document("s3:*")) == (404, "NoSuchEntity")


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "{}",
        document("GetObject"),
        document("s3:*", effect="Maybe"),
        TRUST,
        document("s3:*").replace("Resource", "X"),
    ],
)
def test_malformed_policies_are_refused(iam, text):
    iam.create_user(UserName="u")
    refused = (400, "MalformedPolicyDocument")
    assert error_of(iam.put_user_policy, UserName="u", PolicyName="p", PolicyDocument=text) == refused
    assert error_of(iam.create_policy, PolicyName="p", PolicyDocument=text) == refused


@pytest.mark.parametrize("text", ["nonsense", document("sts:AssumeRole")])
def test_malformed_trust_policies_are_refused(iam, text):
    assert error_of(iam.create_role, RoleName="r", AssumeRolePolicyDocument=text) == (400, "MalformedPolicyDocument")


def test_managed_policies_and_their_versions(iam):
    made = iam.create_policy(PolicyName="p", PolicyDocument=document("s3:*"), Description="d")["Policy"]
    arn = made["Arn"]
    assert error_of(iam.create_policy, PolicyName="p", PolicyDocument=document("s3:*")) == (409, "EntityAlreadyExists")
    second = iam.create_policy_version(PolicyArn=arn, PolicyDocument=document("s3:Get*"), SetAsDefault=True)
    assert second["PolicyVersion"]["VersionId"] == "v2"
    assert iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"] == "v2"
    shown = iam.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]
    assert (shown["Document"], shown["IsDefaultVersion"]) == (json.loads(document("s3:*")), False)
    assert error_of(iam.delete_policy, PolicyArn=arn) == (409, "DeleteConflict")
    assert error_of(iam.delete_policy_version, PolicyArn=arn, VersionId="v2") == (409, "DeleteConflict")
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v1")
    iam.delete_policy_version(PolicyArn=arn, VersionId="v2")
    for _ in range(4):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=document("s3:*"))
    assert error_of(iam.create_policy_version, PolicyArn=arn, PolicyDocument=document("s3:*")) == (409, "LimitExceeded")
    versions = [version["VersionId"] for version in iam.list_policy_versions(PolicyArn=arn)["Versions"]]
    assert versions == ["v1", "v3", "v4", "v5", "v6"]
    for version in versions[1:]:
        iam.delete_policy_version(PolicyArn=arn, VersionId=version)
    iam.create_user(UserName="u")
    iam.attach_user_policy(UserName="u", PolicyArn=arn)
    assert error_of(iam.delete_policy, PolicyArn=arn) == (409, "DeleteConflict")
    entities = iam.list_entities_for_policy(PolicyArn=arn)
    assert [user["UserName"] for user in entities["PolicyUsers"]] == ["u"]
    for leaves_out in ({"EntityFilter": "Role"}, {"PathPrefix": "/a/"}, {"PolicyUsageFilter": "PermissionsBoundary"}):
        assert iam.list_entities_for_policy(PolicyArn=arn, **leaves_out)["PolicyUsers"] == []
    assert iam.list_entities_for_policy(PolicyArn=arn, EntityFilter="User", PathPrefix="/")["PolicyUsers"] != []
    iam.detach_user_policy(UserName="u", PolicyArn=arn)
    iam.delete_policy(PolicyArn=arn)
    assert error_of(iam.get_policy, PolicyArn=arn) == (404, "NoSuchEntity")


def test_the_managed_policies_of_notebooks_are_there(iam):
    names = ["AmazonSageMakerFullAccess", "AmazonS3FullAccess", "service-role/AWSGlueServiceRole", "CloudWatchLogsFullAccess"]
    for name in names:
        arn = f"arn:aws:iam::aws:policy/{name}"
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        assert iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]["Statement"]
    assert [policy["PolicyName"] for policy in iam.list_policies(Scope="AWS", PathPrefix="/service-role/")["Policies"]]
    assert iam.list_policies(Scope="Local")["Policies"] == []


def test_access_keys(iam):
    iam.create_user(UserName="u")
    first = iam.create_access_key(UserName="u")["AccessKey"]
    iam.create_access_key(UserName="u")
    assert error_of(iam.create_access_key, UserName="u") == (409, "LimitExceeded")
    assert error_of(iam.delete_user, UserName="u") == (409, "DeleteConflict")
    shown = iam.list_access_keys(UserName="u")["AccessKeyMetadata"]
    assert len(shown) == 2
    assert "SecretAccessKey" not in shown[0]
    key = {"UserName": "u", "AccessKeyId": first["AccessKeyId"]}
    iam.update_access_key(**key, Status="Inactive")
    assert {one["AccessKeyId"]: one["Status"] for one in iam.list_access_keys(UserName="u")["AccessKeyMetadata"]}[
        first["AccessKeyId"]
    ] == "Inactive"
    iam.delete_access_key(**key)
    assert error_of(iam.delete_access_key, **key) == (404, "NoSuchEntity")
    iam.create_user(UserName="other")
    second = iam.list_access_keys(UserName="u")["AccessKeyMetadata"][0]["AccessKeyId"]
    assert error_of(iam.delete_access_key, UserName="other", AccessKeyId=second) == (404, "NoSuchEntity")


def test_groups(iam):
    iam.create_group(GroupName="g")
    iam.create_user(UserName="u")
    iam.add_user_to_group(GroupName="g", UserName="u")
    iam.add_user_to_group(GroupName="g", UserName="u")
    assert [user["UserName"] for user in iam.get_group(GroupName="g")["Users"]] == ["u"]
    assert [group["GroupName"] for group in iam.list_groups_for_user(UserName="u")["Groups"]] == ["g"]
    assert error_of(iam.delete_group, GroupName="g") == (409, "DeleteConflict")
    assert error_of(iam.delete_user, UserName="u") == (409, "DeleteConflict")
    iam.remove_user_from_group(GroupName="g", UserName="u")
    assert error_of(iam.remove_user_from_group, GroupName="g", UserName="u") == (404, "NoSuchEntity")
    iam.delete_group(GroupName="g")
    assert error_of(iam.add_user_to_group, GroupName="g", UserName="u") == (404, "NoSuchEntity")


def test_instance_profiles(iam):
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
    iam.create_instance_profile(InstanceProfileName="p")
    iam.add_role_to_instance_profile(InstanceProfileName="p", RoleName="r")
    profile = iam.get_instance_profile(InstanceProfileName="p")["InstanceProfile"]
    assert [role["RoleName"] for role in profile["Roles"]] == ["r"]
    assert error_of(iam.add_role_to_instance_profile, InstanceProfileName="p", RoleName="r") == (409, "LimitExceeded")
    assert error_of(iam.delete_role, RoleName="r") == (409, "DeleteConflict")
    assert error_of(iam.delete_instance_profile, InstanceProfileName="p") == (409, "DeleteConflict")
    assert len(iam.list_instance_profiles_for_role(RoleName="r")["InstanceProfiles"]) == 1
    iam.remove_role_from_instance_profile(InstanceProfileName="p", RoleName="r")
    iam.delete_instance_profile(InstanceProfileName="p")
    iam.delete_role(RoleName="r")


def test_lists_are_paged_without_gaps_or_doubles(iam):
    names = [f"user-{number:02}" for number in range(7)]
    for name in names:
        iam.create_user(UserName=name)
    pages = list(iam.get_paginator("list_users").paginate(PaginationConfig={"PageSize": 3}))
    assert [len(page["Users"]) for page in pages] == [3, 3, 1]
    assert [user["UserName"] for page in pages for user in page["Users"]] == names
    assert error_of(iam.list_users, Marker="bm90IG91cnM!") == (400, "InvalidInput")


def test_tags(iam):
    iam.create_user(UserName="u", Tags=[{"Key": "a", "Value": "1"}])
    iam.tag_user(UserName="u", Tags=[{"Key": "a", "Value": "2"}, {"Key": "b", "Value": "3"}])
    assert {tag["Key"]: tag["Value"] for tag in iam.list_user_tags(UserName="u")["Tags"]} == {"a": "2", "b": "3"}
    iam.untag_user(UserName="u", TagKeys=["a", "absent"])
    assert iam.get_user(UserName="u")["User"]["Tags"] == [{"Key": "b", "Value": "3"}]


def test_accounts_do_not_see_each_other(server):
    first, second = (server.client("iam", account=str(next(ACCOUNTS))) for _ in range(2))
    first.create_user(UserName="same")
    assert error_of(second.get_user, UserName="same") == (404, "NoSuchEntity")
    second.create_user(UserName="same")
    policy = first.create_policy(PolicyName="p", PolicyDocument=document("s3:*"))["Policy"]["Arn"]
    assert error_of(second.get_policy, PolicyArn=policy) == (404, "NoSuchEntity")
    assert error_of(second.attach_user_policy, UserName="same", PolicyArn=policy) == (404, "NoSuchEntity")


def test_the_account(iam):
    assert iam.list_account_aliases()["AccountAliases"] == []
    alias = f"alias-{iam.account}"
    iam.create_account_alias(AccountAlias=alias)
    assert iam.list_account_aliases()["AccountAliases"] == [alias]
    iam.delete_account_alias(AccountAlias=alias)
    assert error_of(iam.delete_account_alias, AccountAlias=alias) == (404, "NoSuchEntity")
    iam.create_user(UserName="u")
    assert iam.get_account_summary()["SummaryMap"]["Users"] == 1
    assert iam.get_user()["User"]["Arn"] == f"arn:aws:iam::{iam.account}:root"


def test_a_permissions_boundary_is_refused_by_name(iam):
    with pytest.raises(ClientError, match="PermissionsBoundary"):
        iam.create_user(UserName="u", PermissionsBoundary="arn:aws:iam::aws:policy/AmazonS3FullAccess")


def test_simulation_evaluates_inline_attached_and_group_policies(iam):
    iam.create_user(UserName="u")
    iam.create_group(GroupName="g")
    iam.add_user_to_group(GroupName="g", UserName="u")
    iam.put_group_policy(GroupName="g", PolicyName="p", PolicyDocument=document("s3:Get*", "arn:aws:s3:::data/*"))
    iam.attach_user_policy(UserName="u", PolicyArn="arn:aws:iam::aws:policy/CloudWatchLogsFullAccess")
    iam.put_user_policy(UserName="u", PolicyName="no", PolicyDocument=document("logs:Delete*", effect="Deny"))
    results = iam.simulate_principal_policy(
        PolicySourceArn=f"arn:aws:iam::{iam.account}:user/u",
        ActionNames=["s3:GetObject", "s3:PutObject", "logs:DeleteLogGroup", "logs:PutLogEvents"],
        ResourceArns=["arn:aws:s3:::data/key"],
    )["EvaluationResults"]
    assert [result["EvalDecision"] for result in results] == ["allowed", "implicitDeny", "explicitDeny", "allowed"]
    assert results[0]["MatchedStatements"][0]["SourcePolicyType"] == "group"
    assert results[3]["MatchedStatements"][0]["SourcePolicyId"] == "arn:aws:iam::aws:policy/CloudWatchLogsFullAccess"


def test_simulation_of_given_policies_with_context(iam):
    conditional = json.loads(document("s3:ListBucket"))
    conditional["Statement"][0]["Condition"] = {"StringLike": {"s3:prefix": "home/*"}}
    for prefix, decision in (("home/anna", "allowed"), ("other", "implicitDeny")):
        entry = {"ContextKeyName": "s3:prefix", "ContextKeyValues": [prefix], "ContextKeyType": "string"}
        answer = iam.simulate_custom_policy(
            PolicyInputList=[json.dumps(conditional)], ActionNames=["s3:ListBucket"], ContextEntries=[entry]
        )
        assert [result["EvalDecision"] for result in answer["EvaluationResults"]] == [decision]


def test_the_role_check_of_the_v3_sdk_passes_for_the_default_role(iam):
    """The actions that ModelTrainer and ModelBuilder ask about before they start."""
    actions = ["ecr:GetAuthorizationToken", "cloudwatch:PutMetricData", "s3:PutObject", "logs:CreateLogStream"]
    actions += ["ec2:CreateNetworkInterface", "ec2:DescribeVpcs", "sagemaker:CreateModel"]
    arn = f"arn:aws:iam::{iam.account}:role/ClaryExecutionRole"
    results = iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=actions)["EvaluationResults"]
    assert {result["EvalDecision"] for result in results} == {"allowed"}


def test_a_role_that_nobody_made_can_be_used_in_open_mode_once_it_is_named(iam):
    """As SDK v3 looks at a role before it uses it, also one of another account."""
    for account, path in ((iam.account, ""), ("123456789012", "service-role/")):
        name = f"Invented{account}"
        arn = f"arn:aws:iam::{account}:role/{path}{name}"
        assert error_of(iam.get_role, RoleName=name) == (404, "NoSuchEntity")
        results = iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=["s3:PutObject"])["EvaluationResults"]
        assert [result["EvalDecision"] for result in results] == ["allowed"]
        role = iam.get_role(RoleName=name)["Role"]
        assert (role["Arn"], role["Path"]) == (arn, f"/{path}")
        assert "sagemaker.amazonaws.com" in role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["Service"]
        assert name not in [role["RoleName"] for role in iam.list_roles()["Roles"]]
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)["Role"]
        assert iam.get_role(RoleName=name)["Role"]["RoleId"] == made["RoleId"]


def test_who_has_assumed_a_role_that_nobody_made_finds_it_in_open_mode(server):
    arn = "arn:aws:iam::222233334444:role/assumed/Nobody"
    session = server.client("sts", account="222233334444").assume_role(RoleArn=arn, RoleSessionName="s1")["Credentials"]
    keys = dict(access_key=session["AccessKeyId"], secret=session["SecretAccessKey"], session_token=session["SessionToken"])
    assert server.client("iam", **keys).get_role(RoleName="Nobody")["Role"]["Arn"] == arn
