# SPDX-License-Identifier: Apache-2.0
"""One scenario for inject, replay and shell: judged, shown as a time line, kept when asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from harness.cli.common import emit, leave
from harness.errors import UsageError
from harness.rig.records import frames_note, frames_record, run_record
from harness.units import FLAG_PREFIXES
from harness.verdict import Outcome, Verdict, overall

if TYPE_CHECKING:
    from harness.report.timeline import Entry
    from harness.rig.file import Rig
    from harness.rig.rundir import RunDirectory
    from harness.rig.session import Run
    from harness.scenario import Scenario

RUN_DIR = "RUN_DIR"


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure to write: of the requirement named, or of the one that tells most about the scenario."""

    path: Path
    requirement: str = ""


def play(
    rig: Rig, scenario: Scenario, *, repeat: str, sanitize: bool, out: Path | None, as_json: bool, defect: int = 0,
    picture: Picture | None = None,
) -> NoReturn:  # fmt: skip
    """Play, judge, show, leave with the exit code of the outcome. `repeat` is the command that does it again.

    With `defect`, on the firmware with that seeded defect switched on.
    """
    run = _run(rig, scenario, sanitize=sanitize, defect=defect)
    if picture is not None:
        _draw(rig, run, picture)
    tell(rig, run, repeat=repeat, out=out, as_json=as_json)


def tell(
    rig: Rig,
    run: Run,
    *,
    repeat: str,
    out: Path | None,
    as_json: bool,
    time: str = "simulated time",
    recorded: RunDirectory | None = None,
) -> NoReturn:
    """Show a scenario that was played and judged, keep it when asked, leave with the exit code of its outcome.

    RUN_DIR in `repeat` stands for the folder it is kept in. `recorded` is a run directory that has the live recording
    already: everything else is kept beside it.
    """
    result = _Result(rig, run, tuple(entries_of(rig, run)), outcome_of(run), repeat, time)
    folder = None
    if recorded is not None:
        folder = _fill(result, recorded, live=True)
    elif out is not None:
        folder = _keep(result, out)
    if folder is not None:
        result = replace(result, repeat=repeat.replace(RUN_DIR, str(folder)))
    if as_json:
        emit(_record(result, folder))
    else:
        _show(result, folder)
    leave(result.outcome)


@dataclass(frozen=True, slots=True)
class _Result:
    """One scenario played: all that is shown of it."""

    rig: Rig
    run: Run
    entries: tuple[Entry, ...]
    outcome: Outcome
    repeat: str
    time: str


def _run(rig: Rig, scenario: Scenario, *, sanitize: bool, defect: int) -> Run:
    from harness.rig.session import Session  # noqa: PLC0415 - numpy is not needed for --help

    with Session(rig, defect=defect) as session:
        run = session.run(scenario)
        if sanitize:
            from harness.rig.workers import with_sanitizer  # noqa: PLC0415 - worker processes, only when asked for

            run = with_sanitizer(rig, run)
    return run


def _draw(rig: Rig, run: Run, picture: Picture) -> None:
    """Write the figure of one verdict as SVG. Raises UsageError for a requirement that the rig does not have."""
    from harness.report.figure import figure_of  # noqa: PLC0415 - only with a figure
    from harness.report.svg import svg  # noqa: PLC0415 - see above

    by_id = {requirement.id: requirement for requirement in rig.requirements}
    if picture.requirement and picture.requirement not in by_id:
        raise UsageError(
            f"no requirement '{picture.requirement}' in rig '{rig.name}'; "
            f"'bms-harness requirements {rig.name}' lists them"
        )
    if run.error:
        raise UsageError(f"the run broke off, there is nothing to draw: {run.error}")
    verdicts = {verdict.requirement: verdict for verdict in run.verdicts}
    chosen = verdicts[picture.requirement] if picture.requirement else _telling(run)
    figure = figure_of(by_id[chosen.requirement], chosen, run.observation, f"{chosen.outcome.value}: {chosen.reason}")
    try:
        picture.path.write_text(svg(figure), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--figure: cannot write {picture.path}: {error.strerror}; name a file in a folder") from error


def _telling(run: Run) -> Verdict:
    """What a figure explains best: the first failure, else the first reaction that was demanded, else any verdict."""
    failed = (verdict for verdict in run.verdicts if verdict.outcome is Outcome.FAIL)
    demanded = (verdict for verdict in run.verdicts if verdict.exercised.must and "ms" in verdict.margin)
    return next(chain(failed, demanded, run.verdicts))


def entries_of(rig: Rig, run: Run) -> Sequence[Entry]:
    """The reaction as a time line."""
    from harness.report.timeline import timeline  # noqa: PLC0415 - numpy is loaded with the run anyway

    flags = [name for name in rig.profile.bindings if name.startswith(FLAG_PREFIXES)]
    return timeline(rig.requirements, run.observation, run.trace.faults, run.trace.marks, flags)


def outcome_of(run: Run) -> Outcome:
    """The outcome of one scenario, over the requirements it exercised.

    One scenario cannot exercise every requirement, so those it left alone do not count; but a fault that did not fire
    makes the whole scenario NOT_EXERCISED, and a scenario that exercised nothing is NOT_EXERCISED too.
    """
    if run.error:
        return Outcome.ERROR
    outcome = overall(v.outcome for v in run.verdicts if v.outcome is not Outcome.NOT_EXERCISED)
    if outcome is Outcome.PASS and not all(fault.fired for fault in run.trace.faults):
        return Outcome.NOT_EXERCISED
    return outcome


def _record(result: _Result, folder: Path | None) -> dict[str, Any]:
    from harness.report.shapes import timeline_json  # noqa: PLC0415 - only for documents

    run, scenario, faults = result.run, result.run.scenario, result.run.trace.faults
    more = {
        "outcome": result.outcome.value,
        "error": run.error,
        "rig_file": str(result.rig.path),
        "replay": result.repeat,
        "fired": bool(faults) and all(fault.fired for fault in faults),
        "faults": [
            {"label": fault.label, "kind": fault.kind, "fired": fault.fired, "first_fired_s": fault.first_fired_s}
            for fault in faults
        ],
        "timeline": timeline_json(result.entries),
        "frames": frames_record(run),
    }
    return run_record(
        rig=result.rig.name,
        verdicts=run.verdicts,
        seed=scenario.seed,
        duration_s=scenario.duration_s,
        run_dir=str(folder) if folder else None,
        more=more,
    )


def _show(result: _Result, folder: Path | None) -> None:
    from harness.report import terminal  # noqa: PLC0415 - rich is not needed for --json

    console, run, rig = terminal.make_console(), result.run, result.rig
    origin_s = min((action.at_s for action in run.scenario.actions), default=0.0)
    console.print(terminal.timeline_table(result.entries, origin_s))
    console.print()
    if run.error:
        console.print(f"ERROR {run.error}", style=terminal.COLOURS[Outcome.ERROR], markup=False, soft_wrap=True)
    else:
        touched = {v.requirement: v for v in run.verdicts if v.outcome is not Outcome.NOT_EXERCISED}
        console.print(terminal.verdict_table([r for r in rig.requirements if r.id in touched], touched))
        console.print()
        terminal.print_reasons(console, touched.values(), {})
    for fault in run.trace.faults:
        if not fault.fired:
            text = f"fault {fault.label} did not fire: it changed nothing the controller was given"
            console.print(text, style="yellow", markup=False, soft_wrap=True)
    note = frames_note(frames_record(run))
    if note:
        console.print(note, style="yellow", markup=False, highlight=False, soft_wrap=True)
    console.print(terminal.outcome_text(result.outcome), end=": ")
    console.print(_summary(result), highlight=False)
    if result.outcome in (Outcome.FAIL, Outcome.ERROR):
        terminal.print_replay(console, result.repeat)
    if folder is not None:
        console.print(f"evidence: {folder}", highlight=False, markup=False, soft_wrap=True)


def _summary(result: _Result) -> str:
    total = len(result.rig.requirements)
    duration_s = result.run.scenario.duration_s
    if result.run.error:
        return f"the run broke off within {duration_s:g} s of {result.time}, nothing of it was judged"
    touched = sum(verdict.outcome is not Outcome.NOT_EXERCISED for verdict in result.run.verdicts)
    return (
        f"{touched} of {total} requirements exercised in {duration_s:g} s of {result.time}, "
        f"{total - touched} not touched by this scenario"
    )


def _keep(result: _Result, base: Path) -> Path:
    from harness.rig.rundir import RunDirectory  # noqa: PLC0415 - only when evidence is kept

    with RunDirectory.create(base, result.rig.name) as directory:
        return _fill(result, directory, live=False)


def _fill(result: _Result, directory: RunDirectory, *, live: bool) -> Path:
    """Scenario, trace and verdicts; the bus as it was recorded live stays as it is."""
    result = replace(result, repeat=result.repeat.replace(RUN_DIR, str(directory.path)))
    directory.write_scenario(result.run.scenario)
    if live:
        directory.write_trace_only(result.run.trace)
    else:
        directory.write_trace(result.run.trace)
    directory.write_run(_record(result, directory.path))
    return directory.path
