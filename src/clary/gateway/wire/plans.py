"""Shapes turned into functions once, so that a request walks closures and not the service model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from botocore.model import ServiceModel, Shape

Plan = Callable[..., Any]


class Compiler:
    """Base of the compilers: a method `of_TYPE` per shape type returns the shape's plan, or None where there is nothing to do.

    A plan is made once per shape and serialization traits. A recursive shape meets its own plan while that is being made
    and gets a call through the table instead.
    """

    def __init__(self) -> None:
        self._plans: dict[tuple[str, str], Plan | None] = {}

    def plan(self, shape: Shape) -> Any:
        key = (shape.name, str(shape.serialization))
        if key not in self._plans:
            self._plans[key] = lambda *arguments: self._plans[key](*arguments)  # type: ignore[misc]
            self._plans[key] = getattr(self, f"of_{shape.type_name}")(shape)
        return self._plans[key]


_Kind = TypeVar("_Kind", bound=Compiler)
_COMPILERS: dict[tuple[type[Compiler], ServiceModel], Any] = {}


def compiler(kind: type[_Kind], model: ServiceModel) -> _Kind:
    """The one compiler of a kind for a service."""
    if (kind, model) not in _COMPILERS:
        _COMPILERS[kind, model] = kind()
    return _COMPILERS[kind, model]
