"""`clary services`: what is real, counted from the code: the operations of botocore's models against those with a method."""

from __future__ import annotations

import asyncio
import importlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from clary.cli.errors import MISUSED, CommandError


def add_to(app: typer.Typer) -> None:
    app.command()(services)


@dataclass(frozen=True, slots=True)
class Coverage:
    """One service: its API's full name and its operations, each with whether Clary has it."""

    service: str
    title: str
    api_version: str
    operations: dict[str, bool]

    @property
    def real(self) -> list[str]:
        return [name for name, implemented in self.operations.items() if implemented]

    @property
    def missing(self) -> list[str]:
        return [name for name, implemented in self.operations.items() if not implemented]


def services(
    service: Annotated[str | None, typer.Argument(help="Only this one, with its operations.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write a page per service into this folder.", metavar="DIR")] = None,
) -> None:
    """Say which AWS operations are real here; every other one answers 501 NotImplemented."""
    found = covered()
    if markdown is not None:
        write_pages(found, markdown)
    elif service is None:
        for coverage in found:
            print(f"{coverage.service:20} {len(coverage.real):4} of {len(coverage.operations):4}  {coverage.title}")
    else:
        _show(next((coverage for coverage in found if coverage.service == service), None), service, found)


def _show(coverage: Coverage | None, service: str, found: list[Coverage]) -> None:
    if coverage is None:
        raise CommandError(f"{service!r} is not a service of Clary; it has {', '.join(c.service for c in found)}", MISUSED)
    for name, implemented in coverage.operations.items():
        print(f"{'real' if implemented else '-':5} {name}")


def covered() -> list[Coverage]:
    """Every mounted service, in alphabetical order."""
    from clary.gateway.wire import load_service

    implemented = asyncio.run(_implemented())
    found = []
    for service, names in sorted(implemented.items()):
        model = load_service(service)
        operations = {name: name in names for name in model.operation_names}
        found.append(Coverage(service, model.metadata["serviceFullName"], model.api_version, operations))
    return found


async def _implemented() -> dict[str, set[str]]:
    """Service -> names of the operations that its resources have a method for."""
    from clary.core.config import Config
    from clary.core.service import operations_of
    from clary.gateway.server import open_platform
    from clary.services import MOUNTED

    with tempfile.TemporaryDirectory() as folder:
        async with open_platform(Config(data=Path(folder))) as platform:
            return {
                service: set(operations_of(importlib.import_module(module).resources(platform)))
                for service, module in MOUNTED.items()
            }


def write_pages(found: list[Coverage], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages(found).items():
        (folder / name).write_text(text)


def pages(found: list[Coverage]) -> dict[str, str]:
    """File name -> text: an overview, and a page for each service."""
    return {"README.md": _overview(found)} | {f"{coverage.service}.md": _page(coverage) for coverage in found}


_GENERATED = "*Generated from the code by `make docs`. What is not listed as real answers 501 `NotImplemented` with its name.*"


def _overview(found: list[Coverage]) -> str:
    rows = [f"| [{c.service}]({c.service}.md) | {c.title} | {len(c.real)} | {len(c.operations)} |" for c in found]
    return "\n".join(
        [
            "# Services",
            "",
            _GENERATED,
            "",
            "| service | API | operations that are real | in the API |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _page(coverage: Coverage) -> str:
    lines = [f"# {coverage.service}: {coverage.title} ({coverage.api_version})", "", _GENERATED, ""]
    lines += [f"## Real ({len(coverage.real)})", "", *(f"- {name}" for name in coverage.real), ""]
    if coverage.missing:
        lines += [f"## Not yet ({len(coverage.missing)})", "", ", ".join(coverage.missing), ""]
    return "\n".join(lines)
