"""What a constructor's argument must be; `fit` asks. `ValueError` names the parameter, its value and the fix."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any


def require_whole(name: str, value: Any, least: int = 1) -> None:
    if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < least:
        raise ValueError(f"{name}={value!r} must be a whole number of at least {least}")


def require_number(name: str, value: Any, least: float = 0) -> None:
    if not isinstance(value, Real) or isinstance(value, bool) or not float(value) >= least:
        raise ValueError(f"{name}={value!r} must be a number of at least {least}")


def require_one_of(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name}={value!r} must be one of {', '.join(map(repr, allowed))}")
