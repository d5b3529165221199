"""Constraints of the service models, checked as AWS does: every violation is found and worded as Java's validator words it.

    2 validation errors detected: Value 'a_b' at 'trainingJobName' failed to satisfy constraint: Member must satisfy regular
    expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}; Value null at 'roleArn' failed to satisfy constraint: ...

A shape's check is compiled once; shapes without constraints have none, and a valid request allocates nothing.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from clary.core.errors import ServiceError
from clary.gateway.wire.plans import Compiler, compiler

if TYPE_CHECKING:
    from botocore.model import OperationModel, Shape

Problem = tuple[tuple[str, ...], str | None, str]
"""Where (names from the checked value inwards), the value as text (None: not to be repeated), what it must do."""
Check = Callable[[Any], list[Problem]]

NULL = "null"
_NONE: list[Problem] = []
_LONGEST_ECHO = 1024
# Some patterns are quadratic; a longer value has broken a length, or is a document whose pattern says nothing of its content.
_LONGEST_MATCHED = 5_000
# These take exponential time for some short values, so they are not tried. A test looks for more of them.
_UNSAFE_PATTERNS = frozenset(
    {
        r"https://([.\-_a-zA-Z0-9]+/?){3,1016}",
        r"[a-z0-9]([-a-z0-9]*[a-z0-9]){0,39}?",
        r"^[a-z0-9*](?:[._\-/a-z0-9*]?[a-z0-9*]+)*$",
    }
)

_CODES = {
    "s3": "InvalidArgument",
    "iam": "ValidationError",
    "sts": "ValidationError",
    "cloudwatch": "ValidationError",
    "sagemaker-runtime": "ValidationError",
    "sagemaker-featurestore-runtime": "ValidationError",
    "logs": "InvalidParameterException",
    "ecr": "InvalidParameterException",
}
"""Error codes of services that do not say `ValidationException`."""


def validate(operation: OperationModel, parameters: dict[str, Any]) -> None:
    """Raise the service's validation error when `parameters` break constraints of the operation's input shape."""
    check = _check_of(operation)
    problems = check(parameters) if check else None
    if problems:
        raise _error(operation, problems)


@functools.cache
def _check_of(operation: OperationModel) -> Check | None:
    if operation.input_shape is None:
        return None
    kind = S3Validator if operation.service_model.service_name == "s3" else Validator
    return compiler(kind, operation.service_model).plan(operation.input_shape)


def _error(operation: OperationModel, problems: list[Problem]) -> ServiceError:
    service = operation.service_model.service_name
    payload = operation.input_shape.serialization.get("payload")
    if service == "s3" and any(path[0] == payload and len(path) > 1 for path, _, _ in problems):
        message = "The XML you provided was not well-formed or did not validate against our published schema"
        return ServiceError(message, code="MalformedXML", status=400)
    found = "; ".join(
        f"Value{'' if value is None else ' ' + value} at '{_spelled(path)}' failed to satisfy constraint: {constraint}"
        for path, value, constraint in problems
    )
    count = f"{len(problems)} validation error{'' if len(problems) == 1 else 's'} detected"
    return ServiceError(f"{count}: {found}", code=_CODES.get(service, "ValidationException"), status=400)


def _spelled(path: tuple[str, ...]) -> str:
    return ".".join(step[:1].lower() + step[1:] for step in path)


def _text(value: Any) -> str:
    """A value as Java prints it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value[:100]))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}={_text(item)}" for key, item in list(value.items())[:100]) + "}"
    if isinstance(value, bytes):
        return f"java.nio.HeapByteBuffer[pos=0 lim={len(value)} cap={len(value)}]"
    return str(value)


def _echo(value: Any, shape: Shape) -> str | None:
    """The quoted value, shortened; None for a sensitive one, which is not repeated."""
    if shape.metadata.get("sensitive"):
        return None
    text = _text(value)
    return f"'{text if len(text) <= _LONGEST_ECHO else text[:_LONGEST_ECHO] + '...'}'"


class Validator(Compiler):
    """Plans of the form `Check`, or None for a shape without constraints."""

    def of_structure(self, shape: Shape) -> Check | None:
        required = tuple(shape.required_members)
        checks = {name: self.plan(member) for name, member in shape.members.items()}
        checks = {name: check for name, check in checks.items() if check}
        is_union = shape.is_tagged_union
        if not required and not checks and not is_union:
            return None

        def check(value: dict[str, Any]) -> list[Problem]:
            problems = _NONE
            for name in required:
                if name not in value:
                    problems = [*problems, ((name,), NULL, "Member must not be null")]
            for name, item in value.items():
                if name in checks:
                    found = checks[name](item)
                    if found:
                        problems = problems + [((name, *path), text, rule) for path, text, rule in found]
            if is_union and len(value) != 1:
                problems = [*problems, _union_problem(value)]
            return problems

        return check

    def of_list(self, shape: Shape) -> Check | None:
        check_length = _length_check(shape)
        check_item = self.plan(shape.member)
        if check_item is None:
            return check_length
        is_scalar = shape.member.type_name not in ("structure", "list", "map")

        def check(value: list[Any]) -> list[Problem]:
            problems = check_length(value) if check_length else _NONE
            for index, item in enumerate(value):
                found = check_item(item)
                if found and is_scalar:
                    rules = ", ".join(rule for _, _, rule in found)
                    return [*problems, ((), _echo(value, shape), f"Member must satisfy constraint: [{rules}]")]
                if found:
                    at = (str(index + 1), "member")
                    problems = problems + [((*at, *path), text, rule) for path, text, rule in found]
            return problems

        return check

    def of_map(self, shape: Shape) -> Check | None:
        check_length = _length_check(shape)
        check_key, check_item = self.plan(shape.key), self.plan(shape.value)
        is_scalar = shape.value.type_name not in ("structure", "list", "map")

        def check(value: dict[str, Any]) -> list[Problem]:
            problems = check_length(value) if check_length else _NONE
            for key, item in value.items():
                found = check_key(key) if check_key else _NONE
                if found:
                    rules = ", ".join(rule for _, _, rule in found)
                    return [*problems, ((), _echo(value, shape), f"Map keys must satisfy constraint: [{rules}]")]
                found = check_item(item) if check_item else _NONE
                if found and is_scalar:
                    rules = ", ".join(rule for _, _, rule in found)
                    return [*problems, ((), _echo(value, shape), f"Map value must satisfy constraint: [{rules}]")]
                problems = problems + [((key, "member", *path), text, rule) for path, text, rule in found]
            return problems

        return check if check_length or check_key or check_item else None

    def of_string(self, shape: Shape) -> Check | None:
        allowed, shown = frozenset(self.allowed(shape)), ", ".join(shape.enum)
        check_length, pattern = _length_check(shape), compiled_pattern(shape)
        if not allowed and not check_length and not pattern:
            return None

        def check(value: str) -> list[Problem]:
            problems = check_length(value) if check_length else _NONE
            if allowed and value not in allowed:
                problems = [*problems, ((), _echo(value, shape), f"Member must satisfy enum value set: [{shown}]")]
            if pattern and len(value) <= _LONGEST_MATCHED and not pattern.fullmatch(value):
                rule = f"Member must satisfy regular expression pattern: {pattern.pattern}"
                problems = [*problems, ((), _echo(value, shape), rule)]
            return problems

        return check

    def allowed(self, shape: Shape) -> list[str]:
        """The values of an enumeration, empty where every value will do."""
        return shape.enum

    def of_blob(self, shape: Shape) -> Check | None:
        check_length = _length_check(shape)
        if check_length is None:
            return None
        return lambda value: check_length(value) if isinstance(value, bytes) else _NONE  # a stream's length is its reader's

    def of_integer(self, shape: Shape) -> Check | None:
        return _bounds_check(shape, "value", lambda value: value)

    of_long = of_float = of_double = of_integer

    def of_boolean(self, shape: Shape) -> Check | None:
        return None

    of_timestamp = of_character = of_boolean


class S3Validator(Validator):
    """S3 has an error code of its own for each enumeration (InvalidLocationConstraint, InvalidStorageClass, ...), so its
    operations check them."""

    def allowed(self, shape: Shape) -> list[str]:
        return []


def _union_problem(value: dict[str, Any]) -> Problem:
    what = "one of its members must be set" if not value else f"only one member may be set; got {', '.join(sorted(value))}"
    return ((), NULL if not value else f"'{_text(value)[:_LONGEST_ECHO]}'", f"Member is a union: {what}")


def _length_check(shape: Shape) -> Check | None:
    return _bounds_check(shape, "length", len)


def _bounds_check(shape: Shape, what: str, measure: Callable[[Any], float]) -> Check | None:
    low, high = _bound(shape, "min"), _bound(shape, "max")
    if low is None and high is None:
        return None
    lowest = float("-inf") if low is None else low
    highest = float("inf") if high is None else high

    def check(value: Any) -> list[Problem]:
        if lowest <= measure(value) <= highest:
            return _NONE
        below = measure(value) < lowest
        rule = f"greater than or equal to {low}" if below else f"less than or equal to {high}"
        return [((), _echo(value, shape), f"Member must have {what} {rule}")]

    return check


def _bound(shape: Shape, name: str) -> float | None:
    bound = shape.metadata.get(name)
    return bound if bound is None or isinstance(bound, (int, float)) else float(bound)


def compiled_pattern(shape: Shape) -> re.Pattern[str] | None:
    """The shape's pattern, matched against whole values; None where it is in Java's dialect (`\\p{L}`) or takes for ever."""
    pattern = shape.metadata.get("pattern")
    if pattern is None or pattern in _UNSAFE_PATTERNS:
        return None
    try:
        return re.compile(pattern, re.ASCII)
    except re.error:
        return None
