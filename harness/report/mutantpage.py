# SPDX-License-Identifier: Apache-2.0
"""The result of a mutant campaign for people: a line, and the page `docs/mutants.md`, from the JSON document."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.rig.mutants import SURVIVORS, Fate

_FATES = {
    Fate.KILLED: "killed",
    Fate.SURVIVED: "survived",
    Fate.SAME: "never different",
    Fate.NOT_COVERED: "not covered",
    Fate.ERROR: "error",
}

_PREAMBLE = """\
Written by `{command}` on {day}, seed {seed}, build `{build}`.

**{line}.** Drawn from {mutants} mutants; {scenarios} scenarios, green without a mutant; {duration_s:.0f} s.

A mutant is one small change of one place in the C code, made with a parser (tree-sitter) and compiled with all others
into one library. It is *killed* when a requirement fails. A crash, a hang or a start state that is not reached is an
*error*, never a kill, and counts against the score. *Never different*: executed, but no scenario gave the place another
value. Only what a reason calls equivalent is taken out of the score."""


def summary_line(record: Mapping[str, Any]) -> str:
    """Score and counts in one line."""
    if record["score"] is None:
        return "nothing was played"
    counts = record["counts"]
    told = ", ".join(f"{counts[fate.value]} {word}" for fate, word in _FATES.items())
    return f"score {100.0 * record['score']:.1f} % of {record['played']} mutants: {told}"


def survivors_of(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The trials of mutants that lived, in the order of the code."""
    lived = {fate.value for fate in SURVIVORS}
    return [trial for trial in record["trials"] if trial["fate"] in lived]


def markdown(record: Mapping[str, Any]) -> str:
    """The page."""
    lines = [
        "# Mutants of the firmware",
        "",
        *_PREAMBLE.format(
            **record, day=record["date"][:10], build=record["library_sha256"][:16], line=summary_line(record)
        ).splitlines(),
        "",
        "## By operator",
        "",
        *_counted(record["trials"], lambda trial: trial["operator"]),
        "",
        "## By file",
        "",
        *_counted(record["trials"], lambda trial: trial["file"]),
        "",
        "## Why survivors survive",
        "",
        *_reason_lines(survivors_of(record)),
        "",
        "## Survivors",
        "",
        *_survivor_lines(survivors_of(record)),
        "",
        "## Errors",
        "",
        *_error_lines([trial for trial in record["trials"] if trial["fate"] == Fate.ERROR.value]),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _counted(trials: Sequence[Mapping[str, Any]], key: Callable[[Mapping[str, Any]], str]) -> list[str]:
    heads = list(_FATES.values())
    lines = [f"| | {' | '.join(heads)} | killed of all |", f"|---|{'---:|' * (len(heads) + 1)}"]
    for name in sorted({key(trial) for trial in trials}):
        own = [trial for trial in trials if key(trial) == name]
        counts = [sum(trial["fate"] == fate.value for trial in own) for fate in _FATES]
        share = 100.0 * counts[0] / len(own)
        lines.append(f"| {name} | {' | '.join(str(count) for count in counts)} | {share:.0f} % |")
    return lines


_KINDS = {
    "equivalent": "does the same in every case; taken out of the score",
    "tolerance": "differs by less than the requirements allow",
    "unrequired": "differs in what no requirement is about, such as diagnostics",
    "gap": "a requirement or a stimulus is missing",
    "": "no reason yet",
}


def _reason_lines(trials: Sequence[Mapping[str, Any]]) -> list[str]:
    given = [trial["reason"]["kind"] if trial["reason"] else "" for trial in trials]
    rows = [f"| {kind or '-'} | {given.count(kind)} | {words} |" for kind, words in _KINDS.items() if kind in given]
    return ["| kind | survivors | meaning |", "|---|---:|---|", *rows] if rows else ["There are none."]


def _survivor_lines(trials: Sequence[Mapping[str, Any]]) -> list[str]:
    if not trials:
        return ["None."]
    lines = ["| place | function | change | fate | reason |", "|---|---|---|---|---|"]
    for trial in trials:
        reason = trial["reason"]
        told = f"{reason['kind']}: {reason['text']}" if reason else "**none yet**"
        change = trial["change"].replace("|", "\\|")
        word = _FATES[Fate(trial["fate"])]
        lines.append(f"| {trial['place']} | {trial['function']} | `{change}` | {word} | {told} |")
    return lines


def _error_lines(trials: Sequence[Mapping[str, Any]]) -> list[str]:
    if not trials:
        return ["None."]
    lines = ["| place | change | error |", "|---|---|---|"]
    for trial in trials:
        change = trial["change"].replace("|", "\\|")
        lines.append(f"| {trial['place']} | `{change}` | {trial['error'].splitlines()[0][:120].replace('|', '/')} |")
    return lines
