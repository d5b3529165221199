"""Who may import whom: the table of docs/architecture.md, kept."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "clary"
ROW = re.compile(r"^\| `(?P<rooms>[^|]*)` \|[^|]*\| (?P<may>[^|]*) \|$", re.MULTILINE)
APART = {"storage": ("resources", "blobs", "journal")}
"""Rooms whose parts do not know each other."""


def allowed() -> dict[str, set[str]]:
    """Room -> rooms it may import, from the table."""
    table = {}
    for row in ROW.finditer((ROOT / "docs" / "architecture.md").read_text()):
        may = set(
            re.findall(
                r"\b(?:core|formats|algorithms|catalog|languages|storage|tuning|services|sandbox|compute|gateway)\b",
                re.sub(r"\(.*?\)", "", row["may"]),
            )
        )
        if row["may"].startswith("nothing"):
            may = set()
        rooms = row["rooms"].replace("`", "").split(", ")
        table |= dict.fromkeys(rooms, may | set(rooms))
    return table


def modules() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*.py") if path.parent != SOURCE or path.stem != "__init__")


def imported(path: Path) -> set[str]:
    """Dotted names under `clary` that a module imports, those for type checkers left out."""
    tree = ast.parse(path.read_text())
    hidden = {id(node) for block in ast.walk(tree) if _for_type_checkers(block) for node in ast.walk(block)}
    names: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.removeprefix("clary.") for name in names if name.startswith("clary.") and "__" not in name}


def _for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def room(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def parts_apart() -> list[Path]:
    return [path for path in modules() if room(path) in APART and path.relative_to(SOURCE).parts[1] in APART[room(path)]]


def test_the_table_names_every_room():
    assert set(allowed()) >= {room(path) for path in modules() if not room(path).startswith("__")}


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_a_module_imports_only_what_its_room_may(path):
    here = room(path)
    if here.startswith("__"):
        return
    may = allowed()[here]
    if path.is_relative_to(SOURCE / "algorithms" / "hosted"):
        may |= {"catalog"}
    strangers = sorted(name for name in imported(path) if name.split(".")[0] not in may)
    assert strangers == [], f"{here} may import {', '.join(sorted(may))}"


@pytest.mark.parametrize("path", parts_apart(), ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_parts_that_do_not_know_each_other(path):
    here, part = path.relative_to(SOURCE).parts[:2]
    others = [other for other in APART[here] if other != part]
    assert not [name for name in imported(path) if name.split(".")[:1] == [here] and name.split(".")[1] in others]


@pytest.mark.parametrize(
    "path", [p for p in modules() if room(p) == "services"], ids=lambda p: p.relative_to(SOURCE).as_posix()
)
def test_a_service_never_imports_another(path):
    parts = path.relative_to(SOURCE).parts
    services = {folder.name for folder in (SOURCE / "services").iterdir() if folder.is_dir()}
    mine = parts[1] if parts[1] in services else ""
    seen = {name.split(".")[1] for name in imported(path) if name.startswith("services.")} & services
    assert not mine or seen <= {mine}


def loaded_by(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after `statement`."""
    program = f"{statement}\nimport sys\nprint(' '.join(sorted({{name.split('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def clary_rooms_loaded_by(statement: str) -> set[str]:
    program = f"{statement}\nimport sys\nprint(' '.join(name for name in sys.modules if name.startswith('clary.')))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return {name.split(".")[1] for name in done.stdout.split()}


def test_the_library_pulls_in_no_platform():
    statement = "from clary.algorithms import *"
    assert not loaded_by(statement) & {"boto3", "botocore", "boto", "uvicorn", "sqlalchemy", "typer", "torch"}
    assert clary_rooms_loaded_by(statement) <= {"algorithms", "formats", "core"}


def test_the_server_pulls_in_nothing_heavy():
    libraries = {"numpy", "scipy", "xgboost", "boto3", "pandas", "torch", "botocore", "awscrt", "cryptography", "typer", "rich"}
    assert not loaded_by("import clary.gateway.server") & libraries
    assert not loaded_by("import clary.cli.foreground") & {*libraries, "uvicorn"}


def test_the_catalog_pulls_in_nothing_heavy():
    assert not loaded_by("from clary.catalog.algorithms import every; every()") & {"numpy", "scipy", "xgboost", "botocore"}


def test_spaces_trials_and_stopping_rules_pull_in_nothing_heavy():
    statement = "import clary.tuning, clary.tuning.space, clary.tuning.trial, clary.tuning.stopping"
    assert not loaded_by(statement) & {"numpy", "scipy"}
    assert clary_rooms_loaded_by(statement) == {"tuning"}
