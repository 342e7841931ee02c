# SPDX-License-Identifier: Apache-2.0
"""The documentation page of a charging session: `python -m harness.report.chargingpage > docs/charging-session.md`.

A whole session of the shipped rig is played, from the plug to the statistics, and what was on the bus is set beside the
stages of the standard.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.canbus.gbt import Field, Message, messages, session_database
from harness.rig import find_rig, load_rig
from harness.rig.resources import data_root
from harness.rig.session import Run, Session
from harness.scenario import CommandAction, Scenario
from harness.verdict import Outcome

RIG = "charger-gbt"
LONGEST_S = 2100.0
_QUIET = ("Normal", "No", "InTime")  # flags that tell nothing
_FEW = 4  # fields; a message with more is not told in full


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of the standard: what ends it, and the message of this session that opens it."""

    title: str
    first: tuple[str, ...]
    standard: str


STAGES: tuple[Stage, ...] = (
    Stage("Handshake", ("CHM", "BHM"), "CHM every 250 ms, BHM in answer; the charger waits 5 s, the BMS 30 s for CRM"),
    Stage("Recognition", ("CRM", "BRM"), "CRM(00), BRM in packets, CRM(AA); 5 s each"),
    Stage("Parameters", ("BCP", "CTS", "CML"), "BCP in packets every 500 ms, CTS and CML in answer; 5 s each"),
    Stage("Readiness", ("BRO", "CRO"), "BRO(00), contactors close, BRO(AA) within 60 s; CRO(00), CRO(AA) within 60 s"),
    Stage(
        "Charging",
        ("BCL", "BCS", "CCS", "BSM", "BMV", "BMT"),
        "BCL and CCS every 50 ms (1 s), BCS in packets (5 s) and BSM every 250 ms, BMV and BMT every 10 s",
    ),
    Stage("End", ("BST", "CST"), "BST and CST every 10 ms; 5 s each"),
    Stage("Statistics", ("BSD", "CSD"), "BSD and CSD every 250 ms; the BMS waits 5 s, the charger 10 s"),
)


def play() -> Run:
    """One session, from the plug until the pack is full."""
    rig = load_rig(find_rig(RIG))
    actions = (CommandAction(at_s=0.5, do="charge"),)
    scenario = Scenario(rig=RIG, title="a whole session", start="standby", duration_s=LONGEST_S, action=actions)
    with Session(rig) as session:
        return session.run(scenario)


def page(run: Run) -> str:
    """The page as Markdown."""
    found = _first_session(messages(run.trace.frames, session_database(data_root() / "dbc")))
    return "\n".join([*_head(run), *_overview(found), *_stages(found), *_foot(run), ""])


def _first_session(found: Iterable[Message]) -> list[Message]:
    """Up to the last message of the statistics: what comes then is the charger that offers itself anew."""
    kept: list[Message] = []
    for message in found:
        if message.name == "CHM" and any(item.name == "CSD" for item in kept[-1:]):
            break
        kept.append(message)
    return kept


def _head(run: Run) -> Iterator[str]:
    title = load_rig(find_rig(RIG)).file.title
    yield f"""# A charging session by GB/T 27930

Written by `python -m harness.report.chargingpage > docs/charging-session.md`, which plays the session.

Rig `{RIG}`: {title}. The pack is plugged in after half a second, and charged until it is full.
One bus at 250 kbit/s carries the 29-bit frames of the session and the 11-bit frames of BMS and vehicle. The charger is
played by the harness (`harness/kernel/gbt*.c`), the BMS is the reference firmware (`rigs/reference-bms/gbt*.c`,
parameter `gbt = 1`).

The text of the standard was not at hand. Messages, stages and times are as open code and descriptions have them; what
none of them confirms is marked as an assumption in `dbc/gbt-27930.dbc` and in the requirements."""
    if run.error:
        yield ""
        yield f"The session ended early: {run.error}"


def _overview(found: Sequence[Message]) -> Iterator[str]:
    yield ""
    yield "## The session beside the standard"
    yield ""
    yield "| stage | the standard | first seen, s | last seen, s | messages |"
    yield "|---|---|---|---|---|"
    for stage in STAGES:
        own = [message for message in found if message.name in stage.first]
        counts = ", ".join(f"{sum(item.name == name for item in own)} {name}" for name in stage.first)
        times = f"{own[0].t_s:.2f} | {own[-1].t_s:.2f}" if own else "never | never"
        yield f"| {stage.title} | {stage.standard} | {times} | {counts} |"


def _stages(found: Sequence[Message]) -> Iterator[str]:
    for stage in STAGES:
        yield ""
        yield f"## {stage.title}"
        yield ""
        yield "| s | from | message | frames | content |"
        yield "|---|---|---|---|---|"
        for message in _told(message for message in found if message.name in stage.first):
            frames = f"{message.packets} packets" if message.packets > 1 else "1"
            yield f"| {message.t_s:.3f} | {message.sender} | {message.name} | {frames} | {_words(message.fields)} |"


def _told(found: Iterable[Message]) -> Iterator[Message]:
    """The first of each kind, those whose leading word differs from the one before, and the last of each kind."""
    last: dict[str, Message] = {}
    shown: dict[str, Message] = {}
    for message in found:
        before = last.get(message.name)
        if before is None or (len(message.data) == 1 and message.data != before.data) or _recognised(before, message):
            shown[message.name] = message
            yield message
        last[message.name] = message
    rest = [message for name, message in last.items() if shown[name] is not message]
    yield from sorted(rest, key=lambda message: message.t_s)


def _recognised(before: Message, message: Message) -> bool:
    return message.name == "CRM" and message.data[:1] != before.data[:1]


def _words(fields: Mapping[str, Field]) -> str:
    flags = len(fields) > _FEW
    told = {name: value for name, value in fields.items() if not flags or value not in _QUIET}
    words = [f"{name} {value if isinstance(value, str) else f'{value:g}'}" for name, value in told.items()]
    return ", ".join(words) or "–"


def _foot(run: Run) -> Iterator[str]:
    outcomes = [verdict.outcome for verdict in run.verdicts if verdict.requirement.startswith("GBT-")]
    failed = [verdict for verdict in run.verdicts if verdict.outcome is Outcome.FAIL]
    passed = sum(outcome is Outcome.PASS for outcome in outcomes)
    yield f"""
## Judged

Of the requirements GBT-* this one session passes {passed}; the others are about faults and were not exercised."""
    yield "No requirement fails." if not failed else f"Failed: {', '.join(verdict.requirement for verdict in failed)}."
    yield """
`bms-harness run charger-gbt` plays every time-out from both sides and on both ends: an answer in time does not stop the
charge, one too late does. One time of the charger cannot be reached with a BMS that keeps its own: the 10 s for BSD,
because the BMS gives up its wait for CSD after 5 s."""


if __name__ == "__main__":
    sys.stdout.write(page(play()))
