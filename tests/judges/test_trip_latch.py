# SPDX-License-Identifier: Apache-2.0
"""A protection after its flag: latched over power cycles, released by a reset only, shared with other limits."""

from __future__ import annotations

import pytest

from harness.requirements.judge import judge
from harness.requirements.model import Trip
from harness.verdict import Outcome
from tests.judges.trips import Make, Points, cell, contactors, flag, over_voltage, verdict

# ---- latch and release -----------------------------------------------------------------------------------------------

CYCLED: dict[str, Points] = {"powered": [(0.0, 1.0), (5.0, 0.0), (6.0, 1.0)]}


def test_a_latch_kept_over_a_power_cycle_passes(evidence: Make) -> None:
    output = {**contactors((3.0, 0.0)), **CYCLED}
    found = verdict(
        evidence, given=cell((2.0, 3.80), (4.0, 3.3)), reported=flag((2.95, 1.0)), output=output, power_ons=[6.0]
    )
    assert found.outcome is Outcome.PASS


@pytest.mark.parametrize(("latched", "outcome"), [(False, Outcome.PASS), (True, Outcome.FAIL)])
def test_closing_after_a_power_cycle_is_held_against_a_latched_flag_only(
    evidence: Make,
    latched: bool,  # noqa: FBT001 - a column of the table above
    outcome: Outcome,
) -> None:
    output = {**contactors((3.0, 0.0), (6.3, 1.0)), **CYCLED}
    found = verdict(
        evidence,
        over_voltage(latched=latched),
        given=cell((2.0, 3.80), (4.0, 3.3)),
        reported=flag((2.95, 1.0), (6.8, 0.0)),
        output=output,
        power_ons=[6.0],
    )
    assert found.outcome is outcome


def test_a_latch_lost_over_a_power_cycle_fails(evidence: Make) -> None:
    output = {**contactors((3.0, 0.0)), **CYCLED}
    found = verdict(
        evidence,
        given=cell((2.0, 3.80), (4.0, 3.3)),
        reported=flag((2.95, 1.0), (6.1, 0.0)),
        output=output,
        power_ons=[6.0],
    )
    assert found.outcome is Outcome.FAIL
    assert "latch lost" in found.reason
    assert "over a power cycle" in found.reason


def test_a_latch_that_is_back_before_the_boot_time_is_over_was_kept(evidence: Make) -> None:
    output = {**contactors((3.0, 0.0)), **CYCLED}
    reported = flag((2.95, 1.0), (6.1, 0.0), (6.45, 1.0))
    found = verdict(evidence, given=cell((2.0, 3.80), (4.0, 3.3)), reported=reported, output=output, power_ons=[6.0])
    assert found.outcome is Outcome.PASS


def test_closing_after_a_power_cycle_in_spite_of_the_latch_fails(evidence: Make) -> None:
    output = {**contactors((3.0, 0.0), (7.0, 1.0)), **CYCLED}
    found = verdict(
        evidence, given=cell((2.0, 3.80), (4.0, 3.3)), reported=flag((2.95, 1.0)), output=output, power_ons=[6.0]
    )
    assert found.outcome is Outcome.FAIL


def test_a_latch_released_without_a_request_fails(evidence: Make) -> None:
    reported = flag((2.95, 1.0), (8.0, 0.0))
    found = verdict(evidence, given=cell((2.0, 3.80), (4.0, 3.3)), reported=reported, output=contactors((3.0, 0.0)))
    assert found.outcome is Outcome.FAIL
    assert "no reset was requested" in found.reason


def test_a_latch_released_by_a_reset_with_the_cause_gone_passes(evidence: Make) -> None:
    reported = flag((2.95, 1.0), (8.0, 0.0))
    output = contactors((3.0, 0.0), (8.5, 1.0))
    found = verdict(evidence, given=cell((2.0, 3.80), (4.0, 3.3)), reported=reported, output=output, resets=[7.95])
    assert found.outcome is Outcome.PASS


def test_a_latch_released_by_a_reset_with_the_cause_present_fails(evidence: Make) -> None:
    reported = flag((2.95, 1.0), (8.0, 0.0))
    found = verdict(evidence, given=cell((2.0, 3.80)), reported=reported, output=contactors((3.0, 0.0)), resets=[7.95])
    assert found.outcome is Outcome.FAIL
    assert "released by a reset while" in found.reason


def test_a_reset_before_the_flag_does_not_release_it(evidence: Make) -> None:
    reported = flag((2.95, 1.0), (8.0, 0.0))
    found = verdict(
        evidence,
        given=cell((2.0, 3.80), (4.0, 3.3)),
        reported=reported,
        output=contactors((3.0, 0.0)),
        resets=[1.0],
    )
    assert found.outcome is Outcome.FAIL


def test_a_flag_released_while_the_cause_is_there_fails(evidence: Make) -> None:
    requirement = over_voltage(latched=False)
    output = contactors((3.0, 0.0))
    reported = flag((2.95, 1.0), (6.0, 0.0))
    there = verdict(evidence, requirement, given=cell((2.0, 3.80), (9.0, 3.3)), reported=reported, output=output)
    gone = verdict(evidence, requirement, given=cell((2.0, 3.80), (5.0, 3.3)), reported=reported, output=output)
    assert (there.outcome, gone.outcome) == (Outcome.FAIL, Outcome.PASS)


def test_a_fault_found_just_before_power_was_lost_may_show_after_booting(evidence: Make) -> None:
    output = {**contactors((2.9, 0.0)), "powered": [(0.0, 1.0), (2.9, 0.0), (4.0, 1.0)]}
    found = verdict(
        evidence,
        given=cell((2.0, 3.80), (2.95, 3.3)),
        reported=flag((4.2, 1.0)),
        output=output,
        power_ons=[4.0],
    )
    assert found.outcome is not Outcome.FAIL


def test_a_fault_confirmed_while_booting_shows_in_the_first_message_after_it(evidence: Make) -> None:
    crash = over_voltage(quantity="crash", above=0.5, accuracy=0.0, confirm_s=[0.0, 0.03], flag="fault.crash")
    given: dict[str, Points] = {"crash": [(0.0, 0.0), (2.05, 1.0), (2.15, 0.0)]}
    reported: dict[str, Points] = {"fault.crash": [(0.0, 0.0), (2.45, 1.0)]}
    output = {**contactors((0.0, 0.0)), "powered": [(0.0, 1.0), (1.0, 0.0), (2.0, 1.0)]}
    booting = verdict(evidence, crash, given=given, reported=reported, output=output, power_ons=[2.0])
    running = verdict(evidence, crash, given=given, reported=reported, output=contactors((0.0, 0.0)))
    assert booting.outcome is not Outcome.FAIL
    assert running.outcome is Outcome.FAIL


# ---- conditions, shared flags, missing records -----------------------------------------------------------------------

CHARGING = {"quantity": "pack_current_a", "below": -2.0, "accuracy": 0.5}


@pytest.mark.parametrize(
    ("current_a", "silent", "tripped"),
    [
        (-50.0, Outcome.FAIL, Outcome.PASS),
        (50.0, Outcome.NOT_EXERCISED, Outcome.FAIL),
        (-2.3, Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE),
    ],
    ids=["charging", "discharging", "unsure"],
)
def test_when_decides_whether_a_reaction_is_due(
    evidence: Make, current_a: float, silent: Outcome, tripped: Outcome
) -> None:
    requirement = over_voltage(when=[CHARGING])
    given = {**cell((2.0, 3.80)), "pack_current_a": [(0.0, current_a)]}
    without = verdict(evidence, requirement, given=given, reported=flag())
    with_flag = verdict(evidence, requirement, given=given, reported=flag((2.95, 1.0)), output=contactors((3.0, 0.0)))
    assert (without.outcome, with_flag.outcome) == (silent, tripped)


def tiers() -> tuple[Trip, Trip]:
    base = {"quantity": "pack_current_a", "accuracy": 4.0, "flag": "fault.discharge_overcurrent", "latched": False}
    fast = over_voltage(id="PRT-DOC-3", above=600.0, **base)
    slow = over_voltage(id="PRT-DOC-4", above=480.0, **{**base, "confirm_s": [3.0, 4.0]})
    return fast, slow


def test_requirements_that_share_a_flag_explain_it_for_each_other(evidence: Make) -> None:
    fast, slow = tiers()
    made = evidence(
        given={"pack_current_a": [(0.0, 100.0), (2.0, 520.0), (5.6, 0.0)]},
        reported={"fault.discharge_overcurrent": [(0.0, 0.0), (5.5, 1.0)]},
        output=contactors((5.55, 0.0)),
    )
    assert judge(fast, made, (fast, slow)).outcome is Outcome.NOT_EXERCISED
    assert judge(slow, made, (fast, slow)).outcome is Outcome.PASS
    assert judge(fast, made).outcome is Outcome.FAIL


@pytest.mark.parametrize("order", [1, -1], ids=["in order", "reversed"])
@pytest.mark.parametrize(("current_a", "blamed"), [(470.0, "PRT-DOC-4"), (700.0, "PRT-DOC-3")])
def test_a_shared_flag_that_none_explains_fails_the_nearest_only(
    evidence: Make, current_a: float, blamed: str, order: int
) -> None:
    group = tiers()[::order]
    made = evidence(
        given={"pack_current_a": [(0.0, 100.0), (2.0, current_a), (2.7, 0.0)]},
        reported={"fault.discharge_overcurrent": [(0.0, 0.0), (2.6, 1.0)]},
        output=contactors((2.65, 0.0)),
    )
    failed = [trip.id for trip in group if judge(trip, made, group).outcome is Outcome.FAIL]
    assert failed == [blamed]
