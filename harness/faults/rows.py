# SPDX-License-Identifier: Apache-2.0
"""From a resolved fault to the rows of the kernel's fault table."""

from __future__ import annotations

from harness.faults.check import PlacedEffect, ResolvedFault
from harness.kernel.config import Fault, Op, Point, Shape

_SEED_STEP = 0x9E3779B97F4A7C15  # 2^64 / golden ratio: neighbouring seeds become far apart
_SEED_MASK = 0xFFFFFFFFFFFFFFFF


def rows(resolved: ResolvedFault, from_ns: int, until_ns: int, seed: int) -> tuple[Fault, ...]:
    """The kernel rows of one fault, active from `from_ns` until before `until_ns`; each row has its own seed."""
    return tuple(
        _row(resolved, effect, from_ns, until_ns, (seed + place * _SEED_STEP) & _SEED_MASK)
        for place, effect in enumerate(resolved.effects)
    )


def _row(resolved: ResolvedFault, effect: PlacedEffect, from_ns: int, until_ns: int, seed: int) -> Fault:
    return Fault(
        point=Point[effect.point],
        index=effect.index,
        op=Op[effect.op],
        shape=Shape[resolved.shape.upper()],
        value=effect.value,
        sigma=resolved.sigma,
        ramp_s=resolved.ramp_s,
        period_s=resolved.period_s,
        duty=resolved.duty,
        seed=seed,
        from_ns=from_ns,
        until_ns=until_ns,
        **effect.extra,
    )
