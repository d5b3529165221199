"""The environments that frameworks run in: the server's own, those made with `clary env add`, and cached requirements.

`<data>/environments/`
  `named/<name>.json`   what `clary env add` made: where it is, what it was asked for, which version of the framework it has
  `made/<key>/`         an environment; the key follows from what is in it, so equal ones are made once
  `made/<key>.lock`     held while it is made; the file `ready` in the environment says that it was finished
  `library/`            links to Clary and to what it needs, for environments that have neither
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.metadata
import importlib.util
import itertools
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from clary.catalog.frameworks import PLAIN, Framework, named
from clary.compute.toolkit import layers

READY = "ready"
_LIBRARY = ("clary", "orjson", "botocore", "jmespath", "dateutil", "six", "urllib3")
"""What workers and batch transforms import beside the standard library. All but orjson, which is made for this very Python, are
pure; an environment's own packages come first."""
_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?")
Run = Callable[[Sequence[str]], None]
"""Runs a command whose output the user sees; raises when it fails."""


@dataclass(frozen=True, slots=True)
class Named:
    """An environment that `clary env add` made."""

    name: str
    key: str
    requirements: tuple[str, ...]
    version: str
    """Of the framework that `name` begins with; `""` when it is not installed there."""
    created: float


@dataclass(frozen=True, slots=True)
class Choice:
    """Where a framework runs."""

    name: str
    """Of the environment; `""` for the server's own."""
    version: str
    interpreter: str
    layers: tuple[str, ...]

    @property
    def is_own(self) -> bool:
        return not self.name


class Unusable(Exception):
    """What was asked of an environment cannot be; the message says what to do."""


class Environments:
    """Those below one data directory. Every method may be called by several processes at once."""

    def __init__(self, root: Path):
        self._named = root / "named"
        self._made = root / "made"
        self._library = root / "library"

    # --- named environments ---

    def add(self, name: str, requirements: Sequence[str], run: Run) -> Named:
        """Make an environment of pip `requirements` (lines of a requirements file) and call it `name`; a second call renews it.

        Raises `Unusable` for a bad name; whatever `run` raises when pip fails.
        """
        framework = _framework(name)
        requirements = tuple(requirements) or framework.requirements
        key = _key("named", sys.version, *requirements)
        with self._making(key) as directory:
            if directory:
                _install_isolated(directory, requirements, self._link_library(), run)
        packages = layers.site_directory(self._made / key)
        record = Named(name, key, requirements, version_in([str(packages)], framework), time.time())
        self._named.mkdir(parents=True, exist_ok=True)
        part = self._named / f"{name}.part"
        part.write_text(json.dumps(asdict(record)))
        part.rename(self._named / f"{name}.json")
        return record

    def every(self) -> list[Named]:
        """The named environments, in order of their names."""
        documents = [json.loads(file.read_text()) for file in sorted(self._named.glob("*.json"))]
        return [Named(**document | {"requirements": tuple(document["requirements"])}) for document in documents]

    def remove(self, name: str) -> None:
        """Forget a named environment, and delete it when it has no other name. Raises `Unusable` when there is none."""
        if not _NAME.fullmatch(name) or not (file := self._named / f"{name}.json").exists():
            raise Unusable(f"there is no environment {name!r}; clary env list shows those there are")
        key = json.loads(file.read_text())["key"]
        file.unlink()
        if key not in {other.key for other in self.every()}:
            shutil.rmtree(self._made / key, ignore_errors=True)

    def path_of(self, environment: Named) -> Path:
        return self._made / environment.key

    # --- choosing ---

    def choose(self, framework: Framework, asked: str) -> Choice | None:
        """Where to run `framework`: of the environments that have it, the one with the version nearest to `asked`.

        Of equally near ones a named one is taken. None when it is installed nowhere.
        """
        choices = [self._choice(one) for one in self.every() if one.version and named(one.name) is framework]
        if version := own_version(framework):
            packages = () if framework.name == PLAIN else tuple(layers.own())
            choices.append(Choice("", version, sys.executable, packages))
        return min(choices, key=lambda choice: _distance(choice.version, asked), default=None)

    def _choice(self, environment: Named) -> Choice:
        directory = self._made / environment.key
        packages = str(layers.site_directory(directory))
        return Choice(environment.name, environment.version, str(directory / "bin" / "python"), (packages,))

    # --- requirements ---

    def with_requirements(self, base: Choice, source: Path, names: Sequence[str], install: Run) -> str | None:
        """The site directory of what `names` (arguments of `pip install`, run in `source`) need beyond `base`, made once.

        `install` is given pip's command. None when `base` has it all. A base without layers, plain Python, gets pip itself too.
        """
        key = _key("requirements", sys.version, *base.layers, *_changed(base.layers), *_content(source, names))
        with self._making(key) as directory:
            if directory:
                python = layers.make(directory, base.layers, base.interpreter) if base.layers else _make_plain(directory)
                install([str(python), "-m", "pip", "install", "--disable-pip-version-check", *names])
        directory = self._made / key
        return None if layers.is_bare(directory) else str(layers.site_directory(directory))

    # --- making ---

    @contextlib.contextmanager
    def _making(self, key: str) -> Iterator[Path | None]:
        """The empty directory of environment `key` while this process makes it; None when it is there already.

        Others wait meanwhile. What a process that died left half made is made anew.
        """
        self._made.mkdir(parents=True, exist_ok=True)
        directory = self._made / key
        with (self._made / f"{key}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if (directory / READY).exists():
                os.utime(directory / READY)  # when it was used last
                yield None
                return
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir()
            yield directory
            (directory / READY).touch()

    def _link_library(self) -> Path:
        """A directory that has Clary, for environments of their own; not what Clary is installed beside."""
        self._library.mkdir(parents=True, exist_ok=True)
        for name in _LIBRARY:
            found = importlib.util.find_spec(name)
            assert found is not None, "Clary needs it, so it is there"
            assert found.origin is not None, "a module has a file"
            file = Path(found.origin)
            target = file.parent if file.name == "__init__.py" else file
            link = self._library / target.name
            if not link.is_symlink() or link.readlink() != target:
                part = self._library / f"{target.name}.{os.getpid()}"
                part.symlink_to(target)
                part.rename(link)
        return self._library


def _framework(name: str) -> Framework:
    """The framework that an environment of this name is for. Raises `Unusable`."""
    from clary.catalog.frameworks import FRAMEWORKS

    framework = named(name) if _NAME.fullmatch(name) else None
    if framework is None:
        known = ", ".join(one.name for one in FRAMEWORKS)
        raise Unusable(
            f"an environment's name is that of a framework, or begins with it and '-': {known}; got {name!r} (say pytorch-2.1)"
        )
    return framework


def _make_plain(directory: Path) -> Path:
    """A virtual environment with pip and nothing else; its python."""
    subprocess.run([sys.executable, "-m", "venv", str(directory)], check=True)
    return directory / "bin" / "python"


def _install_isolated(directory: Path, requirements: Sequence[str], library: Path, run: Run) -> None:
    python = _make_plain(directory)
    file = directory / "requirements.txt"
    file.write_text("".join(f"{line}\n" for line in requirements))
    run([str(python), "-m", "pip", "install", "--disable-pip-version-check", "-r", str(file)])
    (layers.site_directory(directory) / "clary-library.pth").write_text(f"{library}\n")


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def _changed(directories: Sequence[str]) -> list[str]:
    """When something was last installed into each of `directories`, or removed."""
    return [str(os.stat(directory).st_mtime_ns) for directory in directories]


def _content(source: Path, names: Sequence[str]) -> Iterator[str]:
    """What `pip install NAMES` in `source` depends on: the requirements, and all of `source` where they point into it."""
    yield "\0".join(names)
    files = [source / name for option, name in itertools.pairwise(names) if option == "-r"]
    text = "\n".join(file.read_text(errors="replace") for file in files)
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    yield "\n".join(lines)
    if "." in names or any(_points_elsewhere(line) for line in lines):
        for path in sorted(source.rglob("*")):
            if path.is_file():
                yield f"{path.relative_to(source)} {hashlib.sha256(path.read_bytes()).hexdigest()}"


def _points_elsewhere(line: str) -> bool:
    return line.startswith(("-r", "-c", "-e", "--requirement", "--constraint", "--editable", ".", "/")) or "file:" in line


def own_version(framework: Framework) -> str:
    """The version of `framework` that the Python that runs this has; `""` when it has none. Imports nothing of it."""
    return version_in(layers.own(), framework) if importlib.util.find_spec(framework.module) else ""


def version_in(directories: Sequence[str], framework: Framework) -> str:
    """The version of `framework` that is installed in one of the site `directories`; `""` when none is."""
    if framework.name == PLAIN:
        return platform.python_version()
    for name in framework.distributions:
        for found in importlib.metadata.distributions(name=name, path=list(directories)):
            return found.version
    return ""


def _distance(version: str, asked: str) -> tuple[int, ...]:
    """How far apart two versions are: first by their first number, then by the second, …"""
    if not asked:
        return (0,)
    have, want = _numbers(version), _numbers(asked)
    longest = max(len(have), len(want))
    padded = (numbers + [0] * (longest - len(numbers)) for numbers in (have, want))
    return tuple(abs(a - b) for a, b in zip(*padded, strict=True))


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version.split("+")[0])]
