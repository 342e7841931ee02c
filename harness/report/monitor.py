# SPDX-License-Identifier: Apache-2.0
"""A CAN bus at one moment, for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.bench.picture import Period, Picture, TroubleCodes, Value
from harness.canbus.portmodel import PortStatus
from harness.units import ARRAYS, FLAG_PREFIXES, unit_of

_SHOWN_VALUES = 12  # of one message without a profile
_SHOWN_NAMES = 12
_SHOWN_UNKNOWN = 12
_ALERT = "bold red"


def picture_view(picture: Picture, status: PortStatus | None, *, live: bool) -> RenderableType:
    """Everything as tables. `live`: one line for each message, so that it fits a screen."""
    parts: list[RenderableType] = [_head(picture, status)]
    if picture.seen:
        parts.append(_messages(picture, live=live))
    flags = sorted(_flags(picture))
    if flags:
        parts.append(Text(f"set: {', '.join(flags)}", style=_ALERT))
    parts += [_troubles(told) for told in picture.troubles]
    if picture.unknown:
        parts.append(_unknown(picture))
    if picture.missing:
        parts.append(Text(f"never seen: {_some(picture.missing)}", style="yellow"))
    return Group(*parts)


def _head(picture: Picture, status: PortStatus | None) -> Text:
    load = picture.load
    text = Text(
        f"{picture.t_s:.1f} s, {picture.frames} frames ({picture.own} own), load {load.last_pct:.1f} % now, "
        f"{load.mean_pct:.1f} % mean, {load.peak_pct:.1f} % peak (estimated)"
    )
    if picture.error_frames:
        text.append(f", {picture.error_frames} error frames", style=_ALERT)
    if picture.remote:
        text.append(f", {picture.remote} remote frames")
    if status is not None:
        text.append(f", adapter {status.state.name.lower().replace('_', ' ')}")
        for name in ("malformed", "lost"):
            if getattr(status, name):
                text.append(f", {getattr(status, name)} {name}", style=_ALERT)
    return text


def _messages(picture: Picture, *, live: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    for name in ("id", "message"):
        table.add_column(name, no_wrap=True)
    for name in ("frames", "period ms", "nominal", "jitter", "longest", "lost", "again", "CRC", "short", "age s"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("values", no_wrap=live, overflow="ellipsis" if live else "fold", ratio=1, min_width=20)
    for seen in picture.seen:
        table.add_row(
            identifier_text(seen.id, extended=seen.extended),
            seen.name,
            str(seen.frames),
            *_period_cells(seen.period, seen.remark),
            *(_count(number) for number in (seen.lost, seen.repeated, seen.crc_errors, seen.short)),
            Text("" if seen.age_s is None else f"{seen.age_s:.2f}", style="yellow" if seen.remark == "silent" else ""),
            Text(values_text(seen.values)),
        )
    return table


def _period_cells(period: Period, remark: str) -> Iterable[Text]:
    mean = "" if period.mean_ms is None else f"{period.mean_ms:.1f}"
    yield Text(mean, style="yellow" if remark else "")
    yield Text("" if period.nominal_ms is None else f"{period.nominal_ms:g}")
    yield Text("" if period.jitter_ms is None else f"{period.jitter_ms:.2f}")
    yield Text("" if period.greatest_ms is None else f"{period.greatest_ms:.1f}")


def _count(number: int | None) -> Text:
    return Text("-" if number is None else str(number), style=_ALERT if number else "")


def values_text(values: Sequence[Value]) -> str:
    """The values of a message in one line; what a profile names as an array is told by its extremes."""
    arrays: dict[str, list[float]] = {}
    words: list[str] = []
    hidden = 0
    for value in values:
        base, bracket, _ = value.quantity.partition("[")
        if bracket and base in ARRAYS and value.quantity_value is not None:
            arrays.setdefault(base, []).extend([value.quantity_value] if value.in_range else [])
        elif not value.quantity.startswith(FLAG_PREFIXES):
            if len(words) < _SHOWN_VALUES:
                words.append(_value_text(value))
            else:
                hidden += 1
    words += [
        f"{name} {min(numbers):.3f} to {max(numbers):.3f} {unit_of(name)[0]} in {len(numbers)}"
        for name, numbers in arrays.items()
        if numbers
    ]
    if hidden:
        words.append(f"and {hidden} more")
    return ", ".join(words)


def _value_text(value: Value) -> str:
    name = value.quantity or value.path.partition(".")[2]
    if value.state:
        return f"{name} {value.state}"
    unit = unit_of(value.quantity)[0] if value.quantity else value.unit
    number = value.value if value.quantity_value is None else value.quantity_value
    text = f"{name} {number:.6g} {unit}".rstrip()
    return text if value.in_range else f"{text} (outside its range)"


def _flags(picture: Picture) -> Iterable[str]:
    for seen in picture.seen:
        for value in seen.values:
            if value.quantity.startswith(FLAG_PREFIXES) and value.quantity_value:
                yield value.quantity


def _troubles(told: TroubleCodes) -> Text:
    lamps = f", {' and '.join(told.lamps)} lamp" if told.lamps else ""
    codes = "; ".join(told.codes) or "no code"
    text = f"{told.message} {told.age_s:.1f} s ago{lamps}: {codes}"
    return Text(text, style=_ALERT if told.codes and told.message == "DM1" else "")


def _unknown(picture: Picture) -> Text:
    shown = [
        f"{identifier_text(item.id, extended=item.extended)} ({item.frames})"
        for item in picture.unknown[:_SHOWN_UNKNOWN]
    ]
    more = len(picture.unknown) - len(shown)
    text = f"{len(picture.unknown)} identifiers the database does not have: {', '.join(shown)}"
    return Text(f"{text} and {more} more" if more else text, style="yellow")


def identifier_text(identifier: int, *, extended: bool) -> str:
    """Three digits, or eight for a 29-bit identifier."""
    return f"{identifier:08X}" if extended else f"{identifier:03X}"


def _some(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN_NAMES
    return ", ".join(names[:_SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")
