# SPDX-License-Identifier: Apache-2.0
"""The verdicts on what was recorded on a bench, from the trace alone: live and from its file they are the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.bench.unheard import excused
from harness.bench.widen import Erring, guarded, steadied, widened
from harness.canbus.product import Profile
from harness.observation import Observation
from harness.requirements.judge import judge_all
from harness.requirements.model import Requirement
from harness.rig.compose import kernel_config
from harness.rig.file import Rig
from harness.rig.recording import FRAME_JITTER_S
from harness.trace import Trace
from harness.verdict import Outcome, Verdict


def is_of_bench(trace: Trace) -> bool:
    """Whether a trace was recorded on a bench: its header says what its instruments may err by."""
    return "accuracy" in trace.header


def bench_requirements(rig: Rig, accuracy: Mapping[str, float]) -> tuple[Requirement, ...]:
    """The requirements of a rig, widened by what the instruments may err by."""
    config = kernel_config(rig)
    usual_v = float(config.cell.ocv_v[len(config.cell.ocv_v) // 2]) * config.pack.n_cells  # half charged
    return widened(rig.requirements, Erring(accuracy, n_cells=rig.file.cells.series, pack_v=usual_v))


def bench_verdicts(
    rig: Rig,
    trace: Trace,
    observation: Observation,
    requirements: tuple[Requirement, ...],
    profile: Profile | None = None,
) -> tuple[Verdict, ...]:
    """By `requirements` with the times as uncertain as they were, and guarded by the rig's own: who passes only the
    wide ones was not seen to be right. The header of the trace says how late the host was and what the adapter missed.
    `profile` is the one the observation reads by, the rig's if none is named.
    """
    if trace.error:
        return tuple(Verdict(item.id, Outcome.ERROR, reason=trace.error) for item in requirements)
    header: Mapping[str, Any] = trace.header
    virtual_s = float(header["tick_s"]) + FRAME_JITTER_S
    late_s = max(0.0, float(header["late_max_s"]) - float(header["overrun_s"]))
    wide = judge_all(requirements, observation)
    sharp = Observation(trace, profile or rig.profile, timing_s=virtual_s - late_s, boot_s=float(header["boot_s"]))
    verdicts = guarded(wide, judge_all(rig.requirements, sharp), float(header["timing_s"]) - virtual_s)
    return excused(steadied(requirements, verdicts), header["frames_missing"])
