"""The manual says what the code does: settings, commands, options, generated pages, links, examples."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer.main

from clary.cli.app import app
from clary.cli.coverage import covered, pages
from clary.core.config import Config

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
MARKDOWN = [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]
COMMANDS = typer.main.get_command(app).commands


def test_every_setting_is_described_with_its_default():
    rows = dict(re.findall(r"^\| `(\w+)` \| `(.*?)` \|", (DOCS / "configuration.md").read_text(), re.MULTILINE))
    defaults = Config()
    assert list(rows) == [field.name for field in dataclasses.fields(Config)]
    for name, described in rows.items():
        value = getattr(defaults, name)
        if name == "data":
            assert described == "~/.clary"
        elif isinstance(value, bool):
            assert described == str(value).lower()
        elif isinstance(value, tuple):
            assert described == "[]"
        elif isinstance(value, float):
            assert float(described) == value
        else:
            assert described == str(value)


def flat(commands, prefix=""):
    for name, command in commands.items():
        if hasattr(command, "commands"):
            yield from flat(command.commands, f"{prefix}{name} ")
        else:
            yield prefix + name, command


@pytest.mark.parametrize(("name", "command"), list(flat(COMMANDS)), ids=lambda value: value if isinstance(value, str) else "")
def test_every_command_and_option_is_described(name, command):
    manual = (DOCS / "cli.md").read_text()
    assert f"`clary {name}" in manual
    for parameter in command.params:
        option = max(parameter.opts, key=len)
        if option.startswith("--") and option != "--help":
            assert option in manual, f"clary {name} {option}"


def test_every_option_of_up_is_a_setting():
    settings = {field.name for field in dataclasses.fields(Config)} | {"config", "detach"}
    assert {parameter.name for parameter in COMMANDS["up"].params} <= settings


def test_the_pages_of_services_are_current():
    found = {file.name: file.read_text() for file in (DOCS / "services").glob("*.md")}
    assert found == pages(covered()), "run `make docs`"


def test_the_page_of_parameters_is_current():
    spec = importlib.util.spec_from_file_location("parameters", ROOT / "tools" / "parameters.py")
    parameters = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(parameters)
    assert parameters.PAGE.read_text() == parameters.page(), "run `make docs`"


@pytest.mark.parametrize("file", MARKDOWN, ids=lambda file: str(file.relative_to(ROOT)))
def test_links_lead_somewhere(file):
    for target in re.findall(r"\]\(([^)#\s]+)", file.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (file.parent / target).exists(), target


def test_what_clary_is_said_to_be():
    readme = (ROOT / "README.md").read_text()
    assert "compatible with the Amazon SageMaker APIs" in readme
    assert "not affiliated with Amazon" in readme


@pytest.fixture
def clary(tmp_path):
    """The command line, with a data directory of the test's own, in a folder of the test's own."""
    data = str(tmp_path / "data")

    def run(command, *arguments):
        line = [sys.executable, "-m", "clary.cli", command, *(() if command == "tuning" else ("--data", data)), *arguments]
        line += ["--data", data] if command == "tuning" else []
        ran = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    yield run
    run("down")


def test_the_programs_of_the_page_on_tuning_run(clary, tmp_path):
    """With four trials instead of thirty."""
    programs = re.findall(r"```python\n(import boto3.*?)```", (DOCS / "tuning.md").read_text(), re.DOTALL)
    tune, deploy = programs
    assert '"MaxNumberOfTrainingJobs": 30' in tune
    (tmp_path / "tune.py").write_text(tune.replace('"MaxNumberOfTrainingJobs": 30', '"MaxNumberOfTrainingJobs": 4'))
    (tmp_path / "deploy.py").write_text(deploy)
    clary("up", "--detach", "--port", "0")
    clary("run", "--", sys.executable, "tune.py")
    deadline = time.monotonic() + 300
    while "Completed" not in (listed := clary("tuning", "list")):
        assert "InProgress" in listed
        assert time.monotonic() < deadline, clary("tuning", "show", "cancer")
    answer = clary("run", "--", sys.executable, "deploy.py")
    right, asked = map(int, re.search(r"(\d+) of (\d+) rows", answer).groups())
    assert (asked, right > 60) == (69, True)
    assert clary("tuning", "report", "cancer").startswith("cancer.html: 4 trials")


def test_the_first_program_of_the_manual_runs(tmp_path):
    program = re.search(r"```python\n(import boto3.*?)```", (DOCS / "getting-started.md").read_text(), re.DOTALL)[1]
    (tmp_path / "train.py").write_text(program)
    command = [
        sys.executable,
        "-m",
        "clary.cli",
        "run",
        "--up",
        "--data",
        str(tmp_path / "data"),
        "--",
        sys.executable,
        "train.py",
    ]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("Completed")
