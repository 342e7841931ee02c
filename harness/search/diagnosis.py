# SPDX-License-Identifier: Apache-2.0
"""Tours of the tester: every protection tripped and its trouble code followed; sessions, resets, refusals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.faults.check import DIAGNOSTICS, Bounds
from harness.requirements.model import Diagnosis, Requirement, Trip
from harness.scenario import Action, Command, CommandAction, Scenario, Start, begin
from harness.search.stimuli import Recipe, limit_of, outward, recipes_for

_FLAG = "fault."
_HOLD_S = 0.2  # beyond the confirmation
_SHOWN_S = 0.5  # from when a flag is due until the first read-out
_APART_S = 0.4  # between two requests
_OFF_S = 0.5
_BOOT_S = 1.2
_TESTED_S = 2.6  # a cycle long enough that every test that always runs has passed
_RESETTABLE_S = 6.0  # the cause must have been gone this long before a reset releases a latched fault
_ALONE = ("nvm_damaged",)  # driven by a power cycle of its own, which loses the codes

_Tour = tuple[str, Start, float, tuple[Action, ...]]


def diagnosis(requirements: Sequence[Requirement], bounds: Bounds, *, rig: str) -> list[Scenario]:
    """The tours of a rig that has requirements on diagnostics and somebody to ask; none elsewhere."""
    if DIAGNOSTICS not in bounds.features or not any(isinstance(item, Diagnosis) for item in requirements):
        return []
    written = (*_codes(requirements, bounds), *_sessions(), *_resets(), *_requests())
    return [
        Scenario(rig=rig, title=f"diagnosis: {title}", start=start, duration_s=round(duration_s, 2), action=actions)
        for title, start, duration_s, actions in written
    ]


def _do(at_s: float, do: Command, **keys: object) -> CommandAction:
    return CommandAction.model_validate({"at_s": round(at_s, 2), "do": do, **keys})


def _ask(at_s: float, *requests: str) -> Iterator[CommandAction]:
    """Requests one after the other, in hexadecimal."""
    for place, request in enumerate(requests):
        yield _do(at_s + _APART_S * place, "uds-send", request=request)


def _read(at_s: float) -> CommandAction:
    return _do(at_s, "uds-read-dtcs")


# ---- trouble codes -----------------------------------------------------------------------------------------


def _codes(requirements: Sequence[Requirement], bounds: Bounds) -> Iterator[_Tour]:
    """Each flag once, by the first protection that sets it and can be driven."""
    trips = [item for item in requirements if isinstance(item, Trip)]
    done: set[str] = set()
    for trip in trips:
        recipes = recipes_for(trip, trips, bounds)
        if trip.flag.startswith(_FLAG) and trip.flag not in done and recipes:
            done.add(trip.flag)
            yield _tripped(trip, recipes[0])


def _tripped(trip: Trip, recipe: Recipe) -> _Tour:
    """Read with the fault there, after a power cycle, after a reset of the faults; then cleared, and a power cycle."""
    far = limit_of(trip) + outward(trip) * recipe.far if recipe.parameter else None
    held_s = trip.confirm_s[1] + _HOLD_S + trip.flag_within_s + _SHOWN_S
    shown_s = recipe.at_s + recipe.lag_s + recipe.extra_s + held_s
    fault = recipe.action(recipe.at_s, far, held_s + recipe.extra_s + _APART_S)
    cycled_s = shown_s + 2 * _APART_S
    again_s = cycled_s + _OFF_S + _BOOT_S
    clear_s = again_s + _APART_S + (_RESETTABLE_S if trip.latched else 0.0)
    last_s = clear_s + 2 * _APART_S
    actions: tuple[Action, ...] = (
        *recipe.prepare,
        *([] if trip.quantity in _ALONE else [_read(min(0.1, recipe.at_s))]),
        fault,
        _read(shown_s),
        _do(cycled_s, "power-cycle", off_s=_OFF_S),
        _read(again_s),
        _do(clear_s - 2 * _APART_S, "reset-faults"),
        _read(clear_s - _APART_S / 2),
        _do(clear_s, "uds-clear"),
        _read(clear_s + _APART_S),
        _do(last_s, "power-cycle", off_s=_OFF_S),
        _read(last_s + _OFF_S + _BOOT_S),
    )
    return f"the code of {trip.flag}", recipe.start, last_s + _OFF_S + _BOOT_S + _APART_S, actions


def _followed() -> Iterator[_Tour]:
    """A code over the power cycles after its fault: pending goes, confirmed stays."""
    supply = begin(0.5, "supply-dip", voltage_v=14.0, for_s=0.5)
    first = 4.0
    length = _OFF_S + _BOOT_S + _TESTED_S
    actions: list[Action] = [_read(0.1), supply, _read(first - 2 * _APART_S)]
    for cycle in range(3):
        begin_s = first + cycle * (length + _APART_S)
        actions += [_do(begin_s, "power-cycle", off_s=_OFF_S), _read(begin_s + _OFF_S + _BOOT_S)]
        actions += [_read(begin_s + length)]
    clear_s = first + 3 * (length + _APART_S)
    tested_s = clear_s + _APART_S + _TESTED_S
    actions += [_do(clear_s, "uds-clear"), _read(clear_s + _APART_S), _read(tested_s + _APART_S)]
    yield "a code over three power cycles", "standby", tested_s + 2 * _APART_S, tuple(actions)


# ---- sessions and resets -----------------------------------------------------------------------------------


def _sessions() -> Iterator[_Tour]:
    yield from _followed()
    session = _do(0.5, "uds-session", session="extended")
    for name, wait_s in (("kept", 4.6), ("over", 5.4)):
        yield f"a session {name} after {wait_s:g} s", "standby", 2.0 + wait_s, (session, _do(0.5 + wait_s, "uds-read"))
    present = _do(4.0, "uds-send", request="3E 80")
    silent = _do(0.5, "uds-send", request="10 83")
    yield (
        "a session kept by the tester",
        "standby",
        15.0,
        (silent, *_ask(1.0, "3E 00"), present, _do(8.0, "uds-read"), _do(14.0, "uds-read")),
    )
    left = (session, _do(1.0, "uds-read"), _do(1.5, "uds-session", session="default"), _do(2.0, "uds-read"))
    yield "a session left", "standby", 3.0, left
    cycle = _do(1.0, "power-cycle", off_s=_OFF_S)
    yield "a session and a power cycle", "standby", 4.0, (session, cycle, _do(1.0 + _OFF_S + _BOOT_S, "uds-read"))


def _resets() -> Iterator[_Tour]:
    session = _do(0.5, "uds-session", session="extended")
    after = (_do(2.5, "uds-read"), _read(3.0))
    soft = (_do(3.5, "uds-session"), *_ask(4.0, "11 03"), _do(5.5, "uds-read"))
    yield "a reset in standby", "standby", 6.5, (session, _do(1.0, "uds-reset"), *after, *soft)
    yield "a reset while driving", "drive", 4.0, (session, _do(1.0, "uds-reset"), *after)
    yield "a reset without a session", "standby", 3.0, (_do(0.5, "uds-reset"), _do(1.0, "uds-read"))
    latched = (begin(0.3, "hvil-open", for_s=1.0), _read(1.5), _do(2.0, "uds-session"), _do(2.5, "uds-reset"))
    yield "a reset with a latched fault", "drive", 6.0, (*latched, _read(4.0), _do(4.5, "uds-read"))


# ---- requests ----------------------------------------------------------------------------------------------

_WRONG = (
    *("27 01", "10", "10 7F", "10 FF", "10 03 00", "11", "3E", "3E 01", "3E 81", "3E 00 00"),
    *("19", "19 7F FF", "19 02", "19 01 08 00", "19 0A FF", "14 FF FF", "14 FF FF FF FF"),
    *("22", "22 F1", "22 F1 86 02", "22 FF FF"),
)

_SINGLE = ("22 02 00", "22 02 01", "22 02 02", "22 02 03", "22 02 04", "22 02 05", "22 F1 89", "22 F1 8C")
_NUMBERS = (  # alone, then in requests of two and of three frames
    *_SINGLE,
    "22 02 00 02 01 F1 86 02 03",
    "22 F1 86 02 05 02 00 02 01 02 02 02 03 02 04 F1 8C",
    "22 02 04 02 03",
)

_PACED_S = 5.0


def _paced(at_s: float) -> Iterator[CommandAction]:
    """Long answers in blocks, at a pace, and after being asked to wait for longer than N_Bs in all."""
    for flow, after_s in (("02 14", 0.0), ("00 F5", 1.0), ("00 00 04", 1.4), ("00 7F", 3.2)):
        yield _do(at_s + after_s, "uds-flow", flow=flow)
        yield _do(at_s + after_s + 0.05, "uds-send", request="22 F1 8C F1 89 02 00 02 01 02 02 F1 86")


def _requests() -> Iterator[_Tour]:
    end_s = 2.0 + _APART_S * len(_WRONG)
    hvil = begin(0.3, "hvil-open", for_s=1.0)
    yield "requests that cannot be served", "drive", end_s + 2.0, (hvil, *_ask(2.0, *_WRONG), _read(end_s + 0.5))
    masks = ("19 01 08", "19 02 08", "19 01 2E", "19 02 01", "19 01 80", "19 0A")
    two = (hvil, begin(0.3, "supply-dip", voltage_v=14.0, for_s=0.5))
    # The interlock's code, cleared while its fault stands, comes again; that of the supply goes, and it alone.
    asked = (*_ask(2.0 + _APART_S, *masks[:4]), *_ask(4.0, *masks[4:], "14 1A 12 00"), _read(5.2))
    cleared = (*_ask(7.0, "14 1A 13 00", "14 00 00 01"), _read(7.8))
    yield "codes by status", "drive", 8.5, (*two, _read(2.0), *asked, *cleared)
    asked_s = 0.5 + _APART_S * len(_NUMBERS)
    asked = (_do(0.1, "uds-clear"), *_ask(0.5, *_NUMBERS), _read(asked_s))
    yield "identifiers", "drive", asked_s + 0.5, asked
    yield "identifiers while charging", "charge", asked_s + _PACED_S, (*asked, *_paced(asked_s + _APART_S))
