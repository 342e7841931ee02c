# SPDX-License-Identifier: Apache-2.0
"""The bench file: a rig on a bench. It names the virtual rig it is (plant, profile, requirements) and says how the real
controller is reached: CAN adapter, instruments, and the hard limits of both sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from harness.errors import Problem, RigError
from harness.instruments.model import ANALOG, LINES, READINGS, Envelope, InstrumentSettings
from harness.rig import find_rig, load_rig
from harness.rig.file import Rig
from harness.tomlfile import FileModel, KeyPath, parse_toml, problem_at, read_text, validate

Pair = Annotated[tuple[float, float], Field(strict=False)]
Channels = int | str
MAX_CHANNELS = 1000
CAN_INTERFACE = "can-interface"


class CanAdapterSection(FileModel):
    """The CAN adapter, in the words of python-can: interface, channel, further options. Bit rates are the rig's."""

    interface: Annotated[str, Field(min_length=1)]
    channel: str | int
    options: Annotated[dict[str, str | int | float | bool], Field(default_factory=dict)]


class LimitsSection(FileModel):
    """Hard limits, least and greatest; what the rig's DUT and the bench both bear."""

    cell_voltage_v: Pair
    cell_temp_degc: Pair
    pack_current_a: Pair
    pack_voltage_v: Pair
    link_voltage_v: Pair
    charger_voltage_v: Pair
    insulation_ohm: Pair
    supply_v: Pair
    energy_wh: Annotated[float, Field(gt=0.0, strict=False)]


class TimingSection(FileModel):
    """How late the host may be: a tick later than `overrun_ms` is counted as an overrun; the guardian acts when the
    harness has been silent for `heartbeat_ms`.
    """

    overrun_ms: Annotated[float, Field(gt=0.0, le=1000.0, strict=False)] = 5.0
    heartbeat_ms: Annotated[float, Field(ge=50.0, le=400.0, strict=False)] = 200.0


class RecordingSection(FileModel):
    """What the bus is recorded as besides BLF, which is always written; MF4 needs the extra mf4."""

    also: Annotated[tuple[Literal["asc", "mf4"], ...], Field(strict=False)] = ()


class InstrumentSection(FileModel):
    """One instrument: driver, port (a device or a URL of pyserial), and what its channels are wired to.

    Channels are a number, or a range "1:192" in the order of cells or sensors.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    driver: Annotated[str, Field(min_length=1)]
    port: Annotated[str, Field(min_length=1)]
    baudrate: Annotated[int, Field(ge=300, le=4_000_000)] = 115_200
    timeout_s: Annotated[float, Field(gt=0.0, le=10.0, strict=False)] = 0.5
    channels: Annotated[dict[str, Channels], Field(default_factory=dict)]
    reads: Annotated[dict[str, int], Field(default_factory=dict)]
    accuracy: Annotated[dict[str, float], Field(default_factory=dict)]
    options: Annotated[dict[str, str | int | float], Field(default_factory=dict)]


class BenchFile(FileModel):
    """A whole bench file."""

    title: Annotated[str, Field(min_length=1)]
    rig: Annotated[str, Field(min_length=1)]
    can: CanAdapterSection
    limits: LimitsSection
    timing: TimingSection = TimingSection()
    recording: RecordingSection = RecordingSection()
    instruments: Annotated[tuple[InstrumentSection, ...], Field(strict=False, min_length=1)]


@dataclass(frozen=True, slots=True)
class Bench:
    """A bench file that was read and checked. `rig` is what stands on the bench."""

    path: Path
    file: BenchFile
    rig: Rig
    envelope: Envelope
    instruments: tuple[InstrumentSettings, ...]

    @property
    def name(self) -> str:
        """The file name without its ending."""
        return self.path.stem


def is_bench_file(path: Path) -> bool:
    """Whether a TOML file is a bench file: it names a rig and has no firmware of its own."""
    data = parse_toml(read_text(path), path)
    return "rig" in data and "firmware" not in data and "action" not in data


def load_bench(path: Path, ports: Mapping[str, str] | None = None) -> Bench:
    """Read a bench file and its rig. `ports` replaces the port of instruments by name, the CAN channel as "can" and its
    interface as "can-interface"; options are those of an interface, so another one begins without any.

    Raises RigError with every problem at once: unknown quantities, missing limits, channels that do not fit the rig,
    a limit that the rig's own values leave.
    """
    text = read_text(path)
    data = parse_toml(text, path)
    file = validate(data, BenchFile, path=path, text=text)
    rig = _rig_of(path, text, file.rig)
    problems = [problem_at(path, text, key, found=found, allowed=allowed) for key, found, allowed in _wrong(file, rig)]
    known = {"can", CAN_INTERFACE, *(section.name for section in file.instruments)}
    problems += [
        Problem(str(path), 0, "", f"port for '{name}'", f"one of {', '.join(sorted(known))}")
        for name in ports or {}
        if name not in known
    ]
    if problems:
        raise RigError(problems)
    ports = ports or {}
    file = file.model_copy(update={"can": _adapter(file.can, ports)})
    limits = {name: getattr(file.limits, name) for name in ANALOG}
    return Bench(
        path=path.resolve(),
        file=file,
        rig=rig,
        envelope=Envelope(limits, file.limits.energy_wh),
        instruments=tuple(_settings(section, ports.get(section.name, section.port)) for section in file.instruments),
    )


def _adapter(section: CanAdapterSection, ports: Mapping[str, str]) -> CanAdapterSection:
    update: dict[str, Any] = {"channel": ports["can"]} if "can" in ports else {}
    if ports.get(CAN_INTERFACE, section.interface) != section.interface:
        update |= {"interface": ports[CAN_INTERFACE], "options": {}}
    return section.model_copy(update=update)


def channel_list(text: Channels) -> tuple[int, ...]:
    """The channels a number or a range "first:last" means. Raises ValueError."""
    first, colon, last = str(text).partition(":")
    begin, end = int(first), int(last) if colon else int(first)
    if not 0 <= begin <= end < begin + MAX_CHANNELS:
        raise ValueError(text)
    return tuple(range(begin, end + 1))


def _rig_of(path: Path, text: str, reference: str) -> Rig:
    beside = path.resolve().parent / reference
    try:
        return load_rig(beside if beside.is_file() else find_rig(reference))
    except RigError:
        raise
    except Exception as error:
        raise RigError([problem_at(path, text, ("rig",), found=reference, allowed=str(error))]) from error


def _settings(section: InstrumentSection, port: str) -> InstrumentSettings:
    return InstrumentSettings(
        name=section.name,
        driver=section.driver,
        port=port,
        baudrate=section.baudrate,
        timeout_s=section.timeout_s,
        channels={name: channel_list(channels) for name, channels in section.channels.items()},
        reads=dict(section.reads),
        accuracy=dict(section.accuracy),
        options=dict(section.options),
    )


def _wrong(file: BenchFile, rig: Rig) -> list[tuple[KeyPath, Any, str]]:
    found: list[tuple[KeyPath, Any, str]] = []
    for name in ANALOG:
        least, greatest = getattr(file.limits, name)
        if not least < greatest:
            found.append((("limits", name), [least, greatest], "least below greatest"))
    names: set[str] = set()
    given: dict[str, str] = {}
    for place, section in enumerate(file.instruments):
        key: KeyPath = ("instruments", place)
        if section.name in names or section.name == "can":
            found.append(((*key, "name"), section.name, "a name of its own, not 'can'"))
        names.add(section.name)
        found += _wrong_channels(key, section, rig, given)
    for reading in READINGS:
        if not any(reading in section.reads for section in file.instruments):
            found.append((("instruments",), "no instrument", f"one that reads {reading}"))
    for quantity in ANALOG:
        if quantity not in given:
            found.append((("instruments",), "no instrument", f"one that gives {quantity}"))
    return found


def _wrong_channels(
    key: KeyPath, section: InstrumentSection, rig: Rig, given: dict[str, str]
) -> list[tuple[KeyPath, Any, str]]:
    found: list[tuple[KeyPath, Any, str]] = []
    many = {"cell_voltage_v": rig.file.cells.series, "cell_connected": rig.file.cells.series}
    many |= dict.fromkeys(("cell_temp_degc", "temp_connected"), rig.file.pack.temperature_sensors)
    for name, channels in section.channels.items():
        place = (*key, "channels", name)
        if name not in ANALOG and name not in LINES:
            found.append((place, name, f"one of {', '.join((*ANALOG, *LINES))}"))
            continue
        if name in given:
            found.append((place, name, f"one instrument for each; {given[name]} gives it"))
        given[name] = section.name
        try:
            count = len(channel_list(channels))
        except ValueError:
            found.append((place, channels, 'a channel number, or a range "first:last"'))
            continue
        if count != many.get(name, 1):
            found.append((place, channels, f"{many.get(name, 1)} channels, as the rig has"))
    found += [
        ((*key, "reads", name), name, f"one of {', '.join(READINGS)}") for name in section.reads if name not in READINGS
    ]
    found += [
        ((*key, "accuracy", name), name, "a quantity it gives")
        for name in section.accuracy
        if name not in section.channels
    ]
    return found
