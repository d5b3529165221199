"""The training toolkit: makes the environment that a script needs, tells the script everything, and becomes it.

`prepare` and `run` are what `supervisor/program.py` calls in the job's own process: `prepare` while it may still reach what
the script may not (the cache of environments), `run` when it may do only what the script may.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from clary.compute.toolkit import driver_files, in_process, layers, remote_function
from clary.compute.toolkit.command import at_hand, script_of
from clary.compute.toolkit.entry_point import Kind, check, command, kind_of, locate
from clary.compute.toolkit.environments import Choice, Environments
from clary.compute.toolkit.errors import CommandFailed, CustomerError
from clary.compute.toolkit.plan import VARIABLE, Plan
from clary.compute.toolkit.variables import Training

OWN_ENVIRONMENT = ".python"
"""Below `/opt/ml`: where the script's own `pip install` goes."""
INVOKING = "Invoking script with the following command:"
"""The last line of the log that is not the script's own, but for the command that follows it."""
_LAYERS = "CLARY_LAYERS"


def prepare(opt_ml: Path) -> None:
    """Say which Python runs the script, and install what its `requirements.txt` or `setup.py` asks for, once for all jobs.

    Raises `CustomerError` for a framework that is installed nowhere and for a bad entry point, `CommandFailed` when pip fails.
    """
    plan = Plan.parse(json.loads(os.environ[VARIABLE]))
    choice = plan.choice
    if choice is None:
        raise CustomerError(
            f"{plan.image} needs {plan.declared.distributions[0]}, which is not installed here; install it with: "
            f"{plan.declared.install_command}"
        )
    print(_which(plan, choice), flush=True)
    os.environ[_LAYERS] = json.dumps([*_requirements(plan, choice, opt_ml), *choice.layers])


def _which(plan: Plan, choice: Choice) -> str:
    """The first line of the log."""
    place = f"the environment {choice.name}" if choice.name else "the server's own environment"
    asked = f", the nearest to the {plan.asked} that the image asks for" if plan.asked else ""
    return f"Clary: {plan.declared.distributions[0]} {choice.version}{asked}; Python {platform.python_version()}, {place}"


def _requirements(plan: Plan, choice: Choice, opt_ml: Path) -> list[str]:
    """The site directory with what the source asks for beyond its framework, when there is such a thing."""
    if plan.command:
        source, names = _asked_by(plan.command, choice, opt_ml)
        kind = "InstallRequirementsError"
    else:
        source, names, kind = _asked_for(opt_ml)
    if not choice.layers:
        names = ["pip", *names]  # plain Python: an environment that begins with pip
        source = source if source.is_dir() else opt_ml
    if not names:
        return []

    def install(pip: Sequence[str]) -> None:
        print(f"Installing: pip install {' '.join(names)}", flush=True)
        _run(pip, source, kind)

    found = Environments(Path(plan.environments)).with_requirements(choice, source, names, install)
    return [found] if found else []


def _asked_by(command: Sequence[str], choice: Choice, opt_ml: Path) -> tuple[Path, list[str]]:
    """Directory and arguments of `pip install` for what a command will miss otherwise, or install by itself."""
    if remote_function.is_one(opt_ml):
        return opt_ml / "code", remote_function.requirements(command, choice.layers)
    return driver_files.requirements(opt_ml)


def _asked_for(opt_ml: Path) -> tuple[Path, list[str], str]:
    """Source directory, arguments of `pip install` that it asks for, and what the toolkit calls their failure."""
    training, source = Training.read(opt_ml, os.environ), opt_ml / "code"
    check(training.entry_point)
    kind = kind_of(source, training.entry_point)
    listed = ["-r", "requirements.txt"] if (source / "requirements.txt").is_file() else []
    if kind is Kind.PACKAGE:
        return source, [".", *listed], "InstallModuleError"
    return source, listed if kind is Kind.SCRIPT else [], "InstallRequirementsError"


def _run(pip: Sequence[str], source: Path, kind: str) -> None:
    """Run pip in `source`, its output in the job's log. Raises `CommandFailed` that quotes the end of it."""
    process = subprocess.Popen(pip, cwd=source, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    assert process.stdout is not None, "it is a pipe"
    last: list[str] = []
    for line in process.stdout:
        print(line, end="", flush=True)
        last = [*last[-19:], line.rstrip()]
    if code := process.wait():
        raise CommandFailed(kind, code, last, ["python", *pip[1:]])


def run(opt_ml: Path) -> NoReturn:
    """Become the job's program: the script, or the command that the job gives. Raises `CustomerError`."""
    plan = Plan.take()
    choice = plan.choice
    assert choice is not None, "prepare() has seen to it"
    found = json.loads(os.environ.pop(_LAYERS))
    python = layers.make(opt_ml / OWN_ENVIRONMENT, found, choice.interpreter)
    programs = (python.parent, Path(choice.interpreter).parent, os.environ.get("PATH", os.defpath))
    os.environ["PATH"] = os.pathsep.join(map(str, programs))
    os.environ["VIRTUAL_ENV"] = str(python.parent.parent)
    if plan.command:
        _run_command(driver_files.at(opt_ml, plan.command), opt_ml, python, plan.in_process and _is_here(choice, found))
    training, code = Training.read(opt_ml, os.environ), opt_ml / "code"
    check(training.entry_point)
    script, kind = locate(code, training.entry_point), kind_of(code, training.entry_point)
    os.environ |= training.variables(plan.declared.training_module) | {"PYTHONPATH": _python_path(code)}
    shown = command(kind, training.entry_point, training.arguments, str(python), training.launcher)
    print(f"{INVOKING}\n\n{' '.join(shown)}\n", flush=True)
    os.chdir(code)
    if kind is Kind.SCRIPT and plan.in_process and not training.launcher and _is_here(choice, found):
        _look_like(python)
        in_process.run(script, training.arguments, training.entry_point)
    if kind is Kind.COMMAND:
        script.chmod(0o755)
    _become(shown, code)


def _is_here(choice: Choice, found: Sequence[str]) -> bool:
    """Whether this process has the Python and all the packages that the script is to have."""
    return choice.is_own and len(found) == len(choice.layers)


def _run_command(given: Sequence[str], opt_ml: Path, python: Path, may_stay: bool) -> NoReturn:
    """Become the command of a job, in its source directory. Raises `CustomerError`."""
    directory = opt_ml / "processing" if (opt_ml / "processing").is_dir() else opt_ml / "code"
    if may_stay and (named := script_of(given)) and (script := Path(directory, named[0])).is_file():
        os.chdir(directory)
        _look_like(python)
        in_process.run(script, named[1:], named[0])
    if remote_function.is_one(opt_ml):
        os.environ |= remote_function.environment()
    _become(at_hand(given, str(python)), directory)


def _python_path(code: Path) -> str:
    given = os.environ.get("PYTHONPATH")
    return f"{code}{os.pathsep}{given}" if given else str(code)


def _look_like(python: Path) -> None:
    """Make this process's Python that of the job: what it installs goes there, and is found."""
    sys.executable = str(python)
    packages = str(layers.site_directory(python.parent.parent))
    at = next((at for at, path in enumerate(sys.path) if path in layers.own()), len(sys.path))
    sys.path[at:at] = [packages]
    sys.path.insert(0, os.getcwd())


def _become(argv: Sequence[str], directory: Path) -> NoReturn:
    """Replace this process by a command. Raises `CustomerError` when there is no such program."""
    os.chdir(directory)
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execvpe(argv[0], list(argv), dict(os.environ))
    except OSError as error:
        raise CustomerError(f"{argv[0]} cannot be run: {error.strerror}") from error
