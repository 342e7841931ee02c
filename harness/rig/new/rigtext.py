# SPDX-License-Identifier: Apache-2.0
"""The texts of a new rig's rig file and duty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.rig.new.plan import BITRATE, DATA_BITRATE, Plan
from harness.rig.new.texts import quoted

LEAST_CELLS, MOST_CELLS, DEFAULT_CELLS = 12, 400, 96
_DUTY_C = 0.2  # of the capacity in an hour: within the limits the skeleton sends
_LEAST_SHARE, _MOST_SHARE = 0.8, 1.05  # of an empty and of a full pack: the inverter's and the charger's end
_RIG = """\
# A rig to grow. In this folder: profile.toml says what the signals mean, requirements.toml what must hold,
# firmware/fil_port.c is the controller, duty.toml what is asked of the pack.
#
#   bms-harness run {folder}/rig.toml         all of it
#   bms-harness shell {folder}/rig.toml       by hand
#   bms-harness monitor --profile {folder}/profile.toml --replay LOG --fast
#
# Every number is an assumption, taken from a bus pack of 180 Ah: put in those of your pack.
title = {title}

[firmware]
sources = ["firmware/*.c"]
include = ["firmware"]
boot_s = 0.6

[cells]
file = "../fixtures/cells/{cell_file}" # shipped; also: {others}
series = {series} # {why}
parallel = {parallel} # {pack_ah:g} Ah
soc_pct = 55.0

[cells.spread]
capacity_pct = 1.0
resistance_pct = 3.0
soc_pct = 0.5
temp_k = 0.5

[pack]
temperature_sensors = {sensors}
cooling_w_per_k = 2.0
ambient_w_per_k = 0.1
neighbour_w_per_k = 1.0
joint_ohm = 20e-6
balancing_ohm = 33.0
self_discharge_ohm = 16_700.0
link_capacitance_f = 0.002
link_bleed_ohm = 20_000.0
precharge_ohm = 50.0
contactor_close_s = 0.03
contactor_open_s = 0.03
fuse_rated_a = 630.0
fuse_i2t_a2s = 500_000.0
insulation_positive_ohm = 5e6
insulation_negative_ohm = 5e6
supply_v = 24.0
supply_min_v = 9.0

[load]
duty = "duty.toml"
auxiliary_w = {nominal_v}.0
min_link_v = {least_v}.0
limit_lag_s = 0.1

[charger]
max_a = 50.0
max_v = {most_v}.0
slope_a_per_s = 100.0

[bus]
bitrate = {bitrate:_} # assumption: no database says it
{data_rate}
[can]
profile = "profile.toml"

[requirements]
files = ["requirements.toml"]

[simulation]
tick_ms = {tick_ms}
seed = 1
"""
_TICKS_MS = (10, 5, 2, 1)


@dataclass(frozen=True, slots=True)
class Cell:
    """A shipped cell: cells in parallel for about 180 Ah, capacity of one in Ah, lowest, nominal, highest V."""

    file: str
    parallel: int
    capacity_ah: float
    volts: tuple[float, float, float]

    @property
    def pack_ah(self) -> float:
        """Capacity of the pack."""
        return self.parallel * self.capacity_ah


CELLS: Mapping[str, Cell] = {
    "lfp": Cell("lfp-us26650ftc1.toml", 60, 3.0, (2.5, 3.2, 3.65)),
    "nmc": Cell("nmc-samsung94.toml", 2, 94.0, (2.8, 3.68, 4.2)),
    "lto": Cell("lto-20ah.toml", 9, 20.0, (1.5, 2.3, 2.8)),
}


def cells_of(plan: Plan) -> tuple[int, str]:
    """How many cells the rig has in series, and why."""
    counts = [array.count for array in plan.guesses.arrays if array.quantity == "cell_voltage_v"]
    counts += [len([item for item in plan.guesses.signals if item.quantity.startswith("cell_voltage_v[")])]
    found = max(counts)
    if not found:
        return DEFAULT_CELLS, "assumption: the database names no single cells"
    if LEAST_CELLS <= found <= MOST_CELLS:
        return found, f"{found} cell voltages in the database: medium"
    bound = min(max(found, LEAST_CELLS), MOST_CELLS)
    return bound, f"{found} cell voltages in the database, a rig has {LEAST_CELLS} to {MOST_CELLS}"


def tick_ms(plan: Plan) -> int:
    """The tick: 10 ms, or less where a message comes more often or between."""
    periods = [item.period_ms for item in plan.sent]
    return next(tick for tick in _TICKS_MS if all(period % tick == 0 for period in periods))


def rig_text(plan: Plan, title: str, cell: Cell, *, folder: str) -> str:
    """The rig file."""
    series, why = cells_of(plan)
    low_v, nominal_v, high_v = cell.volts
    return _RIG.format(
        title=quoted(title),
        folder=folder,
        cell_file=cell.file,
        others=", ".join(other.file for other in CELLS.values() if other is not cell),
        series=series,
        why=why,
        parallel=cell.parallel,
        pack_ah=cell.pack_ah,
        sensors=max(1, series // 4),
        nominal_v=round(nominal_v * series),
        least_v=round(_LEAST_SHARE * low_v * series),
        most_v=round(_MOST_SHARE * high_v * series),
        bitrate=BITRATE,
        data_rate=f"data_bitrate = {DATA_BITRATE:_}\n" if any(item.fd for item in plan.sent) else "",
        tick_ms=tick_ms(plan),
    )


def duty_text(plan: Plan, cell: Cell) -> str:
    """Some power out, some in, some rest."""
    power_kw = round(_DUTY_C * cell.pack_ah * cell.volts[1] * cells_of(plan)[0] / 1000.0, 2)
    return f"""\
title = "Power out, power back, rest"
source = ["assumption: {_DUTY_C:g} of the capacity in an hour"]

[[segment]]
title = "rest"
duration_s = 5.0
power_kw = 0.0

[[segment]]
title = "out"
duration_s = 20.0
power_kw = {power_kw}

[[segment]]
title = "back"
duration_s = 5.0
power_kw = {-power_kw / 2:g}
"""
