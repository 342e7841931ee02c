# SPDX-License-Identifier: Apache-2.0
"""The live table: what the controller is given, what it says of it, and how the rig stands, as lines of styled text."""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.bench.live import LiveRig, Row
from harness.bench.pacer import Lateness
from harness.bench.shellseen import Seen
from harness.extremes import CONTACTORS
from harness.rig.plan import describe

Fragments = list[tuple[str, str]]  # (style, text), the pieces of one line
DIM, BOLD, GOOD, WARN, BAD, PLAIN = "class:dim", "class:bold", "class:good", "class:warn", "class:bad", ""
LEFT_WIDTH = 62
_FAULTS_SHOWN = 4
_STALE_S = 0.5  # a value this old is marked: five periods of a message that comes every 100 ms
# label, quantity, digits, unit, factor, quantity that says where, what "where" counts
_VALUES: Sequence[tuple[str, str, int, str, float, str, str]] = (
    ("cell max", "cell_voltage_max_v", 3, "V", 1.0, "cell_voltage_max_index", "cell"),
    ("cell min", "cell_voltage_min_v", 3, "V", 1.0, "cell_voltage_min_index", "cell"),
    ("temperature max", "cell_temp_max_degc", 1, "°C", 1.0, "cell_temp_max_index", "sensor"),
    ("temperature min", "cell_temp_min_degc", 1, "°C", 1.0, "cell_temp_min_index", "sensor"),
    ("pack voltage", "pack_voltage_v", 1, "V", 1.0, "", ""),
    ("link voltage", "link_voltage_v", 1, "V", 1.0, "", ""),
    ("pack current", "pack_current_a", 1, "A", 1.0, "", ""),
    ("state of charge", "soc_pct", 1, "%", 1.0, "", ""),
    ("insulation", "insulation_ohm", 0, "kΩ", 1e-3, "", ""),
    ("supply", "supply_v", 2, "V", 1.0, "", ""),
)
_SIGNS = (("contactor_positive", "main+"), ("contactor_negative", "main−"), ("contactor_precharge", "pre"))


def table(live: LiveRig, seen: Seen, pace: Lateness, width: int) -> list[Fragments]:
    """The table for a terminal of this width: two blocks side by side where there is room. `pace` may be some old."""
    left, right = _values(live, seen), _standing(live, seen)
    lines = [_title(live, pace, width), []]
    if width >= LEFT_WIDTH + 40:
        rows = max(len(left), len(right))
        left += [[] for _ in range(rows - len(left))]
        right += [[] for _ in range(rows - len(right))]
        lines += [[*_padded(one, LEFT_WIDTH), *other] for one, other in zip(left, right, strict=True)]
    else:
        lines += [*left, [], *right]
    return [_cut(line, width) for line in (*lines, [], *_flags(seen), *_injected(live))]


def width_of(line: Fragments) -> int:
    """Characters of a line."""
    return sum(len(text) for _, text in line)


def _title(live: LiveRig, pace: Lateness, width: int) -> Fragments:
    style = WARN if pace.overruns else DIM
    left: Fragments = [(BOLD, live.rig.name), (PLAIN, f"  {live.rig.title}")]
    right = f"{_clock(live.now_s)}   late p99 {1e3 * pace.p99_s:.1f} ms, max {1e3 * pace.max_s:.1f} ms, "
    count = f"{pace.overruns} overrun{'' if pace.overruns == 1 else 's'}"
    room = max(2, width - width_of(left) - len(right) - len(count))
    return [*left, (PLAIN, " " * room), (DIM, right), (style, count)]


def _clock(t_s: float) -> str:
    minutes, seconds = divmod(t_s, 60.0)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{seconds:04.1f}"


def _values(live: LiveRig, seen: Seen) -> list[Fragments]:
    row = live.row()
    lines: list[Fragments] = [[(DIM, f"{'':<16}{'given':>10}{'reported':>11}     {'':<11}{'age':>8}")]]
    for label, quantity, digits, unit, factor, index, noun in _VALUES:
        given = _given(row, quantity)
        known = seen.reported(quantity)
        value = math.nan if known is None else known.value
        age_s = math.nan if known is None else live.now_s - known.t_s
        place = row.value("given", index) if index else math.nan
        where = f"{noun} {place:.0f}" if place >= 1.0 else ""
        style = WARN if age_s > _STALE_S else PLAIN
        lines.append(
            [
                (DIM, f"{label:<16}"),
                (PLAIN, f"{_number(given * factor, digits):>10}"),
                (style, f"{_number(value * factor, digits):>11}"),
                (DIM, f" {unit:<4}"),
                (PLAIN, f"{where:<11}"),
                (WARN if age_s > _STALE_S else DIM, f"{_age(age_s):>8}"),
            ]
        )
    return lines


def _given(row: Row, quantity: str) -> float:
    if quantity == "soc_pct":
        return 100.0 * row.value("truth", "soc_mean")
    return row.value("given", quantity)


def _number(value: float, digits: int) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def _age(seconds: float) -> str:
    if math.isnan(seconds):
        return "–"
    return f"{max(0.0, seconds) * 1e3:.0f} ms" if seconds < 1.0 else f"{seconds:.1f} s"


def _standing(live: LiveRig, seen: Seen) -> list[Fragments]:
    row = live.row()
    state = seen.state()
    style = BAD if state in ("fault", "latched") else GOOD if state in ("drive", "charge") else BOLD
    load = 100.0 * row.value("environment", "bus_load")
    bus = "" if math.isnan(load) else f"load {load:.0f} %, "
    heard = f"{bus}controller heard {_age(live.now_s - seen.heard_s)} ago" if seen.heard_s >= 0.0 else f"{bus}silent"
    lines: list[Fragments] = [[], _entry("state", [(style, state or "not reported")])]
    lines += [_entry(name, value) for name, value in (("contactors", _contactors(row)), ("reports", _told(seen)))]
    for name, quantity in (("discharge limit", "discharge_limit_a"), ("charge limit", "charge_limit_a")):
        known = seen.reported(quantity)
        value = math.nan if known is None else known.value
        lines.append(_entry(name, [(WARN if value <= 0.0 else PLAIN, f"{_number(value, 1):>6}"), (DIM, " A")]))
    known = seen.reported("charge_voltage_limit_v")
    if known is not None:
        lines.append(_entry("charge to", [(PLAIN, f"{known.value:6.1f}"), (DIM, " V")]))
    lines.append(_entry("bus", [(PLAIN if seen.heard_s >= 0.0 else WARN, heard)]))
    return lines


def _entry(name: str, value: Fragments) -> Fragments:
    return [(DIM, f"{name:<17}"), *value]


def _contactors(row: Row) -> Fragments:
    value = row.value("output", "contactors")
    if math.isnan(value):
        return [(WARN, "not read back")]
    return _switches({name: float(bool(int(value) & bit)) for name, bit in CONTACTORS.items()})


def _told(seen: Seen) -> Fragments:
    known = {name: found.value for name, _ in _SIGNS if (found := seen.reported(name)) is not None}
    return _switches(known) if known else [(DIM, "nothing of them")]


def _switches(values: dict[str, float]) -> Fragments:
    pieces: Fragments = []
    for name, word in _SIGNS:
        if name in values:
            closed = values[name] > 0.5  # noqa: PLR2004 - between open and closed
            pieces += [(GOOD if closed else DIM, f"{word} {'closed' if closed else 'open  '}  ")]
    return pieces


def _flags(seen: Seen) -> list[Fragments]:
    lines = []
    for title, prefix, style in (("faults", "fault.", BAD), ("alarms", "alarm.", WARN), ("warnings", "warning.", WARN)):
        names = [name.removeprefix(prefix) for name in seen.flags(prefix)]
        lines.append([(DIM, f"{title:<16}"), (style if names else DIM, ", ".join(names) or "none")])
    return lines


def _injected(live: LiveRig) -> list[Fragments]:
    active = live.faults()
    lines: list[Fragments] = []
    for fault in active[-_FAULTS_SHOWN:]:
        left = "" if math.isinf(fault.until_s) else f", {max(0.0, fault.until_s - live.now_s):.1f} s left"
        fired = "" if fault.fired else ", has changed nothing yet"
        name = "" if fault.label in ("", fault.action.fault) else f"{fault.label}: "
        lines.append([(BOLD, f"{name}{describe(fault.action)}"), (DIM, f"  since {fault.from_s:.2f} s{left}{fired}")])
    if not lines:
        lines.append([(DIM, "nothing")])
    more = len(active) - _FAULTS_SHOWN
    heads = ["injected", *[""] * (len(lines) - 1)]
    lines = [[(DIM, f"{head:<16}"), *line] for head, line in zip(heads, lines, strict=True)]
    if more > 0:
        lines[-1].append((DIM, f"  and {more} more"))
    return lines


def _padded(line: Fragments, width: int) -> Fragments:
    return [*line, (PLAIN, " " * max(0, width - width_of(line)))]


def _cut(line: Fragments, width: int) -> Fragments:
    kept: Fragments = []
    room = width
    for style, text in line:
        kept.append((style, text[:room]))
        room -= min(room, len(text))
    return kept
