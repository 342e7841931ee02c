# SPDX-License-Identifier: Apache-2.0
"""Where two runs of one scenario part: outputs, frames of the controller, verdicts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from harness.canbus.batch import Decoder
from harness.clock import NS_PER_S
from harness.rig.session import Run
from harness.trace import DUT_NODE, Frames

What = Literal["error", "output", "frames", "verdict"]


class Key(NamedTuple):
    """What differs: an output quantity, a message by name, or a requirement with both outcomes, "PASS/FAIL"."""

    what: What
    name: str
    how: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first moment of a difference: what A did and what B did. `at_s` counts from the scenario's start."""

    key: Key
    at_s: float | None
    a: str
    b: str


def differences(a: Run, b: Run, decoder: Decoder) -> Iterator[Difference]:
    """Where two runs of the same scenario first part: outputs, frames of the controller, verdicts.

    A run that broke off is its own difference; what it did before is compared with the other's as far as it goes.
    """
    if a.error != b.error:
        yield Difference(Key("error", ""), None, a.error or "ran to its end", b.error or "ran to its end")
    yield from _outputs(a, b)
    yield from _frames(a, b, decoder)
    if not (a.error or b.error):
        yield from _verdicts(a, b)


def _outputs(a: Run, b: Run) -> Iterator[Difference]:
    rows = min(len(a.trace.t_s), len(b.trace.t_s))
    others = b.trace.columns["output"]
    for quantity, series in a.trace.columns["output"].items():
        if quantity not in others:
            continue
        one, other = np.asarray(series[:rows]), np.asarray(others[quantity][:rows])
        apart = np.flatnonzero((one != other) & ~(np.isnan(one) & np.isnan(other)))
        if len(apart):
            row = int(apart[0])
            at_s = float(a.trace.t_s[row])
            yield Difference(Key("output", quantity), at_s, f"{one[row]:g}", f"{other[row]:g}")


def _frames(a: Run, b: Run, decoder: Decoder) -> Iterator[Difference]:
    """Message by message, the first frame that is not the same at the same tick."""
    one, other = _sent(a.trace.frames), _sent(b.trace.frames)
    end_ns = 1e9 * min((float(run.trace.t_s[-1]) for run in (a, b) if len(run.trace.t_s)), default=0.0)
    tick_ns = 1e9 * float(a.trace.header["tick_s"])
    names = {(message.id, message.extended): message.name for message in decoder.database.messages}
    for identity in dict.fromkeys((*one, *other)):
        mine, theirs = one.get(identity, []), other.get(identity, [])
        at = _first_apart(a.trace.frames, mine, b.trace.frames, theirs, tick_ns)
        if at is None:
            continue
        row_a, row_b = (rows[at] if at < len(rows) else None for rows in (mine, theirs))
        times = [float(f.t_ns[row]) for f, row in ((a.trace.frames, row_a), (b.trace.frames, row_b)) if row is not None]
        if min(times) > end_ns:
            continue
        name = names.get(identity, f"0x{identity[0]:X}")
        texts = _texts(a.trace.frames, row_a), _texts(b.trace.frames, row_b)
        signals = _signals(name, a.trace.frames, row_a, b.trace.frames, row_b, decoder)
        shown = tuple(f"{text} {values}".rstrip() for text, values in zip(texts, signals, strict=True))
        yield Difference(Key("frames", name), min(times) / NS_PER_S, *shown)


def _sent(frames: Frames) -> dict[tuple[int, bool], list[int]]:
    """The rows of the controller's frames, by identifier."""
    rows: dict[tuple[int, bool], list[int]] = {}
    own = np.flatnonzero((frames.node == DUT_NODE) & ((frames.flags & 24) == 0))
    for row, identifier, flags in zip(own.tolist(), frames.id[own].tolist(), frames.flags[own].tolist(), strict=True):
        rows.setdefault((identifier, bool(flags & 1)), []).append(row)
    return rows


def _first_apart(a: Frames, mine: list[int], b: Frames, theirs: list[int], tick_ns: float) -> int | None:
    """The place of the first frame that differs in content, or in time by a tick or more; None when all are the same.

    Within a tick a frame waits for others that have the bus.
    """
    common = min(len(mine), len(theirs))
    one, other = mine[:common], theirs[:common]
    apart = np.abs(a.t_ns[one].astype(np.int64) - b.t_ns[other].astype(np.int64)) >= tick_ns
    apart |= a.length[one] != b.length[other]
    width = min(a.data.shape[1], b.data.shape[1])
    apart |= (a.data[one, :width] != b.data[other, :width]).any(axis=1)
    found = np.flatnonzero(apart)
    if len(found):
        return int(found[0])
    return None if len(mine) == len(theirs) else common


def _texts(frames: Frames, row: int | None) -> str:
    if row is None:
        return "no frame"
    payload = frames.data[row, : int(frames.length[row])].tobytes().hex(" ")
    return f"{float(frames.t_ns[row]) / NS_PER_S:.4f} s [{payload}]"


def _signals(
    name: str, a: Frames, row_a: int | None, b: Frames, row_b: int | None, decoder: Decoder
) -> tuple[str, str]:
    """The values of the signals that differ between two frames of a message, "" where it cannot be told."""
    message = next((message for message in decoder.database.messages if message.name == name), None)
    if message is None or row_a is None or row_b is None:
        return "", ""
    one, other = decoder.decode(_only(a, row_a)), decoder.decode(_only(b, row_b))
    pairs = []
    for signal in message.signals:
        values = [series.value.tolist() for series in (part.signal(f"{name}.{signal.name}") for part in (one, other))]
        if all(values) and values[0][0] != values[1][0]:
            pairs.append((f"{signal.name}={values[0][0]:g}", f"{signal.name}={values[1][0]:g}"))
    return ", ".join(pair[0] for pair in pairs), ", ".join(pair[1] for pair in pairs)


def _only(frames: Frames, row: int) -> Frames:
    part = slice(row, row + 1)
    return Frames(
        frames.t_ns[part],
        frames.id[part],
        frames.flags[part],
        frames.bus[part],
        frames.node[part],
        frames.length[part],
        frames.data[part],
    )


def _verdicts(a: Run, b: Run) -> Iterator[Difference]:
    """Requirements that both rigs have and that came out differently."""
    others = {verdict.requirement: verdict for verdict in b.verdicts}
    for verdict in a.verdicts:
        other = others.get(verdict.requirement)
        if other is None or other.outcome is verdict.outcome:
            continue
        times = [at_s for at_s in (verdict.at_s, other.at_s) if at_s is not None]
        how = f"{verdict.outcome.value}/{other.outcome.value}"  # so that making it small does not slip to less
        texts = (f"{item.outcome.value}: {item.reason}".rstrip(": ") for item in (verdict, other))
        yield Difference(Key("verdict", verdict.requirement, how), min(times, default=None), *texts)
