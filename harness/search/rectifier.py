# SPDX-License-Identifier: Apache-2.0
"""Tours of a UPS: float, the step to the whole load when the mains fails, recharge.

Powers are those of the bus pack, as in `tours`: 192 kW are carried over to the whole load of a UPS pack, twice that to
the inrush of its load.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.scenario import Action, Command, CommandAction, FaultAction, Start, begin

_Tour = tuple[str, Start, float, tuple[Action, ...]]

_LOAD_W = 192e3
_INRUSH_W = 384e3
_LASTING_W = 400e3
_AT_S = 2.0
_AGAIN: tuple[tuple[float, Command], ...] = ((34.0, "standby"), (34.5, "drive"))
_COUNTED_A = 3000.0  # a reading
_EMPTY_S = 185.0  # takes 0.96 of the charge of a pack made for 2.5 C


def _failure(at_s: float, for_s: float, power_w: float = _LOAD_W) -> FaultAction:
    return begin(at_s, "mains-failure", power_w=power_w, for_s=for_s)


def _inrush(at_s: float, for_s: float, power_w: float = _INRUSH_W) -> FaultAction:
    return begin(at_s, "load-inrush", power_w=power_w, for_s=for_s)


def _counted_empty() -> tuple[Action, ...]:
    """A pack that floats at 90 % is counted for longer than the half full bus pack until its controller warns."""
    counted = begin(0.5, "current-sensor-set", current_a=_COUNTED_A, for_s=_EMPTY_S)
    reset = CommandAction(at_s=_EMPTY_S + 33.0, do="reset-faults")
    standby, drive = (CommandAction(at_s=_EMPTY_S + at_s, do=do) for at_s, do in _AGAIN)
    return counted, reset, standby, drive


def rectifier_tours() -> Iterator[_Tour]:
    """Nothing in here but the lasting overload may open a contactor."""
    yield "float", "drive", 30.0, ()
    yield "mains failure at full load, and back", "drive", 20.0, (_failure(_AT_S, 10.0),)
    for for_s in (0.05, 0.3, 0.7):
        yield (
            f"mains failure with an inrush of {1e3 * for_s:g} ms",
            "drive",
            12.0,
            (_failure(_AT_S, 6.0), _inrush(_AT_S, for_s)),
        )
    for soc in (98.0, 60.0, 25.0):
        full = CommandAction(at_s=0.0, do="soc", soc_pct=soc)
        actions = (full, _failure(_AT_S, 5.0), _inrush(_AT_S, 0.3))
        yield f"mains failure with an inrush at {soc:g} %", "drive", 12.0, actions
    yield (
        "inrushes one after the other",
        "drive",
        14.0,
        (
            _failure(_AT_S, 10.0),
            *(_inrush(_AT_S + 2.0 * turn, 0.5) for turn in range(4)),
        ),
    )
    dips = begin(_AT_S, "mains-dips", power_w=_LOAD_W, period_s=0.4, duty=0.5, for_s=8.0)
    yield "mains that comes and goes", "drive", 12.0, (dips,)
    yield "mains failure during boost charge", "charge", 10.0, (_failure(_AT_S, 4.0),)
    yield "overload that lasts", "drive", 6.0, (_failure(_AT_S, 4.0), _inrush(_AT_S, 3.0, _LASTING_W))
    yield "one cold sensor on float", "drive", 4.0, (begin(0.5, "temp-sensor-set", sensor=1, temp_degc=-3.0),)
    yield "connected again after the charge is counted until empty", "drive", _EMPTY_S + 40.0, _counted_empty()
    fault = begin(_AT_S + 1.0, "hvil-open")
    yield "a trip while the pack carries the load", "drive", 6.0, (_failure(_AT_S, 4.0), fault)
