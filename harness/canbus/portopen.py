# SPDX-License-Identifier: Apache-2.0
"""Opening a bus of python-can, and saying in the user's words why it cannot be opened."""

from __future__ import annotations

import difflib
import errno
import importlib
import inspect
import logging
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.canbus.portmodel import PortSettings
from harness.errors import BenchError, HarnessError, UsageError

if TYPE_CHECKING:
    import can

OUR_SLCAN = ("harness.canbus.slcanbus", "SlcanBus")
# What an interface needs besides python-can, in the words of its maker; others name it themselves.
NEEDS: Mapping[str, str] = {
    "remote": 'pip install "bms-harness[remote]"',
    "udp_multicast": "pip install msgpack",
    "gs_usb": 'pip install "python-can[gs-usb]", and libusb',
    "canalystii": 'pip install "python-can[canalystii]"',
    "cantact": 'pip install "python-can[cantact]"',
    "neovi": 'pip install "python-can[neovi]"',
    "pcan": "PCAN-Basic of PEAK-System (libpcanbasic.so); with the driver of the Linux kernel use socketcan instead",
    "kvaser": "CANlib of Kvaser (libcanlib.so); with the driver of the Linux kernel use socketcan instead",
    "vector": "the XL Driver Library of Vector, which there is for Windows only",
    "ixxat": "the VCI driver of HMS, which there is for Windows only; on Linux use socketcan",
    "nixnet": "NI-XNET, which there is for Windows only",
    "systec": "the driver of SYS TEC, which python-can knows for Windows only; on Linux use socketcan",
    "etas": "the BOA of ETAS, which there is for Windows only",
    "usb2can": "pip install pywin32 and the driver of 8devices, for Windows; on Linux use socketcan",
}
_BY_TIMING = frozenset({"pcan", "slcan"})  # take a data bit rate only as a whole bit timing
_TIMING_CLOCK_HZ = 80_000_000  # of FD controllers, and what CiA 601-3 recommends
_SAMPLE_POINT = 80.0  # percent; CiA 601-3 for 500 kbit/s and more
_OPEN_S = 5.0  # how long a network interface may take to answer
_ARPHRD_CAN = 280  # linux/if_arp.h
_IFF_UP = 1
_SHOWN = 200


def open_bus(settings: PortSettings) -> can.BusABC:
    """A bus of python-can. Raises UsageError for what is written wrongly, BenchError for what is not there."""
    logging.getLogger("can").addHandler(logging.NullHandler())  # its warnings are told as errors, or not at all
    bus_class = _class_of(settings.interface)
    if settings.channel == "":
        raise UsageError(
            f"CAN interface {settings.interface}: no channel is named, e.g. /dev/ttyACM0, can0 or host:port"
        )
    options = _options(settings, bus_class)
    _look_before(settings)
    with _explained(settings), _network_patience():
        bus: can.BusABC = bus_class(_channel(settings), **options)
        return bus


def _class_of(interface: str) -> Any:
    from can.interfaces import BACKENDS  # noqa: PLC0415 - heavy, and only where an adapter is opened

    if interface not in BACKENDS:
        if interface == "remote":
            raise UsageError(_missing(interface, "python-can-remote is not installed"))
        near = difflib.get_close_matches(interface, [*BACKENDS, "remote"], n=1)
        hint = f"; did you mean {near[0]}?" if near else "."
        known = ", ".join(sorted({*BACKENDS, "remote"}))
        raise UsageError(f"no CAN interface '{interface}'{hint} Interfaces of python-can: {known}")
    module, name = OUR_SLCAN if interface == "slcan" else BACKENDS[interface]
    try:
        return getattr(importlib.import_module(module), name)
    except Exception as error:
        raise UsageError(_missing(interface, _text(error))) from error


def _missing(interface: str, reason: str) -> str:
    need = NEEDS.get(interface, "see 'CAN interface modules' in the documentation of python-can")
    return f"CAN interface {interface} cannot be used on this machine: {reason}. It needs: {need}"


def _channel(settings: PortSettings) -> str | int:
    """A number where it is one: some interfaces count their channels."""
    channel = settings.channel
    if settings.interface in {"slcan", "remote", "socketcan", "udp_multicast"}:
        return str(channel)
    return int(channel) if isinstance(channel, str) and channel.isdigit() else channel


def _options(settings: PortSettings, bus_class: Any) -> dict[str, Any]:
    """Bit rates and options as the interface takes them. Raises UsageError for an option it does not have."""
    known = _known_options(bus_class)
    for name in settings.options:
        if settings.interface != "remote" and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else "."
            allowed = ", ".join(sorted(known)) or "none"
            raise UsageError(f"CAN interface {settings.interface} has no option '{name}'{hint} Its options: {allowed}")
    return {"bitrate": settings.bitrate, **_data_rate(settings), **settings.options}


def _known_options(bus_class: Any) -> set[str]:
    """Parameters by signature, and those that are only documented (some interfaces hide them in **kwargs)."""
    known: set[str] = set()
    for base in bus_class.__mro__:
        init = base.__dict__.get("__init__")
        if init is None or base.__module__ == "can.bus" or base is object:
            continue
        known |= {
            name
            for name, parameter in inspect.signature(init).parameters.items()
            if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        }
        known |= set(re.findall(r":param\s+(?:[^:\n]*\s)?(\w+)\s*:", init.__doc__ or ""))
    return known - {"self", "channel", "bitrate", "data_bitrate", "can_filters", "timing", "kwargs"}


def _data_rate(settings: PortSettings) -> dict[str, Any]:
    if not settings.data_bitrate:
        return {}
    import can  # noqa: PLC0415 - heavy, and only where an adapter is opened

    if settings.interface == "virtual":
        return {"protocol": can.CanProtocol.CAN_FD}
    if settings.interface not in _BY_TIMING:
        return {"fd": True, "data_bitrate": settings.data_bitrate}
    try:
        timing = can.BitTimingFd.from_sample_point(
            f_clock=_TIMING_CLOCK_HZ,
            nom_bitrate=settings.bitrate,
            nom_sample_point=_SAMPLE_POINT,
            data_bitrate=settings.data_bitrate,
            data_sample_point=_SAMPLE_POINT,
        )
    except ValueError as error:
        rates = f"{settings.bitrate} and {settings.data_bitrate} bit/s"
        raise UsageError(f"CAN FD at {rates} cannot be made from the usual {_TIMING_CLOCK_HZ} Hz: {error}") from error
    return {"timing": timing}


def _look_before(settings: PortSettings) -> None:
    """What python-can would not notice or not name."""
    if settings.interface != "socketcan":
        return
    name = str(settings.channel)
    folder = Path("/sys/class/net")
    found = _can_networks(folder)
    if name not in found:
        there = f"found: {', '.join(found)}" if found else "this machine has no CAN network interface at all"
        raise BenchError(f"no CAN network interface '{name}'; {there}. Plug the adapter in, or load its driver")
    if not int((folder / name / "flags").read_text(), 16) & _IFF_UP:
        up = f"sudo ip link set {name} up type can bitrate {settings.bitrate}"
        raise BenchError(f"CAN network interface '{name}' is down; bring it up: {up}")


def _can_networks(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    kinds = {entry.name: entry / "type" for entry in sorted(folder.iterdir())}
    return [name for name, kind in kinds.items() if kind.is_file() and int(kind.read_text()) == _ARPHRD_CAN]


@contextmanager
def _network_patience() -> Iterator[None]:
    """A host that does not answer must not hold the harness up for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_OPEN_S)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


@contextmanager
def _explained(settings: PortSettings) -> Iterator[None]:
    try:
        yield
    except HarnessError:
        raise
    except Exception as error:
        raise _explanation(error, settings) from error


def _explanation(error: Exception, settings: PortSettings) -> HarnessError:
    import can  # noqa: PLC0415 - see _data_rate

    what = f"CAN adapter {settings.interface} {settings.channel}"
    root = root_cause(error)
    if isinstance(error, (can.CanInterfaceNotImplementedError, ImportError, NameError)) or _no_library(root):
        return UsageError(_missing(settings.interface, _text(error)))
    if isinstance(root, (TypeError, ValueError)):
        given = ", ".join(f"{name} = {value!r}" for name, value in settings.options.items()) or "none"
        return UsageError(f"{what}: {_text(root)}. Check channel, bit rate and options; options given: {given}")
    number = root.errno if isinstance(root, OSError) else None
    return BenchError(f"{what} cannot be opened: {_text(error)}. {_remedy(settings, number, _text(error))}")


def _remedy(settings: PortSettings, number: int | None, text: str) -> str:
    if settings.interface == "remote":
        return "Start the other side first, and give its address as host:port or ws://host:port"
    if settings.interface == "udp_multicast":
        return "The channel is a multicast address such as 239.74.163.2; the machine needs a route for it"
    if number == errno.ENOENT or "inappropriate ioctl" in text.lower():
        return f"Serial ports found: {', '.join(_serial_ports()) or 'none'}"
    if number in (errno.EACCES, errno.EPERM):
        return (
            "Your user may not open it; put the user into the group of the device, usually 'dialout', and log in again"
        )
    if number == errno.EBUSY:
        return "Another program has it open; end that one"
    return "Check that it is plugged in and powered, that nothing else has it open, and that the channel is right"


def _serial_ports() -> list[str]:
    return sorted(str(path) for kind in ("ttyACM*", "ttyUSB*", "serial/by-id/*") for path in Path("/dev").glob(kind))


def _no_library(root: BaseException) -> bool:
    """A vendor's library that is not there: an OSError without a number."""
    return isinstance(root, OSError) and root.errno is None and "library" in str(root).lower()


def root_cause(error: BaseException) -> BaseException:
    """The error at the beginning of a chain."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _text(error: BaseException) -> str:
    text = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    cause = " ".join(str(root_cause(error)).split()).rstrip(".")
    if cause and cause not in text:
        text = f"{text} ({cause})"
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
