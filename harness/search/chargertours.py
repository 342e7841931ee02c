# SPDX-License-Identifier: Apache-2.0
"""Tours for a GB/T 27930 charger: every time-out from both sides and on both ends, and a charger that does it wrong.

Times are those of the standard: an answer 0.2 s before the end of the wait is in time, one 1.5 s behind it is too late
(0.15 s and 0.5 s for the time of one second). The handshake takes about two seconds from the plug on.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.scenario import Action, CommandAction, Start, begin

Tour = tuple[str, Start, float, tuple[Action, ...]]

CHARGE = CommandAction(at_s=0.5, do="charge")
STANDBY = CommandAction(at_s=1.0, do="standby")
EARLY_S, LATE_S = 0.2, 1.5
RECOVERY_S = 12.0  # five seconds of error and a new handshake

# A message of the charger, from when on the fault delays it (CRM is due twice, the second time from 1.6 s on), and the
# time allowed.
LATE_ANSWERS: tuple[tuple[str, str, float, float], ...] = (
    ("CRM(AA)", "CRM", 1.55, 5.0),
    ("CML", "CML", 0.0, 5.0),
    ("CRO(AA)", "CRO", 0.0, 60.0),
)
# A message of the BMS that the charger does not get from 1.0 s on; until when it may miss it, and until when it is too
# late. A message in packets that nobody clears is given up after 1.25 s and announced anew: the last time in time
# is at 6.01 s (BRM), 6.12 s (BCP) and 5.66 s (BCS), the charger gives up at 6.49, 6.60 and 5.95 s.
UNHEARD: tuple[tuple[str, Start, float, float], ...] = (
    ("BHM", "standby", 5.8, 7.5),
    ("BRM", "standby", 5.95, 6.3),
    ("BCP", "standby", 6.05, 6.4),
    ("BRO", "standby", 6.45, 7.2),
    ("BCL", "charge", 1.8, 3.0),
    ("BCS", "charge", 5.6, 6.2),
    ("BSD", "charge", 5.9, 7.5),  # the charger would wait 10 s, the BMS gives up the wait for CSD before
)


def charger_tours() -> Iterator[Tour]:
    """All of them."""
    yield from _sessions()
    yield from _late_answers()
    yield from _unheard()
    yield from _offers()
    yield from _overrides()
    yield from _ends()
    yield from _welded()


def _sessions() -> Iterator[Tour]:
    yield "a session from plug to statistics", "standby", 20.0, (CHARGE, CommandAction(at_s=12.0, do="standby"))
    full = CommandAction(at_s=0.0, do="soc", soc_pct=100.0)
    yield "a session until the pack is full", "charge", 20.0, (full,)
    again = CommandAction(at_s=6.0, do="charge")
    yield "a second session without pulling the plug", "charge", 20.0, (STANDBY, again)
    yield "the plug is pulled in the handshake", "standby", 6.0, (CHARGE, CommandAction(at_s=1.6, do="drive"))


def _late_answers() -> Iterator[Tour]:
    """In time, and too late. CRM comes twice: the fault on the first is over before the second is due."""
    for title, wait_s in (("in time", 30.0 - EARLY_S), ("too late", 30.0 + LATE_S)):
        late = begin(0.0, "gbt-late", message="CRM", delay_s=wait_s - 0.5, for_s=1.55)
        yield f"CRM {title}", "standby", wait_s + 6.0, (CHARGE, late)
    for name, message, begins_s, limit_s in LATE_ANSWERS:
        for title, wait_s in (("in time", limit_s - EARLY_S), ("too late", limit_s + LATE_S)):
            late = begin(begins_s, "gbt-late", message=message, delay_s=wait_s, for_s=3.0)
            yield f"{name} {title}", "standby", wait_s + RECOVERY_S, (CHARGE, late)
    for title, for_s in (("in time", 0.85), ("too late", 1.5)):
        silent = begin(1.0, "gbt-withheld", message="CCS", for_s=for_s)
        yield f"CCS {title}", "charge", RECOVERY_S, (silent,)
    for message in ("CST", "CSD"):
        for title, for_s in (("in time", 5.0 - EARLY_S), ("too late", 5.0 + LATE_S)):
            silent = begin(1.0, "gbt-withheld", message=message, for_s=for_s)
            yield f"{message} {title}", "charge", RECOVERY_S, (STANDBY, silent)
    for message in ("CHM", "CRM", "CML", "CRO", "transport"):
        yield f"never {message}", "standby", 15.0, (CHARGE, begin(0.0, "gbt-withheld", message=message))
    refused = begin(1.0, "gbt-recognition", result=0)
    yield "never recognised, four sessions", "standby", 50.0, (CHARGE, refused)
    yield "never recognised, five sessions", "standby", 62.0, (CHARGE, refused, begin(1.0, "gbt-persists"))
    yield "a wrong result of the recognition", "standby", 10.0, (CHARGE, begin(1.55, "gbt-recognition", result=0x55))


def _unheard() -> Iterator[Tour]:
    """The charger gives up what it does not get in its time, and not before."""
    for message, start, in_time_s, too_late_s in UNHEARD:
        for title, until_s in (("in time", in_time_s), ("too late", too_late_s)):
            deaf = begin(1.0, "gbt-unheard", message=message, for_s=round(until_s - 1.0, 2))
            asked: Action = CHARGE if start == "standby" else STANDBY
            actions = (deaf,) if message in ("BCL", "BCS") else (asked, deaf)
            yield f"{message} heard {title}", start, until_s + 8.0, actions
    for title, for_s in (("in time", 4.5), ("too late", 5.0 + LATE_S)):  # BSD comes every 0.25 s
        both = [begin(1.0, "gbt-unheard", message=message, for_s=for_s) for message in ("BST", "BSD")]
        yield f"BST and BSD heard {title}", "charge", 13.0, (begin(1.0, "gbt-stops", for_s=1.0), *both)
    deaf = begin(0.0, "gbt-unheard", message="BRO", for_s=70.0)
    yield "BRO never heard", "standby", 15.0, (CHARGE, deaf)


def _offers() -> Iterator[Tour]:
    for volts in (400.0, 600.0, 660.0):
        offer = begin(0.0, "gbt-cml-voltage", voltage_v=volts)
        yield f"CML up to {volts:g} V", "standby", 9.0, (CHARGE, offer)
    for volts in (600.0, 660.0):
        offer = begin(0.0, "gbt-cml-floor", voltage_v=volts)
        yield f"CML from {volts:g} V on", "standby", 9.0, (CHARGE, offer)
    for amperes in (5.0, 9.5, 10.5, 60.0):
        offer = begin(0.0, "gbt-cml-current", current_a=amperes)
        yield f"CML up to {amperes:g} A", "standby", 9.0, (CHARGE, offer)


def _overrides() -> Iterator[Tour]:
    """More than was asked for, in current and voltage, on both sides of what is tolerated."""
    weak = begin(0.0, "gbt-cml-current", current_a=100.0)
    for extra in (10.0, 30.0, 40.0, 60.0, 120.0):
        more = begin(7.0, "gbt-overrides-current", extra_a=extra)
        yield f"charger delivers {extra:g} A more than CML and BCL", "standby", 13.0, (CHARGE, weak, more)
    for name, for_s in (("briefly", 1.5), ("for long", 2.6)):
        more = begin(7.0, "gbt-overrides-current", extra_a=120.0, for_s=for_s)
        yield f"charger delivers too much {name}", "standby", 13.0, (CHARGE, weak, more)
    ignores = begin(7.0, "charger-ignores-limits")
    yield "charger that offered 100 A ignores all limits", "standby", 13.0, (CHARGE, weak, ignores)
    low = begin(0.0, "gbt-cml-voltage", voltage_v=640.0)
    for extra in (5.0, 8.0, 12.0, 17.0):
        above = begin(6.0, "gbt-overrides-voltage", extra_v=extra)
        yield f"charger regulates to {extra:g} V more than CML and BCL", "standby", 12.0, (CHARGE, low, above)
    for name, for_s in (("briefly", 1.5), ("for long", 2.6)):
        above = begin(6.0, "gbt-overrides-voltage", extra_v=17.0, for_s=for_s)
        yield f"charger regulates too high {name}", "standby", 12.0, (CHARGE, low, above)


def _ends() -> Iterator[Tour]:
    for reason in ("reached", "manual", "fault"):
        yield f"charger stops, {reason}", "charge", 9.0, (begin(2.0, "gbt-stops", reason=reason),)
    yield "charger stops before it is ready", "standby", 9.0, (CHARGE, begin(2.3, "gbt-stops"))
    yield "charger reports an error", "charge", 14.0, (begin(2.0, "gbt-error", for_s=1.0),)
    yield "charger reports an error in the handshake", "standby", 14.0, (CHARGE, begin(1.7, "gbt-error", for_s=1.0))
    yield "charger begins anew while charging", "charge", 14.0, (begin(2.0, "gbt-begins-anew", for_s=1.0),)
    yield "charger begins anew in the handshake", "standby", 14.0, (CHARGE, begin(2.3, "gbt-begins-anew", for_s=1.0))
    yield "interlock opens in the handshake", "standby", 9.0, (CHARGE, begin(1.9, "hvil-open"))
    yield "vehicle silent while charging", "charge", 5.0, (begin(1.0, "message-lost", message="vehicle"),)


def _welded() -> Iterator[Tour]:
    """Both contactors welded, and contacts that say they are open: only the voltage of the link tells.

    The BMS goes on to say BRO(00), for which the charger has 60 s of patience.
    """
    for title, for_s, duration_s in (("in time", 59.5, 66.0), ("too late", 66.0, 70.0)):
        faults = [
            begin(0.0, kind, contactor=contactor, for_s=for_s, **state)
            for contactor in ("positive", "negative")
            for kind, state in (("contactor-welded", {}), ("aux-contact-stuck", {"state": "open"}))
        ]
        yield f"both contactors welded, BRO(AA) {title}", "standby", duration_s, (CHARGE, *faults)
