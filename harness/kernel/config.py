# SPDX-License-Identifier: Apache-2.0
"""What the kernel is told: the structs and enumerations of kernel.h as frozen data, field for field.

Units are in the names. Indices count from 0 in here. Lengths (`n_*`) follow from the arrays.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from typing import TYPE_CHECKING

from harness.kernel.bustypes import ANY, IdMode, TesterConfig
from harness.kernel.points import Point as Point  # noqa: PLC0414 - part of what the kernel is told
from harness.kernel.points import Protocol as Protocol  # noqa: PLC0414 - the same

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]
    IndexArray = NDArray[np.int32]

FOREVER_S = 1_000_000_000
FOREVER_NS = FOREVER_S * 1_000_000_000


class Node(IntEnum):
    """Who sends on the bus."""

    DUT = 0
    VEHICLE = 1
    CHARGER = 2
    TESTER = 3
    FOREIGN = 4  # does not belong there: sends because of a fault or by hand
    PEER = 5  # the other strings of a group


class Value(IntEnum):
    """Environment values that cyclic messages carry and that frames of the DUT command."""

    NONE = 0
    CHARGER_VOLTAGE_V = 1
    CHARGER_CURRENT_A = 2
    LINK_VOLTAGE_V = 3
    VEHICLE_POWER_W = 4
    CHARGE_LIMIT_A = 5
    DISCHARGE_LIMIT_A = 6
    CHARGE_VOLTAGE_LIMIT_V = 7
    READY_TO_DRIVE = 8
    READY_TO_CHARGE = 9
    LINE_VOLTAGE_V = 10
    POLE_CONTACT = 11


class FrameFlag(IntFlag):
    """FIL_FRAME_* of fil.h; traces have `bustypes.Mark` besides."""

    NONE = 0
    EXTENDED = 1
    FD = 2
    BRS = 4
    REMOTE = 8
    ERROR = 16


class Op(IntEnum):
    """How a fault acts on the value it finds (BH_OP_*)."""

    SET = 0
    ADD = 1
    SCALE = 2
    HOLD = 3
    NEGATE = 4
    INVALID = 5
    STALE = 6
    RANDOM = 7
    HOLD_FIRST = 8
    DRIFT = 9
    SPIKE = 10
    DELAY = 11
    QUANTISE = 12


class Shape(IntEnum):
    """How a fault acts over time (BH_SHAPE_*)."""

    STEP = 0
    RAMP = 1
    INTERMITTENT = 2
    NOISE = 3


class EventKind(IntEnum):
    """What a scenario does besides faults (BH_EVENT_*)."""

    PAYLOAD = 0
    MESSAGE = 1
    IGNITION = 2
    PLUG = 3
    POWER = 4
    LOAD_SCALE = 5
    LOAD_TIME_S = 6
    SOC = 7
    NVM = 8
    TESTER = 9
    TEMP_DEGC = 10


@dataclass(frozen=True, slots=True, eq=False)
class CellModel:
    """One cell type. Tables over the state of charge (0..1, rising) and the temperature (degC, rising).

    `r0_*` are [n_temp, n_soc]. Resistances and capacities are those of one pack cell (all its parallel cells).
    """

    soc: FloatArray
    ocv_v: FloatArray
    hysteresis_v: FloatArray
    entropy_v_per_k: FloatArray
    temp_degc: FloatArray
    r0_discharge_ohm: FloatArray
    r0_charge_ohm: FloatArray
    hysteresis_soc: float
    r1_ratio: float
    tau1_s: float
    r2_ratio: float
    tau2_s: float
    reference_temp_degc: float


@dataclass(frozen=True, slots=True, eq=False)
class PackConfig:
    """Cells in series and what is around them. `capacity_ah`, `soc`, `r_scale`, `temp_degc` have one entry a cell."""

    temp_cell: IndexArray
    capacity_ah: FloatArray
    soc: FloatArray
    r_scale: FloatArray
    temp_degc: FloatArray
    heat_capacity_j_per_k: float
    cooling_w_per_k: float
    ambient_w_per_k: float
    neighbour_w_per_k: float
    coolant_degc: float
    ambient_degc: float
    joint_ohm: float
    balancing_ohm: float
    self_discharge_ohm: float
    link_capacitance_f: float
    link_bleed_ohm: float
    precharge_ohm: float
    contactor_close_s: float
    contactor_open_s: float
    fuse_rated_a: float
    fuse_i2t_a2s: float
    insulation_positive_ohm: float
    insulation_negative_ohm: float
    supply_v: float
    supply_min_v: float

    @property
    def n_cells(self) -> int:
        """Cells in series."""
        return len(self.capacity_ah)

    @property
    def n_temps(self) -> int:
        """Temperature sensors."""
        return len(self.temp_cell)


@dataclass(frozen=True, slots=True, eq=False)
class EnvironmentConfig:
    """Vehicle and depot charger. The load profile (`load_s` rising, `load_w` of the link) repeats.

    With an overhead line `line_v` and `line_w` have a value at each time of the profile: its voltage (0: off the wire)
    and the power taken from it while the voltage is in the window; without one they are None.
    """

    load_s: FloatArray
    load_w: FloatArray
    load_min_link_v: float
    auxiliary_w: float
    limit_lag_s: float
    limit_timeout_s: float
    charger_max_a: float
    charger_max_v: float
    charger_slope_a_per_s: float
    line_v: FloatArray | None = None
    line_w: FloatArray | None = None
    line_min_v: float = 0.0
    line_max_v: float = 0.0
    float_v: float = 0.0
    charger_protocol: Protocol = Protocol.CYCLIC
    charger_min_v: float = 0.0


@dataclass(frozen=True, slots=True)
class BusConfig:
    """The CAN buses, all alike. `data_bitrate` 0 = classic CAN only."""

    n_buses: int = 1
    bitrate: int = 500_000
    data_bitrate: int = 0


@dataclass(frozen=True, slots=True)
class Field:
    """A number in a frame, DBC bit numbering. Sent: `message` is the index; received: `id`, `extended`, `bus` count.

    Received enumerations: 1 when `match_min` <= raw <= `match_max`, otherwise 0; both 0 = a plain number.
    """

    value: Value
    start_bit: int
    length: int
    message: int = 0
    id: int = 0
    extended: bool = False
    bus: int = 0
    big_endian: bool = False
    is_signed: bool = False
    scale: float = 1.0
    offset: float = 0.0
    match_min: int = 0
    match_max: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    """A cyclic message of the rest bus; `period_us` 0: sent once whenever its payload is set.

    The counter is a little-endian field. The CRC-8 covers `crc_data_id` and then the payload without the CRC byte;
    `e2e_width` 8 or 16 replaces it by the CRC that the `e2e_*` say.
    """

    id: int
    length: int
    period_us: int
    payload: bytes = b""
    flags: FrameFlag = FrameFlag.NONE
    bus: int = 0
    node: Node = Node.VEHICLE
    offset_us: int = 0
    counter_start_bit: int = -1
    counter_length: int = 0
    counter_max: int = 0
    crc_byte: int = -1
    crc_polynomial: int = 0
    crc_initial: int = 0
    crc_final_xor: int = 0
    crc_data_id: int = 0
    enabled: bool = True
    requires_plug: bool = False
    e2e_width: int = 0
    e2e_reflected: bool = False
    e2e_big_endian: bool = False
    e2e_id_mode: IdMode = IdMode.LOW
    e2e_polynomial: int = 0
    e2e_initial: int = 0
    e2e_final_xor: int = 0
    e2e_data_id: int = 0
    e2e_data_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Fault:
    """One row of the fault table. `index` -1 = all; `span` elements from it on; `until_ns` is exclusive.

    From `id` on: which messages, frames and nodes it touches, and how; see fault_types.h.
    """

    point: Point
    op: Op = Op.SET
    index: int = -1
    value: float = 0.0
    shape: Shape = Shape.STEP
    sigma: float = 0.0
    ramp_s: float = 0.0
    period_s: float = 0.0
    duty: float = 0.0
    seed: int = 0
    from_ns: int = 0
    until_ns: int = FOREVER_NS
    span: int = 1
    id: int = 0
    id_flags: int = 0
    node: int = ANY
    bus: int = 0
    mode: int = 0
    count: int = 0
    every: int = 1
    probability: float = 1.0
    start_bit: int = 0
    length: int = 0
    big_endian: bool = False
    mask: int = 0


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens once. PAYLOAD uses `payload`, all others `value` (NVM: XOR mask of byte `index`).

    TESTER sends `index` bytes of `payload`: a request, or with `value` 1 a bare frame.
    """

    t_ns: int
    kind: EventKind
    index: int = 0
    value: float = 0.0
    payload: bytes = b""


@dataclass(frozen=True, slots=True, eq=False)
class KernelConfig:
    """Everything a simulation is built from, except the firmware."""

    cell: CellModel
    pack: PackConfig
    environment: EnvironmentConfig
    bus: BusConfig = field(default_factory=BusConfig)
    seed: int = 1
    tick_us: int = 10_000
    start_tick_ms: int = 0
    variant: int = 0
    parameters: tuple[tuple[str, int], ...] = ()
    messages: tuple[Message, ...] = ()
    sent_fields: tuple[Field, ...] = ()
    received_fields: tuple[Field, ...] = ()
    tester: TesterConfig = field(default_factory=TesterConfig)
    max_events: int = 256
    max_faults: int = 32
