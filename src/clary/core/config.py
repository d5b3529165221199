"""The server's configuration: one typed object, read once at the start and passed on.

Order, later wins: the defaults below, the configuration file (`clary.toml` in the data directory, or `--config FILE`),
command line options. `docs/configuration.md` describes every setting; a test keeps the two together.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of one server.

    Raises `ValueError` from `load` with the setting's name when a value is not acceptable.
    """

    data: Path = field(default_factory=lambda: Path.home() / ".clary")
    host: str = "127.0.0.1"
    port: int = 4566
    auth: str = "open"
    """`open` (any key pair, loopback only) or `strict` (keys made through IAM)."""
    region: str = "us-east-1"
    """Region of requests that carry none."""
    durability: str = "full"
    """`full` (acknowledged means on disk) or `fast` (a power cut may lose the last moments; a killed process loses nothing)."""
    tls: bool = False
    tls_port: int = 4567
    hosts: tuple[str, ...] = ()
    """Further host names that requests may carry in `Host` and `Origin`."""
    allow_reset: bool = False
    """Mount `POST /_clary/reset`, which wipes everything."""
    capacity_cpus: int = 0
    """Training, processing and transform jobs that run at a time; 0 means one per core."""
    sandbox: str = "auto"
    """How programs are confined: `auto` (as far as this machine can, with a warning in their logs for what it cannot),
    `required` (programs that cannot be confined fully do not run) or `off`."""
    job_retention_days: float = 30.0
    """How long the working directory of a finished job is kept; its record and its artifacts stay."""
    log_retention_days: float = 0.0
    """How long log events are kept in groups without a retention setting of their own; 0 means for ever."""
    metric_retention_days: float = 455.0
    """How long metric points are kept (15 months, as CloudWatch does)."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", Path(self.data).expanduser())
        object.__setattr__(self, "hosts", tuple(self.hosts))
        _check_choice("auth", self.auth, ("open", "strict"))
        _check_choice("durability", self.durability, ("full", "fast"))
        _check_choice("sandbox", self.sandbox, ("auto", "required", "off"))
        for name in ("port", "tls_port"):
            if not 0 <= getattr(self, name) <= 65535:
                raise ValueError(f"{name} must be between 0 and 65535; got {getattr(self, name)}")
        for name in ("capacity_cpus", "job_retention_days", "log_retention_days", "metric_retention_days"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative; got {getattr(self, name)}")


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}; got {value!r}")


def load(file: Path | None = None, **options: Any) -> Config:
    """The configuration from `file` (TOML; missing means none) under explicit `options` (None means not given)."""
    settings: dict[str, Any] = {}
    if file is not None and file.exists():
        settings = _read(file)
    settings |= {name: value for name, value in options.items() if value is not None}
    return Config(**settings)


def _read(file: Path) -> dict[str, Any]:
    """The file's settings, of the types that they have here: a quoted "false" is not taken for true."""
    try:
        settings = tomllib.loads(file.read_text())
    except ValueError as error:
        raise ValueError(f"{file} is not TOML: {error}") from None
    kinds = {setting.name: str(setting.type) for setting in dataclasses.fields(Config)}
    if unknown := sorted(settings.keys() - kinds):
        raise ValueError(f"unknown setting {unknown[0]!r} in {file}; known settings: {', '.join(sorted(kinds))}")
    for name, value in settings.items():
        expected, fits = _KINDS[kinds[name]]
        if not fits(value):
            raise ValueError(f"{name} in {file} must be {expected}; got {value!r}")
    return settings


_KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "Path": ("text in quotes", lambda value: isinstance(value, str)),
    "str": ("text in quotes", lambda value: isinstance(value, str)),
    "bool": ("true or false", lambda value: isinstance(value, bool)),
    "int": ("a whole number", lambda value: type(value) is int),
    "float": ("a number", lambda value: type(value) in (int, float)),
    "tuple[str, ...]": ("a list of texts", lambda value: isinstance(value, list) and all(isinstance(v, str) for v in value)),
}
"""Type of a setting, as it is annotated -> what the file may give for it."""
