"""Writes docs/parameters.md from the code: which parameters are refused by name, and which are only recorded.

Refused are the arguments of `refuse_unenforced` in each file of `services/`. Only recorded are the members of the main requests
that are neither refused nor mentioned anywhere in the code that could act on them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "clary"
PAGE = ROOT / "docs" / "parameters.md"
REQUESTS = {
    "sagemaker": (
        "CreateTrainingJob",
        "CreateModel",
        "CreateEndpointConfig",
        "CreateEndpoint",
        "UpdateEndpoint",
        "CreateTransformJob",
        "CreateHyperParameterTuningJob",
        "CreateProcessingJob",
    ),
    "logs": ("CreateLogGroup", "PutLogEvents"),
    "cloudwatch": ("PutMetricData",),
}
"""Of each service, the requests that start or keep something."""
ACTING = ("services/declared.py", "compute", "catalog", "storage")
"""What acts on requests, beside the service itself."""


def refused() -> dict[str, list[str]]:
    """`service/file` -> the parameters that are refused there."""
    found = {}
    for file in sorted((SOURCE / "services").rglob("*.py")):
        tree = ast.parse(file.read_text())
        names = sorted({name for call in _calls(tree) for name in _arguments(call, _constants(tree))})
        if names:
            found[f"{file.parent.name}/{file.stem}"] = names
    return found


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "refuse_unenforced":
            yield node


def _constants(tree: ast.Module) -> dict[str, list[str]]:
    """Module constants that are tuples of strings."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = [item.value for item in node.value.elts if isinstance(item, ast.Constant)]
    return found


def _arguments(call: ast.Call, constants: dict[str, list[str]]) -> Iterator[str]:
    for argument in call.args[1:]:
        if isinstance(argument, ast.Constant):
            yield argument.value
        elif isinstance(argument, ast.Starred) and isinstance(argument.value, ast.Name):
            yield from constants[argument.value.id]
        elif isinstance(argument, ast.Starred) and isinstance(argument.value, ast.GeneratorExp):
            yield from _generated(argument.value, constants)
        else:
            raise ValueError(f"line {call.lineno}: an argument of refuse_unenforced that this page cannot show")


def _generated(generator: ast.GeneratorExp, constants: dict[str, list[str]]) -> Iterator[str]:
    """`*(f"Prefix.{name}" for name in NAMES)`"""
    over = generator.generators[0].iter
    if not isinstance(generator.elt, ast.JoinedStr) or not isinstance(over, ast.Name):
        raise ValueError(f"line {generator.lineno}: arguments of refuse_unenforced that this page cannot show")
    prefix = "".join(part.value for part in generator.elt.values if isinstance(part, ast.Constant))
    yield from (prefix + name for name in constants[over.id])


def recorded() -> dict[str, list[str]]:
    """Operation -> members of its request, dotted where they are nested, that are taken and change nothing."""
    from clary.gateway.wire import load_service

    all_refused = refused()
    found = {}
    for service, operations in REQUESTS.items():
        names = {name for place, names in all_refused.items() if place.startswith(f"{service}/") for name in names}
        for operation in operations:
            shape = load_service(service).operation_model(operation).input_shape
            found[operation] = list(_unmentioned(shape, "", _mentioned(service), names))
    return found


def _unmentioned(shape: Any, prefix: str, mentioned: frozenset[str], refused_names: set[str]) -> Iterator[str]:
    """Members of `shape` that the code never names; below those that it names, their members."""
    if shape.type_name == "list":
        yield from _unmentioned(shape.member, prefix, mentioned, refused_names)
    for name, member in shape.members.items() if shape.type_name == "structure" else ():
        path = f"{prefix}{name}"
        if any(path == refused or path.endswith(f".{refused}") for refused in refused_names):
            continue
        if name in mentioned or any(refused.startswith(f"{path}.") for refused in refused_names):
            yield from _unmentioned(member, f"{path}.", mentioned, refused_names)
        else:
            yield path


@cache
def _mentioned(service: str) -> frozenset[str]:
    """Every string in the code that acts on requests to `service`."""
    places = (f"services/{service}", *ACTING)
    files = [
        file for place in places for file in ([SOURCE / place] if place.endswith(".py") else (SOURCE / place).rglob("*.py"))
    ]
    strings = [node.value for file in files for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Constant)]
    return frozenset(text for text in strings if isinstance(text, str))


def page() -> str:
    lines = [
        "# Parameters without an effect",
        "",
        "*Generated from the code by `make docs`.*",
        "",
        "A parameter that would change security, durability or cost and is not enforced by Clary yet is **refused by name**: a",
        "request that sets it fails and says which one it was. `false` and empty values ask for nothing and pass.",
        "A harmless parameter is **recorded**: Describe shows it again where the service does, and nothing else happens.",
        "",
        "## Recorded",
        "",
        "| request | parameters |",
        "|---|---|",
    ]
    lines += [f"| {operation} | {_listed(names)} |" for operation, names in recorded().items()]
    lines += [
        "",
        "Instance types, volume sizes and the account and region in an image's name are recorded too: everything runs on this",
        "machine. S3's parameters that are not built (locks, ACLs, ...) are refused by name by each operation.",
        "Every metric point is kept with its millisecond, whatever its `StorageResolution`. Calls go to the instance with the",
        "fewest in flight, whatever the `RoutingConfig`.",
        "",
        "## Refused",
        "",
        "Of `logGroupClass` all but `STANDARD`.",
        "",
        "| where | parameters |",
        "|---|---|",
    ]
    lines += [f"| {place} | {_listed(names)} |" for place, names in refused().items()]
    return "\n".join(lines) + "\n"


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


if __name__ == "__main__":
    PAGE.write_text(page())
