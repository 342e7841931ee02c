# SPDX-License-Identifier: Apache-2.0
"""PRT-OV-3 of the design: past 3.75 V +- 5 mV, confirmed in 0.8..1.0 s, on the bus 0.2 s later, open 0.5 s after that.

The evidence has a timing uncertainty of 10 ms, so the flag may come from 0.79 s and must come by 1.21 s.
"""

from __future__ import annotations

import pytest

from harness.verdict import Exercised, Outcome
from tests.judges.trips import Make, Points, cell, contactors, flag, over_voltage, verdict

OPEN: Points = [(0.0, 0.0)]


# ---- must trip -------------------------------------------------------------------------------------------------------


def test_a_trip_in_time_passes_with_the_time_left(evidence: Make) -> None:
    found = verdict(evidence, given=cell((2.0, 3.80)), reported=flag((2.95, 1.0)), output=contactors((3.05, 0.0)))
    assert (found.outcome, found.exercised) == (Outcome.PASS, Exercised(must=1))
    assert found.margin["ms"] == pytest.approx(260.0, abs=0.01)  # 2.0 + 1.21 - 2.95, tighter than 0.51 - 0.10


def test_the_margin_is_that_of_the_safe_state_when_it_is_tighter(evidence: Make) -> None:
    found = verdict(evidence, given=cell((2.0, 3.80)), reported=flag((2.95, 1.0)), output=contactors((3.40, 0.0)))
    assert found.margin["ms"] == pytest.approx(60.0, abs=0.01)  # 0.51 - 0.45


@pytest.mark.parametrize(
    ("flag_s", "outcome"),
    [(2.78, Outcome.FAIL), (2.80, Outcome.PASS), (3.20, Outcome.PASS), (3.22, Outcome.FAIL)],
    ids=["too early", "earliest", "latest", "too late"],
)
def test_the_flag_is_right_from_0_8_to_1_2_s(evidence: Make, flag_s: float, outcome: Outcome) -> None:
    found = verdict(evidence, given=cell((2.0, 3.80)), reported=flag((flag_s, 1.0)), output=contactors((flag_s, 0.0)))
    assert found.outcome is outcome


def test_a_trip_too_early_says_how_long_the_cause_had_lasted(evidence: Make) -> None:
    found = verdict(evidence, given=cell((2.0, 3.80)), reported=flag((2.5, 1.0)), output=contactors((2.5, 0.0)))
    assert found.outcome is Outcome.FAIL
    assert "set at 2.500 s too early" in found.reason
    assert "for 0.500 s at most, 0.8 s needed" in found.reason


def test_a_late_flag_fails_with_a_negative_margin(evidence: Make) -> None:
    found = verdict(evidence, given=cell((2.0, 3.80)), reported=flag((3.5, 1.0)), output=contactors((3.5, 0.0)))
    assert found.outcome is Outcome.FAIL
    assert found.margin["ms"] == pytest.approx(-290.0, abs=0.01)
    assert found.at_s == pytest.approx(3.21, abs=1e-3)


def test_a_flag_that_never_comes_fails(evidence: Make) -> None:
    found = verdict(evidence, given=cell((2.0, 3.80)), reported=flag())
    assert (found.outcome, found.exercised.must) == (Outcome.FAIL, 1)
    assert "never" in found.reason
    assert found.margin["v"] == pytest.approx(-0.05, abs=1e-9)


def test_a_flag_that_no_message_ever_carried_is_one_that_never_came(evidence: Make) -> None:
    found = verdict(evidence, given=cell((2.0, 3.80)), reported={"fault.cell_overvoltage": []}, duration_s=8.0)
    assert found.outcome is Outcome.FAIL


def test_a_cause_gone_after_the_confirmation_still_demands_the_flag(evidence: Make) -> None:
    found = verdict(evidence, given=cell((2.0, 3.80), (3.02, 3.3)), reported=flag())
    assert found.outcome is Outcome.FAIL


@pytest.mark.parametrize("voltage_v", [3.7451, 3.7549])
def test_inside_the_accuracy_either_reaction_is_right(evidence: Make, voltage_v: float) -> None:
    silent = verdict(evidence, given=cell((2.0, voltage_v)), reported=flag())
    tripped = verdict(evidence, given=cell((2.0, voltage_v)), reported=flag((2.95, 1.0)), output=contactors((3.0, 0.0)))
    assert (silent.outcome, tripped.outcome) == (Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE)


@pytest.mark.parametrize("lasts_s", [0.81, 0.95, 1.0])
def test_between_the_confirmation_times_either_reaction_is_right(evidence: Make, lasts_s: float) -> None:
    silent = verdict(evidence, given=cell((2.0, 3.80), (2.0 + lasts_s, 3.3)), reported=flag())
    assert silent.outcome is Outcome.INCONCLUSIVE


def test_what_is_due_after_the_end_of_the_record_is_not_judged(evidence: Make) -> None:
    found = verdict(evidence, given=cell((9.0, 3.80)), reported=flag())
    assert found.outcome is Outcome.NOT_EXERCISED
    assert "record ended" in found.reason


def test_what_is_due_after_power_was_lost_is_not_judged(evidence: Make) -> None:
    output = {**contactors(), "powered": [(0.0, 1.0), (3.1, 0.0)]}
    found = verdict(evidence, given=cell((2.0, 3.80)), reported=flag(), output=output)
    assert found.outcome is Outcome.NOT_EXERCISED


def test_the_confirmation_starts_anew_after_booting(evidence: Make) -> None:
    output = {**contactors((1.0, 0.0)), "powered": [(0.0, 1.0), (1.0, 0.0), (2.0, 1.0)]}
    in_time = verdict(evidence, given=cell((0.9, 3.80)), reported=flag((3.60, 1.0)), output=output, power_ons=[2.0])
    late = verdict(evidence, given=cell((0.9, 3.80)), reported=flag((3.80, 1.0)), output=output, power_ons=[2.0])
    # boot 0.5 s, confirmation 1.0 s, flag 0.2 s: due by 3.71 s
    assert (in_time.outcome, late.outcome) == (Outcome.PASS, Outcome.FAIL)


def test_a_reaction_that_ends_its_own_cause_counts_as_demanded(evidence: Make) -> None:
    over_current = over_voltage(
        quantity="pack_current_a", above=600.0, accuracy=4.0, flag="fault.discharge_overcurrent", latched=False
    )
    found = verdict(
        evidence,
        over_current,
        given={"pack_current_a": [(0.0, 100.0), (2.0, 700.0), (2.97, 0.0)]},
        reported={"fault.discharge_overcurrent": [(0.0, 0.0), (2.90, 1.0)]},
        output=contactors((2.92, 0.0)),
    )
    assert (found.outcome, found.exercised.must) == (Outcome.PASS, 1)


# ---- must not trip ---------------------------------------------------------------------------------------------------


def test_close_to_the_limit_without_a_trip_passes_with_the_distance(evidence: Make) -> None:
    found = verdict(evidence, given=cell((2.0, 3.72), (6.0, 3.3)), reported=flag())
    assert (found.outcome, found.exercised) == (Outcome.PASS, Exercised(must_not=1))
    assert found.margin["v"] == pytest.approx(0.03, abs=1e-9)


def test_past_the_limit_for_too_short_without_a_trip_passes(evidence: Make) -> None:
    found = verdict(evidence, given=cell((2.0, 3.80), (2.75, 3.3)), reported=flag())
    assert (found.outcome, found.exercised) == (Outcome.PASS, Exercised(must_not=1))
    assert "v" not in found.margin  # it went past the limit, rightly: no distance was left, and none missed


def test_far_from_the_limit_is_not_exercised_but_measured(evidence: Make) -> None:
    found = verdict(evidence, given=cell((2.0, 3.40)), reported=flag())
    assert found.outcome is Outcome.NOT_EXERCISED
    assert found.margin["v"] == pytest.approx(0.35, abs=1e-9)


def test_a_trip_below_the_limit_fails_with_the_distance(evidence: Make) -> None:
    found = verdict(evidence, given=cell((2.0, 3.70)), reported=flag((3.0, 1.0)), output=contactors((3.0, 0.0)))
    assert found.outcome is Outcome.FAIL
    assert "without cause" in found.reason
    assert found.margin["v"] == pytest.approx(-0.05, abs=1e-9)


def test_a_trip_far_from_the_limit_fails(evidence: Make) -> None:
    found = verdict(evidence, given=cell(), reported=flag((3.0, 1.0)))
    assert found.outcome is Outcome.FAIL


def test_a_trip_long_after_the_cause_was_gone_fails(evidence: Make) -> None:
    found = verdict(evidence, given=cell((2.0, 3.80), (2.9, 3.3)), reported=flag((3.3, 1.0)))
    assert found.outcome is Outcome.FAIL


def test_pulses_below_the_confirmation_time_must_not_add_up(evidence: Make) -> None:
    pulses = [(2.0 + 0.5 * i, 3.80 if i % 2 == 0 else 3.3) for i in range(10)]
    counted_up = verdict(evidence, given=cell(*pulses), reported=flag((5.0, 1.0)))
    reset = verdict(evidence, given=cell(*pulses), reported=flag())
    assert (counted_up.outcome, reset.outcome) == (Outcome.FAIL, Outcome.PASS)
    assert reset.exercised == Exercised(must_not=5)


def test_a_flag_set_at_the_start_of_the_record_needs_no_cause(evidence: Make) -> None:
    found = verdict(
        evidence, given=cell(), reported={"fault.cell_overvoltage": [(0.0, 1.0)]}, output=contactors((0.0, 0.0))
    )
    assert found.outcome is Outcome.NOT_EXERCISED


def test_a_flag_that_does_not_latch_needs_a_cause_after_booting(evidence: Make) -> None:
    requirement = over_voltage(latched=False)
    reported = {"fault.cell_overvoltage": [(0.0, 1.0)]}
    output = contactors((0.0, 0.0))
    booted = verdict(evidence, requirement, given=cell(), reported=reported, output=output, power_ons=[0.0])
    running = verdict(evidence, requirement, given=cell(), reported=reported, output=output)
    assert (booted.outcome, running.outcome) == (Outcome.FAIL, Outcome.NOT_EXERCISED)


def test_a_latched_flag_shown_after_booting_may_stem_from_the_power_cycle_before(evidence: Make) -> None:
    reported: dict[str, Points] = {"fault.cell_overvoltage": [(0.0, 1.0)]}
    found = verdict(evidence, given=cell(), reported=reported, output=contactors((0.0, 0.0)), power_ons=[0.0])
    assert found.outcome is Outcome.NOT_EXERCISED


def test_a_cause_from_before_the_record_may_already_be_confirmed_unless_it_begins_with_booting(evidence: Make) -> None:
    given: dict[str, Points] = {"cell_voltage_max_v": [(0.0, 3.80)]}
    reported, output = flag((0.55, 1.0)), contactors((0.6, 0.0))
    running = verdict(evidence, given=given, reported=reported, output=output)
    booted = verdict(evidence, given=given, reported=reported, output=output, power_ons=[0.0])
    assert running.outcome is not Outcome.FAIL
    assert booted.outcome is Outcome.FAIL


def test_a_dip_shorter_than_the_timing_uncertainty_may_have_been_missed(evidence: Make) -> None:
    given = cell((2.0, 3.80), (2.5, 3.3), (2.52, 3.80))
    reported, output = flag((2.95, 1.0)), contactors((3.0, 0.0))
    seen = verdict(evidence, given=given, reported=reported, output=output, timing_s=0.01)
    missed = verdict(evidence, given=given, reported=reported, output=output, timing_s=0.03)
    assert (seen.outcome, missed.outcome) == (Outcome.FAIL, Outcome.PASS)


def test_messages_during_boot_are_not_judged(evidence: Make) -> None:
    reported = {"fault.cell_overvoltage": [(0.0, 0.0), (1.1, 1.0), (1.4, 0.0)]}
    found = verdict(evidence, given=cell(), reported=reported, power_ons=[1.0])
    assert found.outcome is Outcome.NOT_EXERCISED


# ---- safe state ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("open_s", "outcome"), [(3.45, Outcome.PASS), (3.47, Outcome.FAIL)])
def test_the_contactors_open_within_half_a_second_of_the_flag(evidence: Make, open_s: float, outcome: Outcome) -> None:
    found = verdict(evidence, given=cell((2.0, 3.80)), reported=flag((2.95, 1.0)), output=contactors((open_s, 0.0)))
    assert found.outcome is outcome


def test_contactors_that_never_open_fail(evidence: Make) -> None:
    found = verdict(evidence, given=cell((2.0, 3.80)), reported=flag((2.95, 1.0)))
    assert found.outcome is Outcome.FAIL
    assert "contactors commanded open never, allowed 0.5 s" in found.reason


def test_one_contactor_left_closed_is_not_safe(evidence: Make) -> None:
    output = {"contactor_positive": [(0.0, 1.0), (3.0, 0.0)], "contactor_negative": [(0.0, 1.0)]}
    found = verdict(evidence, given=cell((2.0, 3.80)), reported=flag((2.95, 1.0)), output=output)
    assert found.outcome is Outcome.FAIL


def test_closing_again_while_the_flag_is_set_fails(evidence: Make) -> None:
    output = contactors((3.0, 0.0), (6.0, 1.0))
    found = verdict(evidence, given=cell((2.0, 3.80)), reported=flag((2.95, 1.0)), output=output)
    assert found.outcome is Outcome.FAIL
    assert "lost at 6.000 s" in found.reason


def test_contactors_are_taken_from_the_bus_where_no_pin_is_recorded(evidence: Make) -> None:
    reported = {**flag((2.95, 1.0)), **contactors((3.6, 0.0))}
    found = verdict(evidence, given=cell((2.0, 3.80)), reported=reported, output={})
    assert found.outcome is Outcome.FAIL


def test_a_limit_to_zero_can_be_the_safe_state(evidence: Make) -> None:
    alarm = over_voltage(flag="alarm.cell_overvoltage", safe_state="charge_limit_zero", latched=False)
    limits = {"alarm.cell_overvoltage": [(0.0, 0.0), (2.95, 1.0)], "charge_limit_a": [(0.0, 270.0), (3.2, 0.0)]}
    in_time = verdict(evidence, alarm, given=cell((2.0, 3.80)), reported=limits)
    left = {**limits, "charge_limit_a": [(0.0, 270.0), (3.2, 0.1)]}
    not_zero = verdict(evidence, alarm, given=cell((2.0, 3.80)), reported=left)
    assert (in_time.outcome, not_zero.outcome) == (Outcome.PASS, Outcome.FAIL)


def test_a_warning_has_no_safe_state(evidence: Make) -> None:
    warning = over_voltage(flag="warning.cell_overvoltage", safe_state="none", safe_within_s=0.0, latched=False)
    reported: dict[str, Points] = {"warning.cell_overvoltage": [(0.0, 0.0), (2.95, 1.0)]}
    found = verdict(evidence, warning, given=cell((2.0, 3.80)), reported=reported)
    assert found.outcome is Outcome.PASS


# ---- missing records, lower limits ----


def test_what_was_not_recorded_is_not_exercised(evidence: Make) -> None:
    no_quantity = verdict(evidence, given={}, reported=flag((2.0, 1.0)))
    no_flag = verdict(evidence, given=cell((2.0, 3.80)), reported={})
    assert (no_quantity.outcome, no_flag.outcome) == (Outcome.NOT_EXERCISED, Outcome.NOT_EXERCISED)
    assert "not recorded" in no_quantity.reason
    assert "not reported" in no_flag.reason


def test_a_lower_limit_is_judged_the_same_way(evidence: Make) -> None:
    under = over_voltage(quantity="cell_voltage_min_v", above=None, below=2.5, flag="fault.cell_undervoltage")
    given: dict[str, Points] = {"cell_voltage_min_v": [(0.0, 3.3), (2.0, 2.4)]}
    reported: dict[str, Points] = {"fault.cell_undervoltage": [(0.0, 0.0), (2.9, 1.0)]}
    reacted = verdict(evidence, under, given=given, reported=reported, output=contactors((3.0, 0.0)))
    silent = verdict(evidence, under, given=given, reported={"fault.cell_undervoltage": OPEN})
    assert (reacted.outcome, silent.outcome) == (Outcome.PASS, Outcome.FAIL)
    assert silent.margin["v"] == pytest.approx(-0.1, abs=1e-9)


@pytest.mark.parametrize("voltage_v", [2.4951, 2.5049])
def test_inside_the_accuracy_of_a_lower_limit_either_reaction_is_right(evidence: Make, voltage_v: float) -> None:
    under = over_voltage(quantity="cell_voltage_min_v", above=None, below=2.5, flag="fault.cell_undervoltage")
    given: dict[str, Points] = {"cell_voltage_min_v": [(0.0, 3.3), (2.0, voltage_v)]}
    reacted: dict[str, Points] = {"fault.cell_undervoltage": [(0.0, 0.0), (2.9, 1.0)]}
    silent: dict[str, Points] = {"fault.cell_undervoltage": OPEN}
    outcomes = [
        verdict(evidence, under, given=given, reported=reported, output=contactors((3.0, 0.0))).outcome
        for reported in (reacted, silent)
    ]
    assert outcomes == [Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE]


def test_the_distance_of_a_time_is_told_in_seconds(evidence: Make) -> None:
    trip = over_voltage(quantity="vehicle_message_age_s", above=0.1, accuracy=0.0)
    found = verdict(evidence, trip, given={"vehicle_message_age_s": [(0.0, 0.09)]}, reported=flag())
    assert {"s": pytest.approx(0.01)} == found.margin
