"""The server's configuration: one typed object, read once at the start and passed on.

Order, later wins: the defaults below, the configuration file (`clary.toml` in the data directory, or `--config FILE`),
command line options. `docs/configuration.md` describes every setting; a test keeps the two together.
"""

from __future__ import annotations

import dataclasses
import tomllib
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
    """Training and transform jobs that run at a time; 0 means one per core."""
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
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port must be between 0 and 65535; got {self.port}")


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}; got {value!r}")


def load(file: Path | None = None, **options: Any) -> Config:
    """The configuration from `file` (TOML; missing means none) under explicit `options` (None means not given)."""
    settings: dict[str, Any] = {}
    if file is not None and file.exists():
        settings = tomllib.loads(file.read_text())
    known = {f.name for f in dataclasses.fields(Config)}
    if unknown := sorted(set(settings) - known):
        raise ValueError(f"unknown setting {unknown[0]!r} in {file}; known settings: {', '.join(sorted(known))}")
    settings |= {name: value for name, value in options.items() if value is not None}
    return Config(**settings)
