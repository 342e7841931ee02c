# SPDX-License-Identifier: Apache-2.0
"""What several commands share: the --json switch, durations, the way out."""

from __future__ import annotations

import errno
import functools
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar, cast

import click

from harness.cli.failure import error_document
from harness.errors import HarnessError, UsageError
from harness.verdict import EXIT_CODES, Outcome

Command = TypeVar("Command", bound=Callable[..., Any])
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG)
_UNITS_S = {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}


class Duration(click.ParamType[float]):
    """A time such as 2s, 500ms, 1.5min or a plain number of seconds; never negative."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds."""
        if isinstance(value, (int, float)):
            return float(value)
        text = str(value).strip()
        for unit in sorted(_UNITS_S, key=len, reverse=True):
            if text.endswith(unit):
                number, factor = text[: -len(unit)], _UNITS_S[unit]
                break
        else:
            number, factor = text, 1.0
        try:
            seconds = float(number) * factor
        except ValueError:
            seconds = -1.0
        if not 0.0 <= seconds < 1e6:  # noqa: PLR2004 - eleven days
            self.fail(f"'{text}' is not a time; allowed: a number with ms, s, min or h, e.g. 2s or 500ms", param, ctx)
        return seconds


def json_option(command: Command) -> Command:
    """The --json switch every command has; with it an expected error is a JSON document too."""

    @functools.wraps(command)
    def telling(*args: Any, **options: Any) -> Any:
        try:
            with refusals_told():
                return command(*args, **options)
        except HarnessError as error:
            if options["as_json"]:
                emit(error_document(error))
            raise

    switch = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout, all else on stderr.")
    return switch(cast("Command", telling))


@contextmanager
def refusals_told() -> Iterator[None]:
    """Raises UsageError for a path that the system refuses, such as one in a folder that may not be entered."""
    try:
        yield
    except OSError as error:
        if error.errno not in _REFUSED or error.filename is None:
            raise
        raise UsageError(f"cannot read or write {error.filename}: {error.strerror}") from error


def emit(document: object) -> None:
    """The one JSON document of a command."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))


def leave(outcome: Outcome) -> NoReturn:
    """End with the exit code of an outcome."""
    sys.exit(EXIT_CODES[outcome])


def write_whole(path: Path, text: str) -> None:
    """Write a file a person named, its folder too: complete or absent, never half. UsageError when it cannot be."""
    partial = _partial(path)
    with _told(path):
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)


def check_writable(*paths: Path | None) -> None:
    """Before long work: make the folders of files `write_whole` will write. UsageError when it could not."""
    for path in paths:
        if path is not None:
            partial = _partial(path)
            with _told(path):
                partial.touch()
                partial.unlink()


def _partial(path: Path) -> Path:
    """Where a file is written before it gets its name; its folder is made."""
    with _told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(path.name + ".partial")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except (FileExistsError, NotADirectoryError) as error:
        raise UsageError(f"cannot write {path}: {error.filename} is no folder") from error
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error


def from_here(path: Path) -> str:
    """A path that tells nothing of this machine, for commands printed in pages for others."""
    if not path.is_absolute():
        return path.as_posix()
    here = Path.cwd()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else path.name


def shell_quote(*words: str) -> str:
    """A command line as it can be pasted."""
    import shlex  # noqa: PLC0415 - only to print

    return shlex.join(words)
