# SPDX-License-Identifier: Apache-2.0
"""Rows 2 and 3: the same drive through the usual stack and through the all-Python stack."""

from __future__ import annotations

from harness.rig.compose import kernel_config
from harness.rig.file import Rig
from harness.rig.session import Run, Session

from .firmware_node import FirmwareNode
from .loop import driving
from .python_bms import PythonBms
from .table import Bar, Measurement
from .timing import Effort, Times, interleaved, ratio
from .usual_stack import UsualStack

SAME_CHARGE_PCT = 10.0  # the plants differ in how often they look tables up; more means not the same drive


def measure(rig: Rig, effort: Effort) -> list[Measurement]:
    """The whole loop, judging included, against the other two, which only record what they decode."""
    seconds = float(effort.of(60, 30))
    config = kernel_config(rig)
    scenario = driving(rig, seconds)
    with (
        Session(rig) as session,
        UsualStack(rig, config, FirmwareNode(rig, config), "usual") as usual,
        UsualStack(rig, config, PythonBms(rig, config), "python") as python,
    ):
        usual.boot()
        python.boot()
        frames = {"usual": 0, "python": 0}

        def drive(name: str, stack: UsualStack) -> None:
            frames[name] = stack.drive(seconds)

        times = interleaved(
            {
                "harness": lambda: session.run(scenario, keep=False),
                "usual": lambda: drive("usual", usual),
                "python": lambda: drive("python", python),
            },
            effort.of(5, 3),
        )
        run = session.run(scenario)
        proof = {name: _same(run, frames[name], stack) for name, stack in (("usual", usual), ("python", python))}
    usual_row = _row(2, "usual stack: python-can, cantools, numpy plant, firmware .so", 60.0, times, "usual", seconds)
    python_row = _row(3, "all-Python stack: the same with a BMS in Python", 200.0, times, "python", seconds)
    return [_with(usual_row, proof["usual"]), _with(python_row, proof["python"])]


def _row(row: int, what: str, bar: float, times: dict[str, Times], name: str, seconds: float) -> Measurement:
    ours, theirs = times["harness"], times[name]
    detail = (
        f"{seconds:g} s of driving: {theirs.median * 1e3:.0f} ms ({seconds / theirs.median:.1f} x real time, best "
        f"{seconds / theirs.least:.1f}) against {ours.median * 1e3:.1f} ms ({seconds / ours.median:.0f} x, best "
        f"{seconds / ours.least:.0f}) recorded, decoded and judged"
    )
    return Measurement(row, f"faster than the {what}", ratio(theirs, ours), "x", Bar(at_least=bar), detail)


def _same(run: Run, frames: int, stack: UsualStack) -> tuple[str, str]:
    """That both drove the same: detail and error. The last drive of the stack against the run."""
    soc = run.trace.columns["truth"]["soc_mean"]
    ours_pct, theirs_pct = 100.0 * float(soc[0] - soc[-1]), 100.0 * stack.drawn
    charge = f"{theirs_pct:.4f} % of charge drawn against {ours_pct:.4f}"
    detail = f"{frames} frames against {len(run.trace.frames)}, {charge}"
    differs = abs(theirs_pct - ours_pct) > SAME_CHARGE_PCT / 100.0 * abs(ours_pct)
    return detail, f"not the same drive: {detail}" if differs else ""


def _with(found: Measurement, proof: tuple[str, str]) -> Measurement:
    detail, error = proof
    return Measurement(found.row, found.what, found.value, found.unit, found.bar, f"{found.detail}; {detail}", error)
