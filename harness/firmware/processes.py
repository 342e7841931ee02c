# SPDX-License-Identifier: Apache-2.0
"""Runs compiler commands, a few at a time, and collects what they say."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import FirmwareError

_MOST_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Command:
    """An argument vector and a title for messages."""

    arguments: tuple[str, ...]
    title: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended, and what it wrote."""

    title: str
    code: int
    output: str


def run_all(commands: Sequence[Command], scratch: Path, folder: Path) -> list[Outcome]:
    """Run all commands in `folder`, as many at once as there are processors (at most 4). Results in order of commands.

    Output goes through files in `scratch`: a full pipe can then not block a compiler. Raises FirmwareError when a
    command cannot be started.
    """
    at_once = min(_MOST_AT_ONCE, os.cpu_count() or 1)
    logs = [scratch / f"output-{number}.txt" for number in range(len(commands))]
    running: list[subprocess.Popen[bytes]] = []
    try:
        for number, (command, log) in enumerate(zip(commands, logs, strict=True)):
            if number >= at_once:
                running[number - at_once].wait()
            running.append(_start(command, log, folder))
        codes = [process.wait() for process in running]
    finally:
        _end(running)
    titles = [command.title for command in commands]
    texts = [log.read_text(encoding="utf-8", errors="replace") for log in logs]
    return [Outcome(*outcome) for outcome in zip(titles, codes, texts, strict=True)]


def _end(running: Sequence[subprocess.Popen[bytes]]) -> None:
    """After an interrupt nothing goes on in the background."""
    for process in running:
        if process.poll() is None:
            process.kill()
            process.wait()


def _start(command: Command, log: Path, folder: Path) -> subprocess.Popen[bytes]:
    environment = os.environ | {"LC_ALL": "C"}
    try:
        with log.open("wb") as file:
            return subprocess.Popen(  # noqa: S603 - a compiler found on PATH, no shell
                command.arguments,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
    except OSError as error:
        raise FirmwareError(f"{command.title}: cannot run {command.arguments[0]}: {error}") from error
