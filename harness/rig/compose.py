# SPDX-License-Identifier: Apache-2.0
"""Puts the parts of a rig together into the configuration of the simulation kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.canbus.product import Location, RestbusMessage
from harness.faults.check import CLEAR_CODES, DIAGNOSTICS, Bounds
from harness.faults.scale import REFERENCE, Scale
from harness.kernel.bustypes import TesterConfig
from harness.kernel.config import (
    BusConfig,
    EnvironmentConfig,
    Field,
    FrameFlag,
    KernelConfig,
    Message,
    Node,
    PackConfig,
    Protocol,
    Value,
)
from harness.requirements.model import Trip
from harness.rig.bus import dut_messages, restbus_messages
from harness.rig.protection import protection

if TYPE_CHECKING:
    from harness.rig.file import Rig

MAX_EVENTS = 256
MAX_FAULTS = 128
_ENDLESS = 1.05  # the lowest over-current limit of a pack over what it may carry without end
_SPREAD_LIMIT = 3.0  # standard deviations; beyond, a cell would not leave the factory
_PROTOCOLS = {"cyclic": Protocol.CYCLIC, "gbt-27930": Protocol.GBT_27930}
_NODES = {"vehicle": Node.VEHICLE, "charger": Node.CHARGER, "tester": Node.TESTER}


def bounds_of(rig: Rig) -> Bounds:
    """What of the rig bounds the parameters of faults."""
    file = rig.file
    return Bounds(
        n_cells=file.cells.series,
        n_temps=file.pack.temperature_sensors,
        messages=restbus_messages(rig.profile),
        dut_messages=dut_messages(rig.profile),
        module_cells=file.cells.module,
        scale=scale_of(rig),
        features=rig.features
        | ({DIAGNOSTICS} if rig.profile.diagnostics is not None else frozenset())
        | ({CLEAR_CODES} & rig.profile.commands.keys()),
        ages={message.age: message.name for message in rig.profile.restbus if message.age},
        strings=file.strings.count if file.strings is not None else 0,
    )


def scale_of(rig: Rig) -> Scale:
    """What the pack is made for: the window between the trips of its requirements, their lowest over-current limits,
    and nominal voltage, capacity and heat capacity from the cell. Where no requirement says it, as the bus pack.
    """
    opening = [item for item in rig.requirements if isinstance(item, Trip) and item.safe_state == "contactors_open"]
    high = [trip.above for trip in opening if trip.quantity == "cell_voltage_max_v" and trip.above is not None]
    low = [trip.below for trip in opening if trip.quantity == "cell_voltage_min_v" and trip.below is not None]
    out = [trip.above for trip in opening if trip.quantity == "pack_current_a" and trip.above is not None]
    into = [-trip.below for trip in opening if trip.quantity == "pack_current_a" and trip.below is not None]
    cells = rig.file.cells
    middle_v = float(np.interp(0.5, rig.cell.open_circuit.soc, rig.cell.open_circuit.voltage_v))
    return Scale(
        cell_low_v=max(low, default=REFERENCE.cell_low_v),
        cell_high_v=min(high, default=REFERENCE.cell_high_v),
        pack_v=round(middle_v * cells.series, 1),
        discharge_a=min(out, default=_ENDLESS * REFERENCE.discharge_a) / _ENDLESS,
        charge_a=min(into, default=_ENDLESS * REFERENCE.charge_a) / _ENDLESS,
        capacity_ah=rig.cell.capacity_ah * cells.parallel,
        heat_j_per_k=round(rig.cell.heat_capacity_j_per_k * cells.parallel, 1),
        strings=rig.file.strings.count if rig.file.strings is not None else 1,
    )


def sensor_cells(n_cells: int, n_temps: int) -> NDArray[np.int32]:
    """The cell, from 0, each temperature sensor sits on: evenly over the string, the first on the first cell."""
    return (np.arange(n_temps) * n_cells // n_temps).astype(np.int32)


def kernel_config(rig: Rig, *, max_events: int = MAX_EVENTS, max_faults: int = MAX_FAULTS) -> KernelConfig:
    """Everything the kernel needs besides the firmware. The spread of the cells comes from the rig's seed."""
    file = rig.file
    sent, received = _fields(rig)
    return KernelConfig(
        seed=file.simulation.seed + max(0, rig.string - 1),
        tick_us=file.simulation.tick_ms * 1000,
        start_tick_ms=file.simulation.start_tick_ms,
        variant=file.firmware.variant,
        parameters=(*file.firmware.parameters.items(), *_number(rig)),
        cell=rig.cell.model(file.cells.parallel),
        pack=_pack(rig),
        environment=_environment(rig),
        bus=BusConfig(n_buses=file.bus.buses, bitrate=file.bus.bitrate, data_bitrate=file.bus.data_bitrate),
        messages=tuple(_message(message, file.charger.protocol) for message in rig.profile.restbus),
        sent_fields=sent,
        received_fields=received,
        tester=_tester(rig),
        max_events=max_events,
        max_faults=max_faults,
    )


def _number(rig: Rig) -> tuple[tuple[str, int], ...]:
    """How the firmware is told which string it has."""
    strings = rig.file.strings
    return () if strings is None else ((strings.number_parameter, max(1, rig.string)),)


def _between_strings(rig: Rig) -> tuple[float, float]:
    """How far this string is charged beyond the others, and the factor on its resistance."""
    strings = rig.file.strings
    if strings is None:
        return 0.0, 1.0
    draws = np.random.default_rng((rig.file.simulation.seed, rig.string)).standard_normal(2)
    soc, resistance = draws.clip(-_SPREAD_LIMIT, _SPREAD_LIMIT)
    return strings.soc_spread_pct / 100.0 * soc, 1.0 + strings.resistance_spread_pct / 100.0 * resistance


def _pack(rig: Rig) -> PackConfig:
    cells, pack = rig.file.cells, rig.file.pack
    seed = rig.file.simulation.seed
    generator = np.random.default_rng(seed if rig.string <= 1 else (seed, rig.string))
    further_soc, r_factor = _between_strings(rig)

    def spread(sigma: float) -> NDArray[np.float64]:
        draws = generator.standard_normal(cells.series).clip(-_SPREAD_LIMIT, _SPREAD_LIMIT)
        return np.asarray(sigma * draws, np.float64)

    capacity_ah = rig.cell.capacity_ah * cells.parallel
    return PackConfig(
        temp_cell=sensor_cells(cells.series, pack.temperature_sensors),
        capacity_ah=capacity_ah * (1.0 + spread(cells.spread.capacity_pct / 100.0)),
        r_scale=r_factor * (1.0 + spread(cells.spread.resistance_pct / 100.0)),
        soc=(cells.soc_pct / 100.0 + further_soc + spread(cells.spread.soc_pct / 100.0)).clip(0.0, 1.0),
        temp_degc=cells.temp_degc + spread(cells.spread.temp_k),
        heat_capacity_j_per_k=rig.cell.heat_capacity_j_per_k * cells.parallel,
        cooling_w_per_k=pack.cooling_w_per_k,
        ambient_w_per_k=pack.ambient_w_per_k,
        neighbour_w_per_k=pack.neighbour_w_per_k,
        coolant_degc=pack.coolant_degc,
        ambient_degc=pack.ambient_degc,
        joint_ohm=pack.joint_ohm,
        balancing_ohm=pack.balancing_ohm,
        self_discharge_ohm=pack.self_discharge_ohm,
        link_capacitance_f=pack.link_capacitance_f,
        link_bleed_ohm=pack.link_bleed_ohm,
        precharge_ohm=pack.precharge_ohm,
        contactor_close_s=pack.contactor_close_s,
        contactor_open_s=pack.contactor_open_s,
        fuse_rated_a=pack.fuse_rated_a,
        fuse_i2t_a2s=pack.fuse_i2t_a2s,
        insulation_positive_ohm=pack.insulation_positive_ohm,
        insulation_negative_ohm=pack.insulation_negative_ohm,
        supply_v=pack.supply_v,
        supply_min_v=pack.supply_min_v,
    )


def _environment(rig: Rig) -> EnvironmentConfig:
    link, charger, profile = rig.file.link, rig.file.charger, rig.load_profile
    return EnvironmentConfig(
        load_s=profile.load_s,
        load_w=profile.load_w,
        line_v=profile.line_v,
        line_w=profile.line_w,
        line_min_v=0.0 if rig.file.load is None else rig.file.load.line_min_v,
        line_max_v=0.0 if rig.file.load is None else rig.file.load.line_max_v,
        float_v=0.0 if rig.file.load is None else rig.file.load.float_v,
        load_min_link_v=link.min_link_v,
        auxiliary_w=link.auxiliary_w,
        limit_lag_s=link.limit_lag_s,
        limit_timeout_s=link.limit_timeout_s,
        charger_max_a=charger.max_a,
        charger_max_v=charger.max_v,
        charger_slope_a_per_s=charger.slope_a_per_s,
        charger_protocol=_PROTOCOLS[charger.protocol],
        charger_min_v=charger.min_v,
    )


def _tester(rig: Rig) -> TesterConfig:
    diagnostics = rig.profile.diagnostics
    if diagnostics is None:
        return TesterConfig()
    return TesterConfig(diagnostics.request_id, diagnostics.response_id, enabled=True, extended=diagnostics.extended)


def _message(message: RestbusMessage, protocol: str) -> Message:
    return Message(
        id=message.id,
        flags=FrameFlag.EXTENDED if message.extended else FrameFlag(0),
        bus=0,
        node=_NODES[message.node],
        length=message.length,
        period_us=message.period_ms * 1000,
        offset_us=message.offset_ms * 1000,
        payload=message.payload,
        counter_start_bit=message.counter_start_bit,
        counter_length=message.counter_length,
        counter_max=message.counter_max,
        crc_byte=message.crc_byte,
        enabled=message.node != "charger" or protocol == "cyclic",
        requires_plug=message.requires_plug,
        **protection(message.checksum),
    )


def _fields(rig: Rig) -> tuple[tuple[Field, ...], tuple[Field, ...]]:
    sent = tuple(
        _field(place, Value[name.upper()], index)
        for index, message in enumerate(rig.profile.restbus)
        for name, place in message.dynamic.items()
    )
    received = tuple(_field(place, Value[name.upper()], 0) for name, place in rig.profile.environment.items())
    return sent, received


def _field(place: Location, value: Value, message: int) -> Field:
    low, high = place.match or (0, 0)
    return Field(
        value=value,
        message=message,
        id=place.id,
        extended=place.extended,
        bus=0,
        big_endian=place.big_endian,
        is_signed=place.signed,
        start_bit=place.start_bit,
        length=place.length,
        scale=place.scale,
        offset=place.offset,
        match_min=low,
        match_max=high,
    )
