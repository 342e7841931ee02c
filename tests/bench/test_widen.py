# SPDX-License-Identifier: Apache-2.0
"""What instruments may err by widens requirements; what passes only with the widening is not a PASS."""

from __future__ import annotations

from typing import Any

import pytest

from harness.bench.widen import Erring, guarded, steadied, widened
from harness.requirements.model import Accuracy, Condition, CurvePoint, Invariant, Limit, Trip
from harness.requirements.model import Sequence as Order
from harness.verdict import Outcome, Verdict

ERRING = Erring(
    {"cell_voltage_v": 0.002, "cell_temp_degc": 0.6, "pack_voltage_v": 1.0, "link_voltage_v": 2.0, "supply_v": 0.05},
    n_cells=100,
    pack_v=300.0,
)
BASE: dict[str, Any] = {"id": "PRT-X-1", "title": "a protection", "source": ["test"]}
TRIP = Trip(
    **BASE, quantity="cell_voltage_max_v", above=3.75, accuracy=0.005, confirm_s=(0.8, 1.0), flag="fault.x",
    flag_within_s=0.2,
)  # fmt: skip


@pytest.mark.parametrize(
    ("quantity", "erring"),
    [
        ("cell_voltage_max_v", 0.002),
        ("cell_voltage_v[7]", 0.002),
        ("cell_voltage_spread_v", 0.004),  # a difference of two readings
        ("cell_temp_spread_k", 1.2),
        ("cell_temp_rise_k_per_s", 0.4),  # of two, 3 s apart
        ("cell_voltage_sum_v", 0.2),
        ("voltage_mismatch_v", 1.2),  # sum of 100 cells against the pack
        ("link_of_pack_pct", 1.0),  # 3 V of 300 V
        ("supply_v", 0.05),
        ("pack_current_a", 0.0),  # no instrument of this bench says so
        ("hvil_closed", 0.0),
    ],
)
def test_a_quantity_errs_by_what_the_readings_it_is_made_of_err(quantity: str, erring: float) -> None:
    assert ERRING.of(quantity) == pytest.approx(erring)


def test_the_band_around_a_given_limit_grows() -> None:
    (trip,) = widened([TRIP], ERRING)
    assert isinstance(trip, Trip)
    assert trip.accuracy == pytest.approx(0.007)
    assert trip.above == 3.75


def test_a_value_does_not_come_nearer_by_being_known_less_well() -> None:
    (trip,) = widened([TRIP], ERRING)
    assert isinstance(trip, Trip)
    assert trip.near == pytest.approx(0.05)  # 10 times the accuracy as written


def test_what_the_controller_itself_did_is_not_widened() -> None:
    output = TRIP.model_copy(update={"side": "output"})
    assert widened([output], ERRING) == (output,)


def test_conditions_limits_and_tolerances_grow_too() -> None:
    given, reported = (
        Condition(quantity="cell_temp_max_degc", side=side, above=20.0) for side in ("given", "reported")
    )
    assert given.key  # kept in the model, and not to be kept in its copy
    every = (
        TRIP.model_copy(update={"when": (given, reported)}),
        Limit(
            **BASE, reported="charge_limit_a", quantity="cell_temp_max_degc",
            curve=(CurvePoint(at=0.0, limit=1.0), CurvePoint(at=1.0, limit=2.0)),
        ),
        Accuracy(**BASE, reported="cell_voltage_max_v", quantity="cell_voltage_max_v", tolerance=0.01),
        Order(**BASE, event=given, requires=(given,)),
        Invariant(**BASE, always=given),
    )  # fmt: skip
    trip, limit, accuracy, order, invariant = widened(every, ERRING)
    assert isinstance(trip, Trip)
    assert [condition.accuracy for condition in trip.when] == [0.6, 0.0]
    assert trip.when[0].key != given.key
    assert isinstance(limit, Limit)
    assert limit.accuracy == 0.6
    assert isinstance(accuracy, Accuracy)
    assert accuracy.tolerance == pytest.approx(0.012)
    assert isinstance(order, Order)
    assert [order.event.accuracy, order.requires[0].accuracy] == [0.6, 0.6]
    assert isinstance(invariant, Invariant)
    assert invariant.always.accuracy == 0.6


def test_exact_instruments_change_nothing() -> None:
    (trip,) = widened([TRIP], Erring({}, n_cells=100, pack_v=300.0))
    assert trip == TRIP.model_copy(update={"near": 0.05})


@pytest.mark.parametrize("tight", list(Outcome))
@pytest.mark.parametrize("wide", list(Outcome))
def test_only_what_passes_both_ways_is_a_pass_and_a_fail_stays_one(wide: Outcome, tight: Outcome) -> None:
    (verdict,) = guarded([Verdict("X-1", wide, reason="wide")], [Verdict("X-1", tight, reason="tight")], 0.4)
    undecided = wide is Outcome.PASS and tight is not Outcome.PASS
    assert verdict.outcome is (Outcome.INCONCLUSIVE if undecided else wide)
    assert ("400 ms" in verdict.reason) == undecided


@pytest.mark.parametrize(
    "quantity", ["cell_frozen_a", "pack_voltage_frozen_a", "link_voltage_frozen_a", "current_frozen_v"]
)
def test_a_reading_that_stands_still_between_two_steps_of_an_instrument_is_no_failure(quantity: str) -> None:
    frozen = TRIP.model_copy(update={"quantity": quantity})
    verdicts = [Verdict("X-1", outcome, reason="told") for outcome in Outcome]
    changed = steadied([frozen] * len(verdicts), verdicts)
    assert {outcome: outcome for outcome in Outcome} | {Outcome.FAIL: Outcome.INCONCLUSIVE} == {
        before.outcome: after.outcome for before, after in zip(verdicts, changed, strict=True)
    }
    assert tuple(verdicts) == steadied([TRIP] * len(verdicts), verdicts)
