"""The command line: a file per group of commands. Heavy libraries are imported by the command that needs them."""

from __future__ import annotations

import sys

from clary.cli.errors import CommandError


def main() -> None:
    """Run a command. What goes wrong is one line on stderr; statuses: 1 failed, 2 misused, 3 no server runs."""
    try:
        _run(sys.argv[1:])
    except CommandError as error:
        print(f"clary: {error}", file=sys.stderr)
        sys.exit(error.status)


def _run(arguments: list[str]) -> None:
    if arguments[:1] == ["up"]:
        from clary.cli.foreground import up_at_once

        if up_at_once(arguments[1:]):
            return
    from clary.cli.app import app

    app()
