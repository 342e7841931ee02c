# SPDX-License-Identifier: Apache-2.0
"""How an expected error is told: every problem of a file on a line of its own, and as JSON for scripts."""

from __future__ import annotations

from typing import Any, Final

import click

from harness.errors import HarnessError, RigError

INTERRUPTED: Final = 130  # what shells use for a process ended by Ctrl-C


def report_error(error: HarnessError) -> None:
    """Say it on stderr. Problems of files begin their line with file:line, where editors and CI servers look for it."""
    if not isinstance(error, RigError):
        click.echo(f"error: {error}", err=True)
        return
    for problem in error.problems:
        click.echo(str(problem), err=True)
    count = len(error.problems)
    click.echo(f"error: {count} problem{'s' if count != 1 else ''} in {_files(error)}", err=True)


def _files(error: RigError) -> str:
    return ", ".join(dict.fromkeys(problem.file for problem in error.problems))


def error_document(error: HarnessError) -> dict[str, Any]:
    """The JSON document of a command that could not do its work."""
    problems = error.problems if isinstance(error, RigError) else ()
    return {
        "error": str(error),
        "exit_code": error.exit_code,
        "problems": [
            {"file": p.file, "line": p.line, "key": p.key, "found": p.found, "allowed": p.allowed} for p in problems
        ],
    }
