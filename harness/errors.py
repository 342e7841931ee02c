# SPDX-License-Identifier: Apache-2.0
"""Every exception the harness raises on purpose, forked by whose fault it is.

HarnessError
 |- UsageError     the call is wrong (command line, argument out of its legal range)      exit 2
 |- RigError       a file is wrong; lists every problem with line, key, found, allowed    exit 2
 |- FirmwareError  the firmware does not compile, load, boot or return                     exit 3
 '- BenchError     an instrument or a CAN adapter misbehaves                               exit 3

A requirement that fails is a verdict, never an exception.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class HarnessError(Exception):
    """Root of all expected errors; anything else is a bug in the harness and keeps its traceback."""

    exit_code = 3


class UsageError(HarnessError):
    """The caller asked for something that is not possible; the text says what is."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a file. `line` counts from 1, 0 where the whole file is meant."""

    file: str
    line: int
    key: str
    found: str
    allowed: str

    def __str__(self) -> str:
        """One line, in the form editors jump to: file:line: key: found ..., allowed ..."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        key = f" {self.key}:" if self.key else ""
        return f"{place}:{key} found {self.found}; allowed: {self.allowed}"


class RigError(HarnessError):
    """A rig, requirement, scenario, cell, profile or DBC file is wrong."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class FirmwareError(HarnessError):
    """The firmware could not be built, loaded, booted or stepped; the text carries file and line where known."""


class BenchError(HarnessError):
    """The bench did not do what was asked; it stays latched until a person acknowledges."""
