# SPDX-License-Identifier: Apache-2.0
"""Whether a controller sends its long answers as the tester's flow control allows (ISO 15765-2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harness.canbus.diagnostics import Diagnostics
from harness.canbus.isotp import FIRST, FLOW, NEXT, least_gap_s
from harness.canbus.uds import dialogue_masks
from harness.trace import Frames

_GO = 0x0


@dataclass(frozen=True, slots=True)
class Block:
    """The consecutive frames of a controller after the flow control that let it go on, at `flow_s`.

    `allowed` frames (0: all) with at least `least_gap_s` between two. `gap_s` is the least time between the ends of
    two, infinite when there are fewer. `early`: they came before any flow control.
    """

    flow_s: float
    allowed: int
    least_gap_s: float
    frames: int
    gap_s: float
    early: bool = False


def blocks(frames: Frames, diagnostics: Diagnostics | None) -> tuple[Block, ...]:
    """Every block of every long answer."""
    masks = dialogue_masks(frames, diagnostics)
    if masks is None:
        return ()
    kind = np.where(frames.length > 0, frames.data[:, 0] >> 4, 0xFF)
    flow = masks[0] & (kind == FLOW)
    own = masks[1] & ((kind == FIRST) | (kind == NEXT))
    return tuple(_blocks(frames, np.flatnonzero(flow | own).tolist()))


def _blocks(frames: Frames, rows: list[int]) -> Iterator[Block]:
    """A first frame may be followed by no other before it was let go on."""
    flow: int | None = None
    sent_s: list[float] = []
    for row in rows:
        t_s, kind = float(frames.t_ns[row]) / 1e9, int(frames.data[row, 0]) >> 4
        if kind == NEXT:
            sent_s.append(t_s)
            continue
        if sent_s:
            yield _block(frames, flow, sent_s)
        sent_s = []
        if kind == FIRST:
            flow = None
        elif int(frames.data[row, 0]) & 0xF == _GO:
            flow = row
    if sent_s:
        yield _block(frames, flow, sent_s)


def _block(frames: Frames, flow: int | None, sent_s: list[float]) -> Block:
    gap_s = float(np.diff(sent_s).min(initial=np.inf))
    if flow is None:
        return Block(sent_s[0], 0, 0.0, len(sent_s), gap_s, early=True)
    allowed, code = int(frames.data[flow, 1]), int(frames.data[flow, 2])
    return Block(float(frames.t_ns[flow]) / 1e9, allowed, least_gap_s(code), len(sent_s), gap_s)
