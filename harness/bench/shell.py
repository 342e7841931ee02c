# SPDX-License-Identifier: Apache-2.0
"""A rig poked by hand: takes typed lines while it runs, remembers what was done when, and saves it as a scenario.

The loop around it (a screen, or lines from a pipe) only calls `live.step()`, `shell.tick()` and `shell.submit(line)`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.bench.live import LiveRig
from harness.bench.shellrecord import LiveRecord
from harness.bench.shellseen import Change, Seen
from harness.bench.shellwords import (
    HELP,
    Clear,
    Do,
    Help,
    Inject,
    Note,
    Order,
    Quit,
    Save,
    Status,
    Wait,
    WaitUntil,
    parse,
    usage,
)
from harness.errors import HarnessError, UsageError
from harness.rig.compose import bounds_of
from harness.rig.plan import describe
from harness.scenario import Action, CommandAction, FaultAction, Scenario, Start, dump_scenario
from harness.trace import Mark
from harness.units import FLAG_PREFIXES

_HALF = 0.5
_TOLD = ("cell_voltage_min_v", "cell_voltage_max_v", "pack_current_a")
MAX_ACTIONS = 128  # fault rows and events the kernel has room for in one scenario


@dataclass(frozen=True, slots=True)
class Answer:
    """One line of the shell: to a command, about something that happened, or an error."""

    t_s: float
    text: str
    error: bool = False
    event: bool = False


class Shell:
    """Orders are played one a tick, in the order in which they were typed; `wait` holds back those after it.

    `say` gets every answer. `rig` is the rig as a scenario names it. `refuse` raises for an order that must not be
    played in the reported state. Errors of the typist are answers; those of the
    bench and the firmware come out of `LiveRig.step`.
    """

    def __init__(
        self,
        live: LiveRig,
        *,
        rig: str,
        start: Start,
        say: Callable[[Answer], None],
        refuse: Callable[[Action, str], None] = lambda *_: None,
    ) -> None:
        self.live = live
        self.seen = Seen(live.rig.profile)
        self.record = LiveRecord(live)
        self.done = False
        self.marks: list[Mark] = []
        self._rig, self._start, self._say, self._refuse = rig, start, say, refuse
        self._bounds = bounds_of(live.rig)
        self.flags = tuple(name for name in live.rig.profile.bindings if name.startswith(FLAG_PREFIXES))
        self._typed: deque[str] = deque()
        self._waiting: Wait | WaitUntil | None = None
        self._waits_from_s = 0.0
        self._actions: list[Action] = []
        self._finished: Scenario | None = None

    @property
    def busy(self) -> bool:
        """Whether a typed line has still to be played, or waited for."""
        return bool(self._typed) or self._waiting is not None

    @property
    def waiting(self) -> str:
        """What is waited for, "" for nothing."""
        match self._waiting:
            case Wait(seconds):
                return f"{max(0.0, self._waits_from_s + seconds - self.live.now_s):.1f} s"
            case WaitUntil():
                return str(self._waiting)
        return ""

    def submit(self, line: str) -> None:
        """A line was typed; it is played at the next tick that is free."""
        self._typed.append(line)

    def give_up_waiting(self) -> bool:
        """End a `wait` and forget what was typed behind it; whether there was any."""
        was, self._waiting = self._waiting is not None, None
        if was:
            self._typed.clear()
        return was

    def tick(self) -> None:
        """After a step of the rig: look at what came, and play the next order if none is waited for."""
        frames = self.live.frames()
        self.record.take(frames)
        for change in self.seen.take(frames, self.live.row()):
            self._say(Answer(change.t_s, _with_delay(change, self.live), event=True))
        if self._waiting is not None:
            self._wait_on(self._waiting)
        while self._typed and self._waiting is None and not self.done:
            if self._play(self._typed.popleft()):
                break  # one change a tick, so that the scenario file knows their order

    def inject(self, action: FaultAction) -> None:
        """Begin a fault now, as if it had been typed."""
        self._room()
        self._refuse(action, self.seen.state())
        now_s = self.live.now_s
        label = self.live.inject(action)
        self.record.injected(label, action, now_s)
        self._actions.append(action.model_copy(update={"at_s": now_s}))
        ends = action.parameters.get("for_s")
        until = f" for {float(ends):g} s" if ends is not None else f", until 'clear {label}'"
        self._answer(f"injected {describe(action)}{until}")

    def finish(self) -> None:
        """The last thing while the rig is open: what must be asked of it. The rest takes longer than a tick."""
        self._finished = self.scenario()
        self.record.finish()

    @property
    def finished(self) -> bool:
        """Whether `finish` was called: the record is whole."""
        return self._finished is not None

    def scenario(self) -> Scenario:
        """What was done so far, at the times at which it was done."""
        if self._finished is not None:
            return self._finished
        return Scenario(
            rig=self._rig,
            title="by hand",
            start=self._start,
            duration_s=max(self.live.now_s, self.live.tick_s),
            action=tuple(self._actions),
        )

    def status(self) -> str:
        """How things stand, on one line."""
        flags = [name for prefix in FLAG_PREFIXES for name in self.seen.flags(prefix)]
        injected = [fault.label for fault in self.live.faults()]
        lowest, highest, current = (self.live.row().value("given", name) for name in _TOLD)
        return (
            f"state {self.seen.state() or 'not reported'}, cells {lowest:.3f} to {highest:.3f} V, {current:.1f} A, "
            f"flags: {', '.join(flags) or 'none'}; injected: {', '.join(injected) or 'nothing'}"
        )

    # ---- inside

    def _play(self, line: str) -> bool:
        """Play one line; whether it changed anything in the rig."""
        try:
            order = parse(line, self._bounds, self.flags)
            return order is not None and self._obey(order)
        except HarnessError as error:
            self._answer("; ".join(str(error).splitlines()), error=True)
            return False

    def _obey(self, order: Order) -> bool:
        match order:
            case Inject(action):
                self.inject(action)
            case Clear(label):
                self._clear(label)
            case Do(action):
                self._command(action)
            case Wait() | WaitUntil():
                self._begin_wait(order)
                return False
            case Note(text):
                self.marks.append(Mark(self.live.now_s, text))
                self._answer(f"marked: {text}")
                return False
            case Save(path):
                self._save(path)
                return False
            case Status():
                self._answer(self.status())
                return False
            case Help(topic):
                self._answer(_explain(topic))
                return False
            case Quit():
                self.done = True
                return False
        return True

    def _clear(self, label: str) -> None:
        self._room()
        now_s = self.live.now_s
        active = self.live.faults()
        labels = dict.fromkeys(fault.label for fault in active) if not label else {label: None}
        ended = sum(self.live.clear(name) for name in labels)
        if not ended:
            names = ", ".join(dict.fromkeys(fault.label for fault in active)) or "there are none"
            raise UsageError(f"no fault '{label}' acts; those that do: {names}" if label else "no fault acts")
        for name in labels:
            self.record.cleared(name, now_s)
            self._actions.append(CommandAction(at_s=now_s, do="clear", label=name))
        self._answer(f"cleared {', '.join(labels)}")

    def _command(self, action: CommandAction) -> None:
        self._room()
        self._refuse(action, self.seen.state())
        now_s = self.live.now_s
        self.live.command(action)
        self._actions.append(_at(action, now_s))
        self._answer(describe(action))

    def _room(self) -> None:
        if len(self._actions) >= MAX_ACTIONS:
            raise UsageError(f"{MAX_ACTIONS} actions are all one scenario has room for: save, quit and begin anew")

    def _begin_wait(self, order: Wait | WaitUntil) -> None:
        self._waiting, self._waits_from_s = order, self.live.now_s
        self._wait_on(order)

    def _wait_on(self, order: Wait | WaitUntil) -> None:
        waited_s = self.live.now_s - self._waits_from_s
        if isinstance(order, Wait):
            if waited_s >= order.seconds - self.live.tick_s / 2:
                self._waiting = None
                self._answer(f"waited {order.seconds:g} s")
        elif self._has_come(order):
            self._waiting = None
            self._answer(f"{order} after {waited_s:.2f} s")
        elif waited_s >= order.within_s:
            self.give_up_waiting()
            self._answer(f"{order}: not within {order.within_s:g} s; what was typed behind it is dropped", error=True)

    def _has_come(self, order: WaitUntil) -> bool:
        if order.state:
            return self.seen.state() == order.state
        known = self.seen.reported(order.flag)
        return known is not None and (known.value > _HALF) == order.wanted

    def _save(self, path: Path) -> None:
        scenario = self.scenario()
        if not scenario.action:
            raise UsageError("nothing was done yet that a scenario could repeat")
        try:
            path.write_text(self.scenario_text(scenario), encoding="utf-8")
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror}") from error
        count = len(scenario.action)
        actions = "1 action" if count == 1 else f"{count} actions"
        self._answer(f"saved {actions} in {scenario.duration_s:g} s to {path}; bms-harness replay {path}")

    def scenario_text(self, scenario: Scenario) -> str:
        """The scenario as a file; marks are remarks in it."""
        remarks = "".join(f"# {mark.t_s:.2f} s: {mark.event}\n" for mark in self.marks)
        return f"# Typed by hand in 'bms-harness shell'.\n{remarks}{dump_scenario(scenario)}"

    def _answer(self, text: str, *, error: bool = False) -> None:
        self._say(Answer(self.live.now_s, text, error=error))


def _at(action: CommandAction, at_s: float) -> CommandAction:
    """The same command at a time; built anew, since which keys were given is part of it."""
    values: Mapping[str, Any] = action.model_dump(exclude_unset=True)
    return CommandAction(**{**values, "at_s": at_s})


def _with_delay(change: Change, live: LiveRig) -> str:
    """The change, and how long after the newest fault that acted before it."""
    begins = [fault.from_s for fault in live.faults() if fault.from_s <= change.t_s]
    return f"{change.event} (+{change.t_s - max(begins):.3f} s)" if begins else change.event


def _explain(topic: str) -> str:
    if topic:
        return f"{usage(topic)} - {HELP[topic][1]}"
    return f"commands: {', '.join(HELP)}; 'help COMMAND' explains one, Tab completes"
