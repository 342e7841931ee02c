# SPDX-License-Identifier: Apache-2.0
"""Driving cycles: speed over time from a table of trapezoids, and the electric power a vehicle needs to follow it.

A trapezoid is one hop between two stops: constant acceleration to its speed, constant speed, constant deceleration to
standstill, then the stop. Power is that at the inverter's input; auxiliaries are not part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Protocol, Self

import numpy as np
import pydantic
from numpy.typing import NDArray
from pydantic import Field

from harness.tomlfile import FileModel, load_model

Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False, strict=False)]
GRAVITY_M_PER_S2 = 9.81
AIR_KG_PER_M3 = 1.2
STEP_S = 0.5  # between the points of a profile
TORQUE_RISE_S = 0.2  # a drive builds up its torque in this time
_KM_PER_H = 3.6


class Vehicle(Protocol):
    """What of a vehicle decides its power. The vehicle section of a rig file has all of it."""

    @property
    def mass_kg(self) -> float:
        """Mass with passengers."""

    @property
    def rolling_coefficient(self) -> float:
        """Rolling resistance over weight."""

    @property
    def drag_area_m2(self) -> float:
        """Drag coefficient times frontal area."""

    @property
    def rotating_mass_factor(self) -> float:
        """Inertia of wheels and drive: apparent over real mass."""

    @property
    def drive_efficiency(self) -> float:
        """Wheel over inverter input, driving."""

    @property
    def regeneration_efficiency(self) -> float:
        """Inverter input over wheel, braking; the friction brakes' share is part of it."""

    @property
    def max_drive_w(self) -> float:
        """The most the drive takes."""

    @property
    def max_regeneration_w(self) -> float:
        """The most the drive gives back."""


class Trapezoid(FileModel):
    """One hop and the stop after it."""

    speed_km_per_h: Annotated[float, Field(gt=0.0, le=200.0, strict=False)]
    acceleration_m_per_s2: Annotated[float, Field(gt=0.0, le=5.0, strict=False)]
    distance_m: Positive
    stop_s: Annotated[float, Field(ge=0.0, le=3600.0, strict=False)]


class Cycle(FileModel):
    """A whole cycle file."""

    title: Annotated[str, Field(min_length=1)]
    source: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
    deceleration_m_per_s2: Annotated[float, Field(gt=0.0, le=5.0, strict=False)]
    trapezoid: Annotated[tuple[Trapezoid, ...], Field(min_length=1, strict=False)]

    @pydantic.model_validator(mode="after")
    def _hops_are_long_enough(self) -> Self:
        for number, hop in enumerate(self.trapezoid, start=1):
            if _cruise_m(hop, self.deceleration_m_per_s2) < 0.0:
                needed = hop.distance_m - _cruise_m(hop, self.deceleration_m_per_s2)
                speed = f"{hop.speed_km_per_h:g} km/h"
                raise ValueError(f"trapezoid {number} with a distance_m of at least {needed:.1f}, to reach {speed}")
        return self


@dataclass(frozen=True, slots=True)
class Leg:
    """A stretch of constant acceleration, from `start_s` on."""

    start_s: float
    duration_s: float
    start_m_per_s: float
    acceleration_m_per_s2: float

    @property
    def end_m_per_s(self) -> float:
        """Speed at its end."""
        return self.start_m_per_s + self.acceleration_m_per_s2 * self.duration_s

    @property
    def distance_m(self) -> float:
        """Distance covered."""
        return 0.5 * (self.start_m_per_s + self.end_m_per_s) * self.duration_s


def load_cycle(path: Path) -> Cycle:
    """Read a cycle file. Raises RigError with all problems of the file at once."""
    return load_model(path, Cycle)


def legs_of(cycle: Cycle) -> tuple[Leg, ...]:
    """The cycle as stretches of constant acceleration, without gaps, beginning and ending at standstill."""
    legs: list[Leg] = []
    for hop in cycle.trapezoid:
        speed, up, down = hop.speed_km_per_h / _KM_PER_H, hop.acceleration_m_per_s2, cycle.deceleration_m_per_s2
        cruise_s = _cruise_m(hop, down) / speed
        for duration_s, start, acceleration in (
            (speed / up, 0.0, up),
            (cruise_s, speed, 0.0),
            (speed / down, speed, -down),
            (hop.stop_s, 0.0, 0.0),
        ):
            start_s = legs[-1].start_s + legs[-1].duration_s if legs else 0.0
            if duration_s > 0.0:
                legs.append(Leg(start_s, duration_s, start, acceleration))
    return tuple(legs)


def load_profile(cycle: Cycle, vehicle: Vehicle) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times in s, rising from 0 to the length of the cycle, and the power asked of the link in W.

    Negative power is regeneration. The first point equals the last, so that the profile can repeat.
    """
    times: list[float] = []
    powers: list[float] = []
    for leg in legs_of(cycle):
        rise_s = min(TORQUE_RISE_S, 0.5 * leg.duration_s)
        for since_s in [*np.arange(rise_s, leg.duration_s, STEP_S).tolist(), leg.duration_s]:
            if times and leg.start_s + since_s - times[-1] <= 0.0:
                continue
            times.append(leg.start_s + since_s)
            powers.append(_power_w(leg, since_s, vehicle))
    return np.array([0.0, *times]), np.array([powers[-1], *powers])


def _power_w(leg: Leg, since_s: float, vehicle: Vehicle) -> float:
    speed = max(0.0, leg.start_m_per_s + leg.acceleration_m_per_s2 * since_s)
    inertia_n = vehicle.mass_kg * vehicle.rotating_mass_factor * leg.acceleration_m_per_s2
    rolling_n = vehicle.mass_kg * GRAVITY_M_PER_S2 * vehicle.rolling_coefficient
    drag_n = 0.5 * AIR_KG_PER_M3 * vehicle.drag_area_m2 * speed * speed
    wheel_w = (inertia_n + rolling_n + drag_n) * speed
    if wheel_w >= 0.0:
        return min(wheel_w / vehicle.drive_efficiency, vehicle.max_drive_w)
    return max(wheel_w * vehicle.regeneration_efficiency, -vehicle.max_regeneration_w)


def _cruise_m(hop: Trapezoid, deceleration: float) -> float:
    speed = hop.speed_km_per_h / _KM_PER_H
    return hop.distance_m - 0.5 * speed * speed * (1.0 / hop.acceleration_m_per_s2 + 1.0 / deceleration)


def average_km_per_h(cycle: Cycle) -> float:
    """Distance over time, stops included."""
    legs: Sequence[Leg] = legs_of(cycle)
    return _KM_PER_H * sum(leg.distance_m for leg in legs) / sum(leg.duration_s for leg in legs)
