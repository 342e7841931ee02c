# SPDX-License-Identifier: Apache-2.0
"""Playing one scenario for inject and replay: judged, shown as a time line, kept when asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from harness.cli.common import emit, leave, shell_quote
from harness.rig import find_rig, load_rig
from harness.rig.records import run_record
from harness.units import FLAG_PREFIXES
from harness.verdict import Outcome, Verdict, overall

if TYPE_CHECKING:
    from harness.report.timeline import Entry
    from harness.rig.file import Rig
    from harness.rig.session import Run
    from harness.scenario import Scenario


def play(
    rig_name: str,
    scenario: Scenario,
    *,
    sanitize: bool,
    out: Path | None,
    as_json: bool,
    file: Path | None = None,
) -> NoReturn:
    """Play, judge, show, leave with the exit code of the outcome."""
    rig = load_rig(find_rig(rig_name))
    run, entries = _run(rig, scenario, sanitize=sanitize)
    outcome = outcome_of(run)
    folder = _keep(rig, scenario, run, outcome, out) if out is not None else None
    if as_json:
        _emit(rig, scenario, run, outcome, entries, folder)
    else:
        _show(rig, scenario, run, outcome, entries, file or (folder / "scenario.toml" if folder else None))
    leave(outcome)


def _run(rig: Rig, scenario: Scenario, *, sanitize: bool) -> tuple[Run, Sequence[Entry]]:
    from harness.report.timeline import timeline  # noqa: PLC0415 - numpy is loaded with the session anyway
    from harness.rig.session import Session  # noqa: PLC0415 - see above

    with Session(rig, sanitize=sanitize) as session:
        run = session.run(scenario)
        flags = [name for name in rig.profile.bindings if name.startswith(FLAG_PREFIXES)]
        entries = timeline(rig.requirements, run.observation, run.trace.faults, run.trace.marks, flags)
    return run, entries


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


def _emit(
    rig: Rig, scenario: Scenario, run: Run, outcome: Outcome, entries: Sequence[Entry], folder: Path | None
) -> None:
    from harness.report.shapes import timeline_json  # noqa: PLC0415 - only for --json

    faults = run.trace.faults
    more = {
        "outcome": outcome.value,
        "error": run.error,
        "fired": bool(faults) and all(fault.fired for fault in faults),
        "faults": [
            {"label": fault.label, "kind": fault.kind, "fired": fault.fired, "first_fired_s": fault.first_fired_s}
            for fault in faults
        ],
        "timeline": timeline_json(entries),
    }
    emit(
        run_record(
            rig=rig.name,
            verdicts=run.verdicts,
            seed=scenario.seed,
            duration_s=scenario.duration_s,
            run_dir=str(folder) if folder else None,
            more=more,
        )
    )


def _show(
    rig: Rig, scenario: Scenario, run: Run, outcome: Outcome, entries: Sequence[Entry], file: Path | None
) -> None:
    from harness.report import terminal  # noqa: PLC0415 - rich is not needed for --json

    console = terminal.make_console()
    origin_s = min((action.at_s for action in scenario.actions), default=0.0)
    console.print(terminal.timeline_table(entries, origin_s))
    console.print()
    touched = [v for v in run.verdicts if v.outcome is not Outcome.NOT_EXERCISED]
    by_id = {verdict.requirement: verdict for verdict in touched}
    console.print(terminal.verdict_table([r for r in rig.requirements if r.id in by_id], by_id))
    console.print()
    terminal.print_reasons(console, touched)
    if run.error:
        console.print(f"[bold magenta]ERROR[/bold magenta] {run.error}", highlight=False)
    for fault in run.trace.faults:
        if not fault.fired:
            console.print(
                f"fault {fault.label} did not fire: it changed nothing the controller was given", style="yellow"
            )
    console.print(_summary(rig, scenario, outcome, touched), highlight=False)
    if outcome in (Outcome.FAIL, Outcome.ERROR) and file is not None:
        console.print(f"repeat with: {shell_quote('bms-harness', 'replay', str(file))}", highlight=False)


def _summary(rig: Rig, scenario: Scenario, outcome: Outcome, touched: Sequence[Verdict]) -> str:
    left = len(rig.requirements) - len(touched)
    return (
        f"{outcome.value}: {len(touched)} of {len(rig.requirements)} requirements exercised in "
        f"{scenario.duration_s:g} s of simulated time, {left} not touched by this scenario"
    )


def _keep(rig: Rig, scenario: Scenario, run: Run, outcome: Outcome, base: Path) -> Path:
    from harness.rig.rundir import RunDirectory  # noqa: PLC0415 - only when evidence is kept

    with RunDirectory.create(base, rig.name) as directory:
        directory.write_scenario(scenario)
        directory.write_trace(run.trace)
        directory.write_run(
            run_record(
                rig=rig.name,
                verdicts=run.verdicts,
                seed=scenario.seed,
                duration_s=scenario.duration_s,
                run_dir=str(directory.path),
                more={"outcome": outcome.value, "error": run.error, "rig_file": str(rig.path)},
            )
        )
        return directory.path
