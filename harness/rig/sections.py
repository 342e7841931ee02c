# SPDX-License-Identifier: Apache-2.0
"""What a rig file may say, section by section."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import pydantic
from pydantic import Field

from harness.tomlfile import FileModel
from harness.units import Application

Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False, strict=False)]
NonNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False, strict=False)]
Percent = Annotated[float, Field(ge=0.0, le=100.0, strict=False)]
Spread = Annotated[float, Field(ge=0.0, le=30.0, strict=False)]
Share = Annotated[float, Field(gt=0.0, le=1.0, strict=False)]
Celsius = Annotated[float, Field(ge=-50.0, le=100.0, strict=False)]
Int32 = Annotated[int, Field(ge=-(2**31), lt=2**31)]
Reference = Annotated[str, Field(min_length=1)]
References = Annotated[tuple[Reference, ...], Field(min_length=1, strict=False)]


class FirmwareSection(FileModel):
    """The controller's C sources and the parameter block it is given at power-on."""

    sources: References
    include: Annotated[tuple[Reference, ...], Field(strict=False)] = ()
    defines: Annotated[tuple[str, ...], Field(strict=False)] = ()
    variant: Annotated[int, Field(ge=0, lt=2**16)] = 0
    defects: Reference | None = None
    mutants: Reference | None = None
    boot_s: Annotated[float, Field(gt=0.0, le=600.0, strict=False)] = 0.6
    parameters: Annotated[dict[str, Int32], Field(default_factory=dict)]


class SpreadSection(FileModel):
    """Standard deviations between the cells; drawn from the seed, cut at three of them."""

    capacity_pct: Spread = 0.0
    resistance_pct: Spread = 0.0
    soc_pct: Spread = 0.0
    temp_k: Annotated[float, Field(ge=0.0, le=20.0, strict=False)] = 0.0


class CellsSection(FileModel):
    """The cells: `series` groups in series of `parallel` cells each. One group counts as one cell everywhere else.

    `module` groups share one measuring module; cells beside its border are tested too.
    """

    file: Reference
    series: Annotated[int, Field(ge=12, le=400)]
    parallel: Annotated[int, Field(ge=1, le=1000)] = 1
    module: Annotated[int, Field(ge=1, le=400)] = 12
    soc_pct: Percent = 50.0
    temp_degc: Celsius = 25.0
    spread: SpreadSection = SpreadSection()


class PackSection(FileModel):
    """The pack around the cells: sensors, cooling, joints, contactors, link, insulation, supply."""

    temperature_sensors: Annotated[int, Field(ge=1, le=400)]
    cooling_w_per_k: NonNegative
    ambient_w_per_k: NonNegative
    neighbour_w_per_k: NonNegative
    coolant_degc: Celsius = 25.0
    ambient_degc: Celsius = 25.0
    joint_ohm: Annotated[float, Field(ge=0.0, le=0.01, strict=False)]
    balancing_ohm: Positive
    self_discharge_ohm: Positive
    link_capacitance_f: Annotated[float, Field(gt=0.0, le=1.0, strict=False)]
    link_bleed_ohm: Positive
    precharge_ohm: Positive
    contactor_close_s: Annotated[float, Field(ge=0.0, le=1.0, strict=False)]
    contactor_open_s: Annotated[float, Field(ge=0.0, le=1.0, strict=False)]
    fuse_rated_a: Positive
    fuse_i2t_a2s: NonNegative
    insulation_positive_ohm: Positive
    insulation_negative_ohm: Positive
    supply_v: Annotated[float, Field(gt=0.0, le=100.0, strict=False)] = 24.0
    supply_min_v: Annotated[float, Field(ge=0.0, le=100.0, strict=False)]

    @pydantic.model_validator(mode="after")
    def _supply_runs(self) -> Self:
        if self.supply_min_v >= self.supply_v:
            raise ValueError("supply_min_v below supply_v, or the controller never runs")
        return self


class VehicleSection(FileModel):
    """The vehicle: driving resistances, efficiencies, limits of the drive, and the cycle it drives."""

    cycle: Reference
    mass_kg: Annotated[float, Field(ge=100.0, le=200_000.0, strict=False)]
    rolling_coefficient: Annotated[float, Field(ge=0.0, le=0.1, strict=False)]
    drag_area_m2: Annotated[float, Field(ge=0.0, le=50.0, strict=False)]
    rotating_mass_factor: Annotated[float, Field(ge=1.0, le=2.0, strict=False)] = 1.0
    drive_efficiency: Share
    regeneration_efficiency: Share
    max_drive_w: Positive
    max_regeneration_w: NonNegative
    auxiliary_w: NonNegative
    min_link_v: NonNegative
    limit_lag_s: NonNegative
    limit_timeout_s: NonNegative = 0.0


class LoadSection(FileModel):
    """What hangs on the link when it is no vehicle that drives a cycle: a duty file, and how it answers to limits.

    `line_min_v` and `line_max_v` are the window of an overhead line, for duties that know one. With `float_v` the
    line is a rectifier that holds the link at that voltage: it gives as much of its power as lifts the link there.
    """

    duty: Reference
    scale: Annotated[float, Field(gt=0.0, le=1000.0, strict=False)] = 1.0
    auxiliary_w: NonNegative = 0.0
    min_link_v: NonNegative
    limit_lag_s: NonNegative
    limit_timeout_s: NonNegative = 0.0
    line_min_v: NonNegative = 0.0
    line_max_v: NonNegative = 0.0
    float_v: NonNegative = 0.0


class ChargerSection(FileModel):
    """The charger at the plug.

    `protocol`: "cyclic" sends the profile's messages of the charger; "gbt-27930" goes through the stages of that
    standard with 29-bit frames, and `min_v` is the least voltage that it offers.
    """

    max_a: Positive
    max_v: Positive
    slope_a_per_s: Positive
    protocol: Literal["cyclic", "gbt-27930"] = "cyclic"
    min_v: NonNegative = 0.0


class BusSection(FileModel):
    """The CAN buses. Bit rates in bit/s; `data_bitrate` 0 = classic frames only."""

    bitrate: Annotated[int, Field(ge=10_000, le=1_000_000)]
    data_bitrate: Annotated[int, Field(ge=0, le=12_000_000)] = 0
    buses: Annotated[int, Field(ge=1, le=8)] = 1


class StringsSection(FileModel):
    """Strings in parallel on one link and one bus, each with all that [cells], [pack] and [firmware] say.

    String n sends and is told with every identifier moved by (n - 1) * `identifier_offset`; `number_parameter` is the
    parameter of the firmware that takes n. `..._spread_pct` are standard deviations between the strings, drawn from the
    seed. [load] and [vehicle] are one for all of them, [charger] is one for each.
    """

    count: Annotated[int, Field(ge=2, le=8)]
    identifier_offset: Annotated[int, Field(ge=1, lt=2**29)]
    number_parameter: Reference = "string_number"
    soc_spread_pct: Spread = 0.0
    resistance_spread_pct: Spread = 0.0


class CanSection(FileModel):
    """The profile that maps the product's DBC to quantities.

    `features`: what this rig has of what the messages of the profile need (`needs`), besides those that follow from the
    rest of the rig file.
    """

    profile: Reference
    features: Annotated[tuple[Reference, ...], Field(strict=False)] = ()


class RequirementsSection(FileModel):
    """The requirement files judged on every run, and the packs of clauses they answer for.

    `applications` says what the rig is, so that a clause for another kind of application does not count against it.
    """

    files: References
    packs: Annotated[tuple[Reference, ...], Field(strict=False)] = ()
    applications: Annotated[tuple[Application, ...], Field(strict=False)] = ()

    @pydantic.model_validator(mode="after")
    def _packs_apply(self) -> Self:
        if self.packs and not self.applications:
            raise ValueError('applications with packs: what the rig is, e.g. ["vehicle"]')
        return self


class ScenariosSection(FileModel):
    """Scenarios of this rig alone, played first in every run of it."""

    files: References


class SimulationSection(FileModel):
    """Tick of the lock-step, seed of the spread, and the firmware's 32-bit millisecond counter at power-on."""

    tick_ms: Annotated[int, Field(ge=1, le=100)] = 10
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    start_tick_ms: Annotated[int, Field(ge=0, lt=2**32)] = 0


class RigFile(FileModel):
    """A whole rig file."""

    title: Annotated[str, Field(min_length=1)]
    firmware: FirmwareSection
    cells: CellsSection
    pack: PackSection
    vehicle: VehicleSection | None = None
    load: LoadSection | None = None
    charger: ChargerSection
    bus: BusSection
    strings: StringsSection | None = None
    can: CanSection
    requirements: RequirementsSection
    scenarios: ScenariosSection | None = None
    simulation: SimulationSection = SimulationSection()

    @pydantic.model_validator(mode="after")
    def _one_load(self) -> Self:
        if (self.vehicle is None) == (self.load is None):
            raise ValueError("either [vehicle], which drives a cycle, or [load], which follows a duty")
        return self

    @property
    def link(self) -> VehicleSection | LoadSection:
        """What hangs on the link."""
        found = self.vehicle or self.load
        assert found is not None
        return found
