# SPDX-License-Identifier: Apache-2.0
"""Parameters of faults: legal ones become kernel rows, illegal ones are refused with what is allowed."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.faults.catalogue import CATALOGUE, kind_named
from harness.faults.check import (
    Bounds,
    ParameterProblem,
    PlacedEffect,
    ResolvedFault,
    check,
    resolve,
)
from harness.faults.frames import BusMessage, BusSignal
from harness.faults.model import NEEDS, FaultKind, Parameter
from harness.faults.rows import rows
from harness.kernel.bustypes import ANY, ANY_ID, NOT_THE_DUT
from harness.kernel.config import Node, Op, Point, Shape

BOUNDS = Bounds(
    n_cells=192,
    n_temps=48,
    features=frozenset(NEEDS),
    messages=(
        BusMessage("VCU_Command", "vehicle", 0x200, signals=(BusSignal("Link", 16, 16), BusSignal("Mode", 12, 2))),
        BusMessage(
            "CHG_Status", "charger", 0x18FF50E5, extended=True, signals=(BusSignal("Volts", 23, 16, big_endian=True),)
        ),
        BusMessage("VCU_Speed", "vehicle", 0x201, signals=(BusSignal("Speed", 0, 12),)),
    ),
    dut_messages=(BusMessage("BMS_State", "dut", 0x100, signals=(BusSignal("Voltage", 32, 24),)),),
)


def resolved(name: str, **parameters: object) -> ResolvedFault:
    outcome = resolve(kind_named(name), parameters, BOUNDS)
    assert isinstance(outcome, ResolvedFault), outcome
    return outcome


def problems(name: str, **parameters: object) -> list[ParameterProblem]:
    outcome = resolve(kind_named(name), parameters, BOUNDS)
    assert isinstance(outcome, list), outcome
    return outcome


def test_cells_count_from_one_outside_and_from_zero_inside() -> None:
    fault = resolved("cell-voltage", cell=17, voltage_v=3.80)
    assert fault.effects == (PlacedEffect("CELL_VOLTAGE", "SET", 16, 3.80),)


def test_all_means_every_cell() -> None:
    assert resolved("cell-voltage", cell="all", voltage_v=3.3).effects[0].index == -1


def test_a_contactor_is_named_not_numbered() -> None:
    assert [
        resolved("contactor-welded", contactor=name).effects[0].index for name in ("positive", "negative", "precharge")
    ] == [0, 1, 2]


def test_a_message_acts_on_its_own_index() -> None:
    assert [effect.index for effect in resolved("message-lost", message="CHG_Status").effects] == [1]


def test_a_node_means_all_its_messages() -> None:
    assert [effect.index for effect in resolved("message-lost", message="vehicle").effects] == [0, 2]


def test_frames_are_named_by_message_or_sender() -> None:
    def selected(frame: str) -> list[object]:
        extra = resolved("frame-reorder", frame=frame).effects[0].extra
        return [extra.get(name) for name in ("id", "id_flags", "node")]

    assert selected("BMS_State") == [0x100, 0, Node.DUT]
    assert selected("CHG_Status") == [0x18FF50E5, 1, Node.CHARGER]
    assert selected("vehicle") == [None, ANY_ID, Node.VEHICLE]
    assert selected("others") == [None, ANY_ID, NOT_THE_DUT]
    assert selected("all") == [None, ANY_ID, ANY]


def test_a_foreign_sender_imitates_every_message_of_a_node() -> None:
    effects = resolved("foreign-sender", imitated="vehicle", interval_s=0.1).effects
    assert [effect.extra["id"] for effect in effects] == [0x200, 0x201]


def test_signals_of_several_bytes_are_swapped_one_by_one() -> None:
    def places(signal: str) -> list[tuple[object, ...]]:
        effects = resolved("frame-byte-order", signal=signal).effects
        return [tuple(effect.extra[name] for name in ("start_bit", "length", "big_endian")) for effect in effects]

    assert places("VCU_Command.Link") == [(16, 16, 0)]
    assert places("CHG_Status") == [(23, 16, 1)]
    assert places("vehicle") == [(16, 16, 0), (0, 12, 0)]
    assert "VCU_Command.Link" in problems("frame-byte-order", signal="VCU_Command.Mode")[0].allowed


def test_numbers_of_frames_reach_the_kernel_row() -> None:
    fault = resolved("frame-drop", frame="BMS_State", seen_by="recorder", probability=0.25, every=3, frames=7)
    [row] = rows(fault, from_ns=0, until_ns=1, seed=1)
    assert (row.id, row.node, row.mode, row.probability, row.every, row.count) == (0x100, Node.DUT, 1, 0.25, 3, 7)


def test_a_pole_picks_the_place_of_action() -> None:
    def places(pole: str) -> list[str]:
        return [effect.point for effect in resolved("insulation-drop", pole=pole, resistance_ohm=1e4).effects]

    assert places("positive") == ["INSULATION_POSITIVE_OHM"]
    assert places("negative") == ["INSULATION_NEGATIVE_OHM"]
    assert places("both") == ["INSULATION_POSITIVE_OHM", "INSULATION_NEGATIVE_OHM"]


def test_an_open_temperature_sensor_reads_cold_and_is_flagged() -> None:
    effects = resolved("temp-sensor-open", sensor=1).effects
    assert effects == (
        PlacedEffect("SENSE_TEMP_DEGC", "SET", 0, -50.0),
        PlacedEffect("SENSE_TEMP_DEGC", "INVALID", 0, 0.0),
    )


def test_noise_takes_its_deviation_from_the_kind() -> None:
    fault = resolved("cell-sensor-noise", cell=1, sigma_v=0.02)
    assert (fault.shape, fault.sigma) == ("noise", 0.02)


def test_time_parameters_are_kept() -> None:
    fault = resolved("cell-voltage", cell=1, voltage_v=3.8, for_s=5, shape="intermittent", period_s=0.4, duty=0.25)
    assert (fault.for_s, fault.shape, fault.period_s, fault.duty) == (5.0, "intermittent", 0.4, 0.25)


def test_without_a_duration_it_lasts_to_the_end() -> None:
    assert resolved("hvil-open").for_s is None


@pytest.mark.parametrize("cell", [0, 193, -1, 1.5, "17", True, None, [1]])
def test_a_cell_the_rig_does_not_have_is_refused(cell: object) -> None:
    assert [problem.parameter for problem in problems("cell-voltage", cell=cell, voltage_v=3.8)] == ["cell"]


@pytest.mark.parametrize("voltage", [-0.001, 6.001, math.nan, math.inf, -math.inf])
def test_out_of_range_is_refused_never_clipped(voltage: float) -> None:
    assert [problem.parameter for problem in problems("cell-voltage", cell=1, voltage_v=voltage)] == ["voltage_v"]


@pytest.mark.parametrize("voltage", [0, 0.0, 6, 6.0])
def test_bounds_are_inclusive(voltage: float) -> None:
    assert resolved("cell-voltage", cell=1, voltage_v=voltage).effects[0].value == float(voltage)


def test_the_last_wire_lies_between_the_last_two_cells() -> None:
    assert resolved("sense-wire-open", wire=191).effects[0].index == 190
    assert check(kind_named("sense-wire-open"), {"wire": 192}, BOUNDS)


def test_everything_wrong_is_said_at_once() -> None:
    found = problems("cell-voltage", cell=500, voltag_v=3.8, ramp_s=2.0)
    assert {problem.parameter for problem in found} == {"cell", "voltage_v", "voltag_v", "ramp_s"}


def test_a_unit_behind_a_number_is_explained() -> None:
    (problem,) = problems("cell-voltage", cell=1, voltage_v="3.8V")
    assert problem.allowed == "a number in V from 0 to 6; write 3.8 without a unit"


def test_a_decimal_comma_is_explained() -> None:
    (problem,) = problems("cell-voltage", cell=1, voltage_v="3,8")
    assert "write 3.8" in problem.allowed


@pytest.mark.parametrize(
    ("name", "parameters", "near"),
    [
        ("cell-voltage", {"cell": 1, "voltag_v": 3.8}, "voltage_v"),
        ("message-lost", {"message": "VCU_Comand"}, "VCU_Command"),
        ("contactor-welded", {"contactor": "positiv"}, "positive"),
    ],
)
def test_a_slip_of_the_pen_gets_the_nearest_name(name: str, parameters: dict[str, object], near: str) -> None:
    assert any(near in problem.allowed for problem in problems(name, **parameters))


def test_a_parameter_that_would_change_nothing_is_refused() -> None:
    (problem,) = problems("cell-voltage", cell=1, voltage_v=3.8, duty=0.5)
    assert problem.allowed == "only with shape = 'intermittent'"


def test_on_or_off_cannot_ramp() -> None:
    assert {problem.parameter for problem in problems("hvil-open", shape="ramp", ramp_s=1.0)} >= {"shape", "ramp_s"}


def test_kernel_rows_carry_times_shape_and_seeds_of_their_own() -> None:
    fault = resolved("message-late", message="vehicle", delay_s=0.2, shape="intermittent", period_s=0.4, duty=0.25)
    first, second = rows(fault, from_ns=1_000, until_ns=2_000, seed=7)
    assert (first.point, first.op, first.shape) == (Point.MESSAGE_DELAY_S, Op.SET, Shape.INTERMITTENT)
    assert (first.index, second.index) == (0, 2)
    assert (first.value, first.period_s, first.duty, first.from_ns, first.until_ns) == (0.2, 0.4, 0.25, 1_000, 2_000)
    assert first.seed == 7
    assert second.seed not in (7, 8)


def legal_value(parameter: Parameter) -> st.SearchStrategy[object]:
    if parameter.role == "message":
        return st.sampled_from(BOUNDS.message_names(parameter.name))
    if parameter.role == "option":
        return st.sampled_from(parameter.choices)
    if parameter.role == "index":
        return st.integers(1, BOUNDS.highest(parameter.name)) | st.sampled_from(parameter.choices or (1,))
    if parameter.integer:
        return st.integers(int(parameter.minimum or 0), int(parameter.maximum or 0))
    return st.floats(parameter.minimum, parameter.maximum)


def legal(kind: FaultKind) -> st.SearchStrategy[dict[str, object]]:
    return st.fixed_dictionaries({parameter.name: legal_value(parameter) for parameter in kind.parameters})


@given(st.sampled_from(CATALOGUE).flatmap(lambda kind: st.tuples(st.just(kind), legal(kind))))
def test_legal_parameters_of_every_kind_give_finite_rows(drawn: tuple[FaultKind, dict[str, object]]) -> None:
    kind, parameters = drawn
    outcome = resolve(kind, parameters, BOUNDS)
    assert isinstance(outcome, ResolvedFault)
    assert outcome.effects
    assert all(math.isfinite(effect.value) and effect.index >= -1 for effect in outcome.effects)
    assert len(rows(outcome, 0, 1, seed=2**63 - 1)) == len(outcome.effects)


@given(
    st.sampled_from(CATALOGUE),
    st.dictionaries(
        st.sampled_from(["cell", "voltage_v", "shape", "for_s", "sensor", "message", "contactor", "x"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers(), max_size=2),
    ),
)
def test_any_parameters_are_resolved_or_refused(kind: FaultKind, parameters: dict[str, object]) -> None:
    outcome = resolve(kind, parameters, BOUNDS)
    assert isinstance(outcome, ResolvedFault) or (outcome and all(str(problem) for problem in outcome))


def test_a_fault_of_the_line_is_refused_where_there_is_no_line() -> None:
    (problem,) = check(kind_named("pole-drop"), {}, Bounds(n_cells=12, n_temps=3))
    allowed = "only on rigs with an overhead line: line_v and line_kw in the duty that [load] names"
    assert f"fault: found 'pole-drop'; allowed: {allowed}" == problem
