# SPDX-License-Identifier: Apache-2.0
"""`bms-harness judge`: a recording, judged offline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.benchargs import bench_of
from harness.cli.common import emit, json_option, leave
from harness.errors import Problem, RigError, UsageError
from harness.verdict import Outcome, overall

if TYPE_CHECKING:
    from rich.console import Console

    from harness.canbus.profile import Profile
    from harness.requirements.model import Requirement
    from harness.rig.file import Rig
    from harness.rig.judging import Judged
    from harness.trace import Trace

TRACE, BUS = "trace.npz", "bus.blf"


@dataclass(frozen=True, slots=True)
class _Subject:
    """By what a recording is judged: a rig, or a product profile with requirements; times in s."""

    name: str
    path: Path
    profile: Profile
    requirements: tuple[Requirement, ...]
    rig: Rig | None = None
    tick_s: float = 0.01
    boot_s: float = 0.6


@click.command()
@click.argument("log", type=click.Path(path_type=Path))
@click.option("--rig", help="Rig or bench by whose requirements and signals it is judged.")
@click.option(
    "--profile", metavar="NAME_OR_FILE", help="Read signals by this profile instead; with it no rig is needed."
)
@click.option("--dbc", type=click.Path(path_type=Path, dir_okay=False), help="The database of --profile, if elsewhere.")
@click.option("--requirements", "files", type=click.Path(path_type=Path, dir_okay=False), multiple=True,
              help="Judge by these requirements instead; default of a profile: those beside it.")  # fmt: skip
@click.option(
    "--channel", type=click.IntRange(0, 254), metavar="N", help="Channel of a log that holds several, from 0."
)
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Keep run.json in a folder below this one."
)
@json_option
def judge(log: Path, *, channel: int | None, out: Path | None, as_json: bool, **chosen: Any) -> None:
    """Judge the recording LOG: BLF, ASC, TRC, candump, CSV, MF4, a trace (.npz) or a run directory.

    A log holds only the bus: what must be known besides is said for each requirement that cannot be judged. Where a
    trace.npz lies beside bus.blf, as in a run directory, it is judged in full.
    """
    subject = _subject(**chosen)
    judged, notes, header = _judged(log, subject, channel)
    outcome = _outcome(judged)
    document = _document(log, subject, judged, outcome, notes, header)
    if out is not None:
        document["run_dir"] = _keep(out, subject.name, document)
    if as_json:
        emit(document)
    else:
        _show(log, subject, judged, outcome, notes)
    leave(outcome)


def _subject(rig: str | None, profile: str | None, dbc: Path | None, files: Sequence[Path]) -> _Subject:
    if dbc is not None and profile is None:
        raise UsageError("--dbc is the database of a profile: name one with --profile")
    if rig is None:
        return _by_profile(profile, dbc, files)
    from harness.rig import find_rig, load_rig  # noqa: PLC0415 - not needed for --help

    bench = bench_of(rig, ())
    loaded = load_rig(find_rig(rig)) if bench is None else bench.rig
    meaning = loaded.profile if profile is None else _product(profile, dbc)
    requirements = _requirements(files) if files else loaded.requirements
    tick_s = loaded.file.simulation.tick_ms / 1000.0
    return _Subject(
        loaded.name, loaded.path, meaning, requirements, loaded, tick_s=tick_s, boot_s=loaded.file.firmware.boot_s
    )


def _by_profile(profile: str | None, dbc: Path | None, files: Sequence[Path]) -> _Subject:
    from harness.rig.profiles import find_profile, name_of, requirements_beside  # noqa: PLC0415 - not needed for --help

    if profile is None:
        raise UsageError("by what? name a rig or bench with --rig, or a product with --profile")
    path = find_profile(profile)
    beside = requirements_beside(path)
    if not files and beside is None:
        raise UsageError(
            f"no requirements beside {path}: give --requirements FILE, or the --rig whose requirements are meant"
        )
    chosen = list(files) or [found for found in (beside,) if found is not None]
    return _Subject(name_of(path), path, _product(profile, dbc), _requirements(chosen))


def _product(profile: str, dbc: Path | None) -> Profile:
    from harness.canbus.profile import load_profile  # noqa: PLC0415 - not needed for --help
    from harness.rig.profiles import find_profile  # noqa: PLC0415 - see above

    return load_profile(find_profile(profile), dbc=dbc)


def _requirements(files: Sequence[Path]) -> tuple[Requirement, ...]:
    from harness.requirements import load_requirements  # noqa: PLC0415 - not needed for --help

    return load_requirements(*files)


def _judged(log: Path, subject: _Subject, channel: int | None) -> tuple[Judged, tuple[str, ...], dict[str, Any]]:
    """The verdicts, what is to be said of the files, and the header of the trace if there is one."""
    from harness.canbus.recorder import read_recording  # noqa: PLC0415 - not needed for --help
    from harness.rig.judging import belongs, judge_log, one_channel  # noqa: PLC0415 - see above
    from harness.rig.recording import FRAME_JITTER_S  # noqa: PLC0415 - see above

    bus, beside = _files(log)
    times = {"timing_s": subject.tick_s + FRAME_JITTER_S, "boot_s": subject.boot_s}
    notes = list(subject.profile.notes)
    recording = None if bus is None else read_recording(bus)
    if beside is not None:
        trace = _load(beside)
        if recording is None or channel is not None or belongs(trace, recording.frames):
            if channel is not None:
                raise UsageError(f"--channel {channel}: {beside} is a trace and is judged whole")
            notes += _strangers(trace, subject)
            return _of_trace(trace, subject, times), tuple(notes), dict(trace.header)
        notes.append(f"{beside.name} beside it does not hold the frames of {bus}: judged from the bus alone")
    assert recording is not None
    notes += recording.notes
    frames = one_channel(recording.frames, channel, subject.profile)
    judged = judge_log(frames, subject.profile, subject.requirements, tick_s=subject.tick_s, **times)
    return judged, tuple(notes), {}


def _of_trace(trace: Trace, subject: _Subject, times: Mapping[str, float]) -> Judged:
    """As the run was judged that wrote the trace: one of a bench with what its instruments may err by."""
    from harness.bench.verdicts import bench_requirements, bench_verdicts, is_of_bench  # noqa: PLC0415 - see above
    from harness.rig.judging import judge_trace  # noqa: PLC0415 - see above

    rig, profile = subject.rig, subject.profile
    if rig is not None:
        profile = rig.profile_of(int(trace.header.get("string", 0)))
    if rig is None or not is_of_bench(trace):
        return judge_trace(trace, profile, subject.requirements, **times)
    requirements = bench_requirements(rig, trace.header["accuracy"])
    judged = judge_trace(trace, profile, requirements, **times)
    return replace(judged, verdicts=bench_verdicts(rig, trace, judged.observation, requirements, profile))


def _files(log: Path) -> tuple[Path | None, Path | None]:
    """The bus log and the trace that LOG means; at least one of them."""
    if log.is_dir():
        bus, trace = log / BUS, log / TRACE
        if not bus.is_file() and not trace.is_file():
            raise UsageError(
                f"{log} has neither {TRACE} nor {BUS}: it is no folder of inject, replay, shell or a bench"
            )
        return (bus if bus.is_file() else None), (trace if trace.is_file() else None)
    if log.suffix.lower() == ".npz":
        return None, log
    beside = log.with_name(TRACE)
    return log, beside if log.name == BUS and beside.is_file() else None


def _load(path: Path) -> Trace:
    from harness import trace as traces  # noqa: PLC0415 - numpy is not needed for --help

    try:
        return traces.load(path)
    except Exception as error:  # a file from a stranger; numpy and zipfile raise what they like
        found = f"{type(error).__name__}: {error}".splitlines()[0]
        raise RigError([Problem(str(path), 0, "", found, "a trace written by bms-harness")]) from error


def _strangers(trace: Trace, subject: _Subject) -> list[str]:
    """What of the files has changed since the trace was recorded."""
    known = {"dbc_sha256": (subject.profile.database.sha256, "the DBC")}
    if subject.rig is not None:
        known = {"rig_sha256": (subject.rig.sha256, f"rig {subject.name}"), **known}
    return [
        f"{what} is not the one the trace was recorded with"
        for key, (own, what) in known.items()
        if trace.header.get(key, own) != own
    ]


def _outcome(judged: Judged) -> Outcome:
    """A trace counts what it exercised, as the run that wrote it did. A log must answer for all requirements."""
    outcomes = [verdict.outcome for verdict in judged.verdicts]
    if judged.basis == "trace":
        outcomes = [outcome for outcome in outcomes if outcome is not Outcome.NOT_EXERCISED]
    return overall(outcomes)


def _document(
    log: Path, subject: _Subject, judged: Judged, outcome: Outcome, notes: Sequence[str], header: dict[str, Any]
) -> dict[str, Any]:
    from harness.rig.records import run_record  # noqa: PLC0415 - not needed for --help

    more = {
        "outcome": outcome.value,
        "log": str(log),
        "rig_file": str(subject.path),
        "basis": judged.basis,
        "missing": {name: list(found) for name, found in judged.missing.items()},
        "frames": dict(judged.frames),
        "notes": [*notes, *judged.notes],
    }
    return run_record(
        rig=subject.name,
        verdicts=judged.verdicts,
        seed=int(header.get("seed", 0)),
        duration_s=judged.duration_s,
        run_dir=None,
        more=more,
    )


def _keep(base: Path, rig: str, document: dict[str, Any]) -> str:
    from harness.rig.rundir import RunDirectory  # noqa: PLC0415 - only when evidence is kept

    with RunDirectory.create(base, rig) as directory:
        directory.write_run({**document, "run_dir": str(directory.path)})
        return str(directory.path)


def _show(log: Path, subject: _Subject, judged: Judged, outcome: Outcome, notes: Sequence[str]) -> None:
    from harness.report import terminal  # noqa: PLC0415 - rich is not needed for --json
    from harness.rig.judging import BASES  # noqa: PLC0415 - see above

    console = terminal.make_console()
    touched = {v.requirement: v for v in judged.verdicts if v.outcome is not Outcome.NOT_EXERCISED}
    if touched:
        console.print(terminal.verdict_table([r for r in subject.requirements if r.id in touched], touched))
        console.print()
        terminal.print_reasons(console, touched.values(), {})
    for basis in BASES if judged.basis == "bus" else ():
        own = [name for name, verdict in touched.items() if verdict.reason.startswith(basis)]
        if own:
            console.print(f"{basis}: {', '.join(own)}", markup=False, highlight=False, soft_wrap=True)
    _show_missing(console, judged)
    troubles = judged.observation.troubles()
    for line in () if troubles is None else troubles.told():
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    frames = judged.frames
    held = f"{frames['frames']} frames, {frames['decoded']} of them known to the profile"
    basis = "with what the controller was given" if judged.basis == "trace" else "from the bus alone"
    for text in (f"{log}: {judged.duration_s:.3f} s, {held}; judged {basis}", *notes, *judged.notes):
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    console.print(terminal.outcome_text(outcome), end=": ")
    console.print(_summary(judged, len(touched)), highlight=False)


def _show_missing(console: Console, judged: Judged) -> None:
    """Which requirements could not be judged, by the quantity they lack first."""
    by_quantity: dict[str, list[str]] = {}
    for name, lacking in judged.missing.items():
        by_quantity.setdefault(lacking[0], []).append(name)
    if not by_quantity:
        return
    console.print(f"{len(judged.missing)} requirements cannot be judged from a recording; not in it:", highlight=False)
    width = max(map(len, by_quantity))
    for quantity, names in by_quantity.items():
        shown = ", ".join(names) if len(names) < len(judged.missing) else "all"
        console.print(f"  {quantity:<{width}}  {shown}", markup=False, highlight=False, soft_wrap=True)
    console.print()


def _summary(judged: Judged, touched: int) -> str:
    total, lacking = len(judged.verdicts), len(judged.missing)
    idle = total - touched - lacking
    cannot = f", {lacking} cannot be judged from a recording" if lacking else ""
    return f"{touched} of {total} requirements exercised, {idle} not touched by it{cannot}"
