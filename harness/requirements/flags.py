# SPDX-License-Identifier: Apache-2.0
"""The life of one flag as seen on the bus: when it was set, when it went, and what may excuse either."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from harness.requirements.intervals import mask_at
from harness.requirements.record import FLAG_SET, Record


@dataclass(frozen=True, slots=True)
class FlagRun:
    """One time during which a flag was reported set.

    `start_s` and `end_s` are the times of the first message that showed it set and of the first that showed it
    clear again (inf: still set at the end). `inherited`: it may stem from before the record. `power_off_s`: the
    controller lost power between the last message without and the first with the flag (a latched flag: for the first
    time, it may stem from any power cycle since); `booted_s`: it came on again between them, for the last time.
    `silent_s`: when its CAN went bus-off between them. `over_power_cycle`: power came on again between the last
    message with and the first without.
    """

    start_s: float
    end_s: float = math.inf
    inherited: bool = False
    power_off_s: float | None = None
    booted_s: float | None = None
    silent_s: float | None = None
    over_power_cycle: bool = False

    @property
    def dropped(self) -> bool:
        """Whether the record shows the flag going."""
        return self.end_s < math.inf


def flag_runs(record: Record, flag: str, *, latched: bool) -> tuple[FlagRun, ...]:
    """Every time a flag was reported set while the controller was up; messages during its boot are not looked at."""
    return record.remember(("flag", flag, latched), lambda: _flag_runs(record, flag, latched=latched))


def _flag_runs(record: Record, flag: str, *, latched: bool) -> tuple[FlagRun, ...]:
    series = record.series("reported", flag) if record.ever_set(flag) else None
    if series is None:
        return ()
    keep = ~np.isnan(series.value) & mask_at(record.operational(), series.t_s)
    t_s, is_set = series.t_s[keep], series.value[keep] > FLAG_SET
    if not np.count_nonzero(is_set):
        return ()
    flips = (np.flatnonzero(is_set[1:] != is_set[:-1]) + 1).tolist()
    edges = [0, *flips] if is_set[0] else flips
    offs = _power_offs(record)
    silences = tuple(run.start_s for run in record.bus_off())
    runs = []
    for rise, fall in zip(edges[0::2], [*edges[1::2], None], strict=False):
        start_s = float(t_s[rise])
        before_s = float(t_s[rise - 1]) if rise else -math.inf
        runs.append(
            FlagRun(
                start_s=start_s,
                end_s=float(t_s[fall]) if fall is not None else math.inf,
                inherited=not rise and (latched or not any(on_s <= start_s for on_s in record.power_ons())),
                power_off_s=(_first_between if latched else _last_between)(offs, before_s, start_s),
                booted_s=_last_between(record.power_ons(), before_s, start_s),
                silent_s=_last_between(silences, before_s, start_s),
                over_power_cycle=fall is not None
                and _last_between(record.power_ons(), float(t_s[fall - 1]), float(t_s[fall])) is not None,
            )
        )
    return tuple(runs)


def _power_offs(record: Record) -> tuple[float, ...]:
    return tuple(run.end_s for run in record.powered() if run.end_s < record.end_s)


def _first_between(times: tuple[float, ...], after_s: float, until_s: float) -> float | None:
    return next((t_s for t_s in times if after_s < t_s <= until_s), None)


def _last_between(times: tuple[float, ...], after_s: float, until_s: float) -> float | None:
    found = [t_s for t_s in times if after_s < t_s <= until_s]
    return found[-1] if found else None
