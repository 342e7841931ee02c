# SPDX-License-Identifier: Apache-2.0
"""Limit, accuracy, cycle, sequence and invariant, each from both sides of what it demands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.requirements.evidence import Evidence, MessageSeries, Series
from harness.requirements.judge import judge
from harness.requirements.model import Accuracy, Cycle, Invariant, Limit, Sequence
from harness.verdict import Outcome

Make = Callable[..., Evidence]
ON = {"powered": [(0.0, 1.0)]}
COMMON = {"title": "a requirement", "source": ["own choice"]}

# ---- limit: 270 A up to 45 °C, falling to 0 at 50 °C -----------------------------------------------------------------

CURVE = [{"at": 45.0, "limit": 270.0}, {"at": 50.0, "limit": 0.0}]


def charge_limit(**changes: Any) -> Limit:
    data = {"id": "LIM-1", "reported": "charge_limit_a", "quantity": "cell_temp_max_degc", "curve": CURVE, **COMMON}
    return Limit.model_validate({**data, "tolerance": 1.0, "settle_s": 0.5, **changes})


@pytest.mark.parametrize(("limit_a", "outcome"), [(109.0, Outcome.PASS), (110.0, Outcome.FAIL)])
def test_a_limit_stays_under_the_curve(evidence: Make, limit_a: float, outcome: Outcome) -> None:
    # 48 °C: 270 A x 2/5 = 108 A, 1 A tolerance
    made = evidence(
        given={"cell_temp_max_degc": [(0.0, 25.0), (2.0, 48.0)]},
        reported={"charge_limit_a": [(0.0, 270.0), (2.2, limit_a)]},
    )
    found = judge(charge_limit(), made)
    assert found.outcome is outcome
    assert found.margin["a"] == pytest.approx(109.0 - limit_a, abs=1e-6)


def test_a_limit_on_the_flat_of_the_curve_is_not_exercised(evidence: Make) -> None:
    made = evidence(given={"cell_temp_max_degc": [(0.0, 25.0)]}, reported={"charge_limit_a": [(0.0, 270.0)]})
    assert judge(charge_limit(), made).outcome is Outcome.NOT_EXERCISED


def test_a_limit_above_the_highest_of_the_curve_fails(evidence: Make) -> None:
    made = evidence(given={"cell_temp_max_degc": [(0.0, 25.0)]}, reported={"charge_limit_a": [(0.0, 300.0)]})
    assert judge(charge_limit(), made).outcome is Outcome.FAIL


@pytest.mark.parametrize(("falls_s", "outcome"), [(2.45, Outcome.PASS), (2.65, Outcome.FAIL)])
def test_the_old_limit_may_stay_for_the_settling_time(evidence: Make, falls_s: float, outcome: Outcome) -> None:
    made = evidence(
        given={"cell_temp_max_degc": [(0.0, 25.0), (2.0, 48.0)]},
        reported={"charge_limit_a": [(0.0, 270.0), (falls_s, 100.0)]},
    )
    assert judge(charge_limit(), made).outcome is outcome


def test_only_within_the_accuracy_of_the_corner_is_inconclusive(evidence: Make) -> None:
    made = evidence(
        given={"cell_temp_max_degc": [(0.0, 25.0), (2.0, 45.5)]}, reported={"charge_limit_a": [(0.0, 270.0)]}
    )
    assert judge(charge_limit(accuracy=1.0), made).outcome is Outcome.INCONCLUSIVE


def test_the_accuracy_takes_the_most_generous_corner_between(evidence: Make) -> None:
    peak = [{"at": 0.0, "limit": 0.0}, {"at": 20.0, "limit": 200.0}, {"at": 40.0, "limit": 0.0}]
    made = evidence(given={"cell_temp_max_degc": [(0.0, 18.0)]}, reported={"charge_limit_a": [(0.0, 199.0)]})
    exact = judge(charge_limit(curve=peak), made)  # 180 A
    rough = judge(charge_limit(curve=peak, accuracy=3.0), made)  # 15..21 °C contains the peak
    assert (exact.outcome, rough.outcome) == (Outcome.FAIL, Outcome.INCONCLUSIVE)


# ---- accuracy: 5 mV within 0.3 s -------------------------------------------------------------------------------------


def cell_accuracy(**changes: Any) -> Accuracy:
    data = {"id": "ACC-1", "reported": "cell_voltage_max_v", "quantity": "cell_voltage_max_v", **COMMON}
    return Accuracy.model_validate({**data, "tolerance": 0.005, "within_s": 0.3, **changes})


@pytest.mark.parametrize(
    ("told_v", "outcome"), [(3.3049, Outcome.PASS), (3.3051, Outcome.FAIL), (3.2949, Outcome.FAIL)]
)
def test_a_report_lies_within_the_tolerance(evidence: Make, told_v: float, outcome: Outcome) -> None:
    made = evidence(
        given={"cell_voltage_max_v": [(0.0, 3.3)]}, reported={"cell_voltage_max_v": [(0.0, 3.3), (2.0, told_v)]}
    )
    found = judge(cell_accuracy(), made)
    assert found.outcome is outcome
    assert found.margin["v"] == pytest.approx(0.005 - abs(told_v - 3.3), abs=1e-9)


@pytest.mark.parametrize(("follows_s", "outcome"), [(2.29, Outcome.PASS), (2.45, Outcome.FAIL)])
def test_a_report_may_be_as_old_as_the_latency(evidence: Make, follows_s: float, outcome: Outcome) -> None:
    made = evidence(
        given={"cell_voltage_max_v": [(0.0, 3.3), (2.0, 3.5)]},
        reported={"cell_voltage_max_v": [(0.0, 3.3), (follows_s, 3.5)]},
    )
    assert judge(cell_accuracy(), made).outcome is outcome


def test_the_relative_tolerance_counts_where_it_is_larger(evidence: Make) -> None:
    requirement = cell_accuracy(reported="insulation_ohm", quantity="insulation_ohm", tolerance=10e3, relative=0.2)
    high = evidence(given={"insulation_ohm": [(0.0, 1e6)]}, reported={"insulation_ohm": [(0.0, 1.19e6)]})
    low = evidence(given={"insulation_ohm": [(0.0, 20e3)]}, reported={"insulation_ohm": [(0.0, 31e3)]})
    lower = evidence(given={"insulation_ohm": [(0.0, 20e3)]}, reported={"insulation_ohm": [(0.0, 29e3)]})
    outcomes = [judge(requirement, made).outcome for made in (high, low, lower)]
    assert outcomes == [Outcome.PASS, Outcome.FAIL, Outcome.PASS]


def test_reports_from_before_a_power_cycle_are_not_compared(evidence: Make) -> None:
    made = evidence(
        given={"cell_voltage_max_v": [(0.0, 3.3)]},
        output={"powered": [(0.0, 0.0), (5.0, 1.0)]},
        reported={"cell_voltage_max_v": [(0.0, 0.0), (5.2, 3.3)]},
        power_ons=[5.0],
    )
    assert judge(cell_accuracy(), made).outcome is Outcome.PASS


@pytest.mark.parametrize(("last_s", "outcome"), [(8.78, Outcome.FAIL), (8.80, Outcome.PASS)])
def test_a_value_does_not_stay_away_for_longer_than_every_s(evidence: Make, last_s: float, outcome: Outcome) -> None:
    told = Series(np.append(np.arange(0.0, 8.5, 0.5), last_s), np.full(18, 3.3))
    made = evidence(given={"cell_voltage_max_v": [(0.0, 3.3)]}, output=ON, reported={"cell_voltage_max_v": told})

    assert judge(cell_accuracy(every_s=1.2), made).outcome is outcome
    assert judge(cell_accuracy(), made).outcome is Outcome.PASS


def test_a_value_that_never_comes_fails_every_s(evidence: Make) -> None:
    silent = evidence(given={"cell_voltage_max_v": [(0.0, 3.3)]}, output=ON, reported={"cell_voltage_max_v": []})

    found = judge(cell_accuracy(every_s=1.2), silent)

    assert found.outcome is Outcome.FAIL
    assert "not reported for 10.000 s after 0.000 s, allowed 1.2 s" in found.reason


def test_a_controller_without_power_need_not_tell_a_value(evidence: Make) -> None:
    made = evidence(
        given={"cell_voltage_max_v": [(0.0, 3.3)]},
        output={"powered": [(0.0, 1.0), (2.0, 0.0)]},
        reported={"cell_voltage_max_v": Series(np.arange(0.0, 2.0, 0.5), np.full(4, 3.3))},
    )
    assert judge(cell_accuracy(every_s=1.2), made).outcome is Outcome.PASS


def test_nothing_to_compare_is_not_exercised(evidence: Make) -> None:
    unknown = evidence(given={}, reported={"cell_voltage_max_v": [(0.0, 3.3)]})
    silent = evidence(given={"cell_voltage_max_v": [(0.0, 3.3)]}, reported={"cell_voltage_max_v": []})
    assert judge(cell_accuracy(), unknown).outcome is Outcome.NOT_EXERCISED
    assert judge(cell_accuracy(), silent).outcome is Outcome.NOT_EXERCISED


# ---- cycle: every 100 ms +- 20 ms, counter modulo 15, CRC ------------------------------------------------------------


def cycle(**changes: Any) -> Cycle:
    data = {"id": "CYC-1", "message": "BMS_State", "period_s": 0.1, "tolerance_s": 0.02, **COMMON}
    return Cycle.model_validate({**data, "counter": "AliveCounter", "crc": "Crc", **changes})


def sent(times: Any, *, counter: Any = None, crc_ok: Any = None) -> Mapping[str, MessageSeries]:
    t_s = np.asarray(times, dtype=np.float64)
    counts = np.arange(len(t_s)) % 15 if counter is None else np.asarray(counter)
    fits = np.ones(len(t_s), dtype=np.bool_) if crc_ok is None else np.asarray(crc_ok)
    return {"BMS_State": MessageSeries(t_s, counts, 15, fits)}


REGULAR: NDArray[np.float64] = np.arange(100, dtype=np.float64) * 0.1 + 0.05
GIVEN = {"pack_voltage_v": [(0.0, 600.0)]}


def test_a_regular_message_passes(evidence: Make) -> None:
    found = judge(cycle(), evidence(given=GIVEN, messages=sent(REGULAR)))
    assert (found.outcome, found.exercised.must) == (Outcome.PASS, 99)
    assert found.margin["ms"] == pytest.approx(30.0, abs=0.01)


@pytest.mark.parametrize(
    ("shift_s", "outcome"),
    [(0.025, Outcome.PASS), (0.035, Outcome.FAIL), (-0.025, Outcome.PASS), (-0.035, Outcome.FAIL)],
)
def test_a_message_out_of_its_period_fails(evidence: Make, shift_s: float, outcome: Outcome) -> None:
    late = REGULAR + np.where(np.arange(100) >= 50, shift_s, 0.0)
    assert judge(cycle(), evidence(given=GIVEN, messages=sent(late))).outcome is outcome


def test_a_message_that_is_also_sent_on_change_may_come_early(evidence: Make) -> None:
    extra = np.sort(np.append(REGULAR, 5.02))
    made = evidence(given=GIVEN, messages=sent(extra))
    assert (judge(cycle(on_change=True), made).outcome, judge(cycle(), made).outcome) == (Outcome.PASS, Outcome.FAIL)


def test_a_message_that_stops_or_never_comes_fails(evidence: Make) -> None:
    stops = judge(cycle(), evidence(given=GIVEN, messages=sent(REGULAR[:50])))
    never = judge(cycle(), evidence(given=GIVEN, messages=sent([])))
    assert (stops.outcome, never.outcome) == (Outcome.FAIL, Outcome.FAIL)


def test_a_counter_that_stands_still_or_jumps_fails(evidence: Make) -> None:
    counts = np.arange(100) % 15
    for wrong in (np.where(np.arange(100) == 40, counts[39], counts), np.full(100, 3)):
        assert judge(cycle(), evidence(given=GIVEN, messages=sent(REGULAR, counter=wrong))).outcome is Outcome.FAIL


def test_a_wrong_crc_fails(evidence: Make) -> None:
    found = judge(cycle(), evidence(given=GIVEN, messages=sent(REGULAR, crc_ok=np.arange(100) != 70)))
    assert found.outcome is Outcome.FAIL
    assert found.at_s == pytest.approx(7.05)


def test_a_pause_while_switched_off_is_no_gap(evidence: Make) -> None:
    keep = (REGULAR < 4.0) | (REGULAR > 6.5)
    counter = np.concatenate([np.arange(np.count_nonzero(REGULAR < 4.0)), np.arange(np.count_nonzero(REGULAR > 6.5))])
    made = evidence(
        given=GIVEN,
        output={"powered": [(0.0, 1.0), (4.0, 0.0), (6.0, 1.0)]},
        messages=sent(REGULAR[keep], counter=counter % 15),
        power_ons=[6.0],
    )
    assert judge(cycle(), made).outcome is Outcome.PASS


def test_an_unknown_message_is_not_exercised_and_an_unknown_counter_inconclusive(evidence: Make) -> None:
    bare = {"BMS_State": MessageSeries(REGULAR, None, 0, None)}
    assert judge(cycle(), evidence(given=GIVEN)).outcome is Outcome.NOT_EXERCISED
    assert judge(cycle(), evidence(given=GIVEN, messages=bare)).outcome is Outcome.INCONCLUSIVE


# ---- sequence: positive closes only with the link at 95 % +- 1 % -----------------------------------------------------

CLOSES = {"quantity": "contactor_positive", "side": "output", "equals": 1.0}
CHARGED = {"quantity": "link_of_pack_pct", "above": 95.0, "accuracy": 1.0}


def order(**changes: Any) -> Sequence:
    return Sequence.model_validate({"id": "SEQ-1", "event": CLOSES, "requires": [CHARGED], **COMMON, **changes})


@pytest.mark.parametrize(
    ("link_pct", "outcome"), [(97.0, Outcome.PASS), (95.0, Outcome.INCONCLUSIVE), (93.9, Outcome.FAIL)]
)
def test_what_must_come_first_is_looked_at_when_the_event_begins(
    evidence: Make, link_pct: float, outcome: Outcome
) -> None:
    made = evidence(
        given={"link_of_pack_pct": [(0.0, 0.0), (2.5, link_pct)]},
        output={"contactor_positive": [(0.0, 0.0), (3.0, 1.0)]},
    )
    assert judge(order(), made).outcome is outcome


def test_an_event_that_does_not_begin_is_not_exercised(evidence: Make) -> None:
    made = evidence(given={"link_of_pack_pct": [(0.0, 0.0)]}, output={"contactor_positive": [(0.0, 1.0)]})
    assert judge(order(), made).outcome is Outcome.NOT_EXERCISED


def test_an_event_under_way_at_the_start_counts_only_when_it_begins_again(evidence: Make) -> None:
    made = evidence(
        given={"link_of_pack_pct": [(0.0, 0.0), (2.5, 97.0)]},
        output={"contactor_positive": [(0.0, 1.0), (1.0, 0.0), (3.0, 1.0)]},
    )
    found = judge(order(), made)
    assert (found.outcome, found.exercised.must) == (Outcome.PASS, 1)


@pytest.mark.parametrize(("closes_s", "outcome"), [(2.85, Outcome.PASS), (2.95, Outcome.FAIL)])
def test_what_must_come_first_must_have_held_long_enough(evidence: Make, closes_s: float, outcome: Outcome) -> None:
    requirement = order(requires=[{"quantity": "contactor_precharge", "side": "output", "equals": 1.0}], for_s=0.1)
    made = evidence(
        output={
            "contactor_precharge": [(0.0, 0.0), (closes_s, 1.0)],
            "contactor_positive": [(0.0, 0.0), (3.0, 1.0)],
        }
    )
    assert judge(requirement, made).outcome is outcome


def test_closing_on_a_latched_fault_fails(evidence: Make) -> None:
    clear = {"quantity": "fault.cell_overvoltage", "side": "reported", "equals": 0.0}
    output = {"contactor_positive": [(0.0, 0.0), (3.0, 1.0)]}
    healthy = evidence(output=output, reported={"fault.cell_overvoltage": [(0.0, 0.0)]})
    latched = evidence(output=output, reported={"fault.cell_overvoltage": [(0.0, 1.0)]})
    requirement = order(requires=[clear])
    assert (judge(requirement, healthy).outcome, judge(requirement, latched).outcome) == (Outcome.PASS, Outcome.FAIL)


def test_what_was_told_before_a_power_cycle_is_no_longer_known(evidence: Make) -> None:
    clear = {"quantity": "fault.cell_overvoltage", "side": "reported", "equals": 0.0}
    made = evidence(
        output={
            "powered": [(0.0, 1.0), (5.0, 0.0), (6.0, 1.0)],
            "contactor_positive": [(0.0, 0.0), (7.0, 1.0)],
        },
        reported={"fault.cell_overvoltage": Series(np.array([0.0, 4.9]), np.array([1.0, 1.0]))},
        power_ons=[6.0],
    )
    assert judge(order(requires=[clear]), made).outcome is Outcome.INCONCLUSIVE


# ---- invariant: contactor open in fault, within 0.3 s ----------------------------------------------------------------


def open_in_fault(**changes: Any) -> Invariant:
    data = {
        "id": "INV-1",
        "when": [{"quantity": "bms_state", "side": "reported", "state": "fault"}],
        "always": {"quantity": "contactor_positive", "side": "output", "equals": 0.0},
        "within_s": 0.3,
        **COMMON,
    }
    return Invariant.model_validate({**data, **changes})


@pytest.mark.parametrize(("opens_s", "outcome"), [(3.25, Outcome.PASS), (3.40, Outcome.FAIL)])
def test_an_invariant_holds_once_its_time_is_over(evidence: Make, opens_s: float, outcome: Outcome) -> None:
    made = evidence(
        output={"contactor_positive": [(0.0, 1.0), (opens_s, 0.0)]},
        reported={"bms_state": [(0.0, 4.0), (3.0, 6.0)]},
    )
    assert judge(open_in_fault(), made).outcome is outcome


def test_an_invariant_broken_later_fails(evidence: Make) -> None:
    made = evidence(
        output={"contactor_positive": [(0.0, 1.0), (3.1, 0.0), (6.0, 1.0), (6.1, 0.0)]},
        reported={"bms_state": [(0.0, 4.0), (3.0, 6.0)]},
    )
    found = judge(open_in_fault(), made)
    assert found.outcome is Outcome.FAIL
    assert found.at_s == pytest.approx(6.0)


def test_an_invariant_may_end_together_with_its_condition(evidence: Make) -> None:
    made = evidence(
        output={"contactor_positive": [(0.0, 1.0), (3.1, 0.0), (6.0, 1.0)]},
        reported={"bms_state": [(0.0, 4.0), (3.0, 6.0), (6.005, 3.0)]},
    )
    assert judge(open_in_fault(), made).outcome is Outcome.PASS


def test_an_invariant_whose_condition_never_held_is_not_exercised(evidence: Make) -> None:
    made = evidence(output={"contactor_positive": [(0.0, 1.0)]}, reported={"bms_state": [(0.0, 4.0)]})
    assert judge(open_in_fault(), made).outcome is Outcome.NOT_EXERCISED


def test_an_invariant_without_a_condition_always_holds(evidence: Make) -> None:
    requirement = open_in_fault(when=[], within_s=0.0, always={"quantity": "bus_load_pct", "below": 70.0})
    low = evidence(given={"bus_load_pct": [(0.0, 50.0), (4.0, 60.0), (5.0, 40.0)]})
    high = evidence(given={"bus_load_pct": [(0.0, 50.0), (4.0, 80.0), (5.0, 40.0)]})
    assert judge(requirement, low).outcome is Outcome.PASS
    assert judge(requirement, low).margin["pct"] == pytest.approx(10.0)
    assert judge(requirement, high).outcome is Outcome.FAIL
    assert 0.0 == judge(requirement, low).at_s  # a time that can be written down, though it held before the record


def test_a_distance_of_seconds_is_not_taken_for_the_time_left(evidence: Make) -> None:
    requirement = open_in_fault(always={"quantity": "vehicle_message_age_s", "below": 0.5})
    made = evidence(given={"vehicle_message_age_s": [(0.0, 0.1)]}, reported={"bms_state": [(0.0, 4.0), (3.0, 6.0)]})
    found = judge(requirement, made)
    assert {"s": pytest.approx(0.4), "ms": pytest.approx(310.0, abs=0.01)} == found.margin
