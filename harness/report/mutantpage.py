# SPDX-License-Identifier: Apache-2.0
"""The result of a mutant campaign as a document for scripts, as text, and as the page `docs/mutants.md`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.rig.mutants import SURVIVORS, Fate

if TYPE_CHECKING:
    from harness.rig.mutants import Mutation, Trial

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


def mutation_record(mutation: Mutation, *, date: str, command: str) -> dict[str, Any]:
    """The JSON document of the command; `score` is None when nothing was played."""
    counts = {fate.value: sum(trial.fate is fate for trial in mutation.trials) for fate in Fate}
    return {
        "outcome": mutation.outcome.value,
        "rig": mutation.rig.name,
        "date": date,
        "command": command,
        "seed": mutation.budget.seed,
        "library_sha256": mutation.library_sha256,
        "scenarios": mutation.scenarios,
        "duration_s": mutation.duration_s,
        "interrupted": mutation.interrupted,
        "baseline": [
            {"title": seen.scenario.title, "failed": list(seen.failed), "error": seen.error}
            for seen in mutation.baseline
        ],
        "mutants": mutation.total,
        "played": len(mutation.trials),
        "counts": counts,
        "equivalent": mutation.equivalent,
        "score": mutation.score,
        "unused_reasons": list(mutation.unused),
        "trials": [_trial(mutation, trial) for trial in mutation.trials],
    }


def _trial(mutation: Mutation, trial: Trial) -> dict[str, Any]:
    reason = mutation.allowed(trial)
    mutant = trial.mutant
    return {
        "place": f"{mutant.file}:{mutant.line}:{mutant.column}",
        "file": mutant.file,
        "function": mutant.function,
        "operator": mutant.operator,
        "change": f"{mutant.original} -> {mutant.mutated or '(left out)'}",
        "fate": trial.fate.value,
        "killed_by": trial.killed_by,
        "scenario": trial.scenario,
        "played": trial.played,
        "error": trial.error,
        "reason": None if reason is None else {"kind": reason.kind.value, "text": reason.reason},
    }


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
