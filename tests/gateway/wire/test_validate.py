"""Constraints and the words of their violations, as AWS's services write them (client contract, section 5.1)."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import Any

import pytest

from clary.core.errors import ServiceError
from clary.gateway.wire import Route, load_operation, load_service, validate
from clary.gateway.wire.validate import compiled_pattern
from clary.services import MOUNTED


def violation(service: str, operation: str, parameters: dict[str, Any]) -> ServiceError:
    with pytest.raises(ServiceError) as error:
        validate(load_operation(Route(service, operation, "")), parameters)
    assert error.value.status == 400
    return error.value


def accepted(service: str, operation: str, parameters: dict[str, Any]) -> None:
    validate(load_operation(Route(service, operation, "")), parameters)


def test_a_pattern():
    error = violation("sagemaker", "DescribeTrainingJob", {"TrainingJobName": "a_b"})

    assert error.code == "ValidationException"
    assert error.message == (
        "1 validation error detected: Value 'a_b' at 'trainingJobName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
    )


def test_a_pattern_is_matched_whole():
    violation("sagemaker", "DescribeTrainingJob", {"TrainingJobName": "a\n"})
    accepted("sagemaker", "DescribeTrainingJob", {"TrainingJobName": "a" * 63})


def test_digits_and_letters_in_patterns_are_ascii_as_in_java():
    violation("sts", "GetAccessKeyInfo", {"AccessKeyId": "ÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄ"})


def test_required_members_are_listed_together():
    error = violation("sagemaker", "CreateEndpoint", {})

    assert error.message == (
        "2 validation errors detected: "
        "Value null at 'endpointName' failed to satisfy constraint: Member must not be null; "
        "Value null at 'endpointConfigName' failed to satisfy constraint: Member must not be null"
    )


def test_too_long_is_reported_beside_the_pattern():
    message = violation("sagemaker", "DescribeTrainingJob", {"TrainingJobName": "a" * 64}).message

    assert message.startswith("2 validation errors detected")
    assert "Member must have length less than or equal to 63" in message


def test_paths_count_list_members_from_one():
    error = violation("sagemaker", "AddTags", {"ResourceArn": "arn:a", "Tags": [{"Key": "k", "Value": "v"}, {"Key": ""}]})

    assert "Value '' at 'tags.2.member.key' failed to satisfy constraint: Member must have length" in error.message
    assert "Value null at 'tags.2.member.value' failed to satisfy constraint: Member must not be null" in error.message


def test_a_list_of_texts_reports_the_whole_list():
    error = violation("sagemaker", "DeleteTags", {"ResourceArn": "arn:a", "TagKeys": ["k", "x" * 129]})

    assert f"Value '[k, {'x' * 129}]' at 'tagKeys'" in error.message
    assert "Member must satisfy constraint: [Member must have length less than or equal to 128" in error.message


def test_map_keys_and_values():
    job = {
        "TrainingJobName": "a",
        "RoleArn": "arn:aws:iam::000000000000:role/r",
        "OutputDataConfig": {"S3OutputPath": "s3://b/"},
    }
    long_key = violation("sagemaker", "CreateTrainingJob", job | {"HyperParameters": {"k" * 257: "v"}})
    long_value = violation("sagemaker", "CreateTrainingJob", job | {"HyperParameters": {"k": "v" * 2501}})
    many = violation("sagemaker", "CreateTrainingJob", job | {"HyperParameters": {str(n): "" for n in range(101)}})

    assert "at 'hyperParameters' failed to satisfy constraint: Map keys must satisfy constraint: [Member" in long_key.message
    assert "at 'hyperParameters' failed to satisfy constraint: Map value must satisfy constraint: [Member" in long_value.message
    assert (
        "at 'hyperParameters' failed to satisfy constraint: Member must have length less than or equal to 100" in many.message
    )


def test_an_enum():
    error = violation("sagemaker", "ListModels", {"SortOrder": "Sideways"})

    assert (
        "Value 'Sideways' at 'sortOrder' failed to satisfy constraint: Member must satisfy enum value set: [" in error.message
    )


@pytest.mark.parametrize(("value", "rule"), [(0, "greater than or equal to 1"), (101, "less than or equal to 100")])
def test_a_range(value, rule):
    error = violation("sagemaker", "ListModels", {"MaxResults": value})

    assert error.message.endswith(
        f"Value '{value}' at 'maxResults' failed to satisfy constraint: Member must have value {rule}"
    )


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        ({}, "one of its members must be set"),
        ({"TabularJobConfig": {}, "TextGenerationJobConfig": {}}, "only one member may be set; got TabularJobConfig, TextGen"),
    ],
)
def test_a_union_has_one_member(problem, words):
    parameters = {
        "AutoMLJobName": "a",
        "AutoMLJobInputDataConfig": [],
        "OutputDataConfig": {"S3OutputPath": "s3://b/"},
        "RoleArn": "arn:aws:iam::000000000000:role/r",
        "AutoMLProblemTypeConfig": problem,
    }

    assert words in violation("sagemaker", "CreateAutoMLJobV2", parameters).message


def test_secrets_are_not_repeated():
    error = violation("iam", "CreateLoginProfile", {"UserName": "u", "Password": "\u0800" * 200})

    assert "\u0800" not in error.message
    assert "Value at 'password' failed to satisfy constraint" in error.message


def test_huge_values_are_shortened_in_the_message():
    error = violation("sagemaker", "DescribeTrainingJob", {"TrainingJobName": "a" * 5_000_000})

    assert len(error.message) < 5000


def test_a_pattern_in_javas_dialect_alone_is_not_checked():
    operation = load_operation(Route("iam", "TagRole", ""))
    key = operation.input_shape.members["Tags"].member.members["Key"]

    assert key.metadata["pattern"] == r"[\p{L}\p{Z}\p{N}_.:/=+\-@]+"
    assert compiled_pattern(key) is None


def test_recursive_shapes_are_checked_all_the_way():
    inner: dict[str, Any] = {"Filters": [{"Name": "a" * 2000}]}
    expression = {"SubExpressions": [{"SubExpressions": [inner]}]}
    error = violation("sagemaker", "Search", {"Resource": "TrainingJob", "SearchExpression": expression})

    assert "searchExpression.subExpressions.1.member.subExpressions.1.member.filters.1.member.name" in error.message


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "code"),
    [
        ("sagemaker-runtime", "InvokeEndpointAsync", {}, "ValidationError"),
        ("iam", "GetRole", {}, "ValidationError"),
        ("sts", "AssumeRole", {}, "ValidationError"),
        ("logs", "PutLogEvents", {}, "InvalidParameterException"),
        ("ecr", "DescribeImages", {}, "InvalidParameterException"),
        ("s3", "CopyObject", {"Bucket": "b", "Key": "k"}, "InvalidArgument"),
        ("s3", "DeleteObjects", {"Bucket": "b", "Delete": {"Objects": [{}]}}, "MalformedXML"),
    ],
)
def test_each_service_has_its_own_code(service, operation, parameters, code):
    assert violation(service, operation, parameters).code == code


@pytest.mark.parametrize("service", MOUNTED)
def test_no_pattern_takes_for_ever(service):
    """Long values that match almost to their end: what makes an ambiguous pattern try every way through them."""
    model = load_service(service)
    shapes = [model.shape_for(name) for name in model.shape_names]
    patterns = {(compiled_pattern(s), int(s.metadata.get("max", 5000))) for s in shapes if s.type_name == "string"}

    with alarm(seconds=30):
        for pattern, longest in patterns:
            for start in ("", "https://", "arn:aws:iam::000000000000:role/"):
                for unit in ("a", "-", "a-", "/", "a.", "0") if pattern else ():
                    pattern.fullmatch((start + unit * 1000)[: longest - 1] + "!")


@contextmanager
def alarm(seconds: int):
    def expired(*_):
        raise TimeoutError("a pattern is still being matched")

    before = signal.signal(signal.SIGALRM, expired)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
