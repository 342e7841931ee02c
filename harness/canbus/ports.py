# SPDX-License-Identifier: Apache-2.0
"""CAN adapters through python-can: any of its interfaces, read by one reader that nothing on the bus can kill.

No thread and no Notifier of python-can: whoever owns the port calls `receive` when its descriptor is readable, or at
every tick. What an adapter sends and nobody can read is counted; only the loss of the adapter is an error.
"""

from __future__ import annotations

import select
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from harness.canbus.portlock import PortLock
from harness.canbus.portmodel import CanPort, PortFrame, PortSettings, PortStatus
from harness.canbus.portopen import open_bus, root_cause
from harness.canbus.portstamps import HostStamps, Timeline, TrackedStamps
from harness.canbus.portstate import BusWatch, watch_for
from harness.clock import Clock
from harness.errors import BenchError
from harness.kernel.config import FrameFlag

if TYPE_CHECKING:
    import can

# Interfaces whose stamps are this machine's time of day, taken by its kernel or by python-can itself.
HOST_STAMPED = frozenset({"virtual", "socketcan", "udp_multicast", "slcan"})
# Buses that several programs share by design: there is no adapter that one could take from the other.
SHARED = frozenset({"virtual", "udp_multicast", "remote", "socketcand"})
MAX_FRAMES = 4000  # in one call: a second of a full 500 kbit/s bus
_MAX_ODD = 1000  # what may be unreadable or unwanted in one call
_MAX_ECHOES = 1000
_MAX_ID, _MAX_EXTENDED_ID = 0x7FF, 0x1FFF_FFFF
_FLAGS = [FrameFlag(number) for number in range(32)]
_FULL = ("full", "overflow", "busy", "would block", "temporarily unavailable", "no buffer space")
_SEND_S: Final = 0.0  # never wait; 0 and not None, which some interfaces take for ever


def open_port(settings: PortSettings, clock: Clock, *, listening: bool = False) -> CanPort:
    """Open an adapter. `listening`: nothing will be sent; a socketcan network may be heard beside a running harness.

    Raises UsageError for what is written wrongly (interface, option, bit rate, missing driver) and BenchError for an
    adapter that is not there, is in use, or does not answer.
    """
    lock = _lock(settings, listening=listening)
    try:
        bus = open_bus(settings)
    except BaseException:
        if lock is not None:
            lock.release()
        raise
    return _PythonCanPort(bus, settings, clock, lock)


def _lock(settings: PortSettings, *, listening: bool) -> PortLock | None:
    channel = str(settings.channel)
    if settings.interface in SHARED:
        return None
    if settings.interface == "socketcan" and (listening or _is_virtual_network(channel)):
        return None
    return PortLock.take(settings.interface, channel)


def _is_virtual_network(name: str) -> bool:
    return (Path("/sys/devices/virtual/net") / name).exists()


class _PythonCanPort:
    """See CanPort."""

    def __init__(self, bus: can.BusABC, settings: PortSettings, clock: Clock, lock: PortLock | None) -> None:
        self._bus, self._settings, self._clock, self._lock = bus, settings, clock, lock
        self._name = f"{settings.interface} {settings.channel}"
        self._time = Timeline(HostStamps() if settings.interface in HOST_STAMPED else TrackedStamps())
        self._descriptor = _descriptor_of(bus)
        self._is_readable = _readable(self._descriptor)
        self._watch: BusWatch = watch_for(settings.interface, bus)
        self._echoes: deque[tuple[int, bytes, int]] | None = None
        self._names_own = settings.interface != "socketcan"  # that calls own whatever this machine sends
        if settings.interface == "udp_multicast" or settings.options.get("receive_own_messages") is True:
            self._echoes = deque(maxlen=_MAX_ECHOES)
        self._wanted = settings.filters
        self._frames = self._error_frames = self._malformed = self._refused = 0
        self._lost_text = ""
        self._closed = False
        import can  # noqa: PLC0415 - heavy, and loaded by now

        self._message: Callable[..., can.Message] = can.Message
        self._can_error: type[Exception] = can.CanError

    def send(self, frame: PortFrame) -> None:
        """See CanPort. A frame that finds the adapter's queue full is dropped and counted as refused."""
        if self._closed:
            return
        self._check()
        flags = frame.flags
        message = self._message(
            arbitration_id=frame.id,
            is_extended_id=bool(flags & FrameFlag.EXTENDED),
            is_fd=bool(flags & FrameFlag.FD),
            bitrate_switch=bool(flags & FrameFlag.BRS),
            is_remote_frame=bool(flags & FrameFlag.REMOTE),
            dlc=len(frame.data),
            data=None if flags & FrameFlag.REMOTE else frame.data,
            check=False,
        )
        try:
            self._bus.send(message, timeout=_SEND_S)
        except Exception as error:  # noqa: BLE001 - drivers raise what they like
            self._not_sent(error)
            return
        if self._echoes is not None:
            self._echoes.append((frame.id, frame.data, int(flags)))

    def receive(self) -> list[PortFrame]:
        """See CanPort. What is more than `MAX_FRAMES` stays for the next call."""
        if self._closed:
            return []
        self._check()
        self._time.begin(self._clock)
        frames: list[PortFrame] = []
        odd = 0
        while len(frames) < MAX_FRAMES and odd < _MAX_ODD:
            try:
                message = self._bus.recv(0)
            except Exception as error:  # noqa: BLE001 - drivers raise what they like
                self._not_read(error)
                odd += 1
                continue
            if message is None:
                if self._is_readable():
                    odd += 1
                    continue
                self._time.all_read(self._clock.now_ns())
                break
            frame = self._frame(message)
            if frame is None:
                odd += 1
            else:
                frames.append(frame)
        return frames

    def fileno(self) -> int | None:
        """See CanPort."""
        return None if self._closed else self._descriptor

    def status(self) -> PortStatus:
        """See CanPort. Also after the adapter was lost."""
        if not self._closed and not self._lost_text:
            try:
                self._watch.ask()
            except Exception:  # noqa: BLE001 - a driver that cannot tell must not end a run; losing it shows in receive
                self._malformed += 1
        watch = self._watch
        return PortStatus(
            state=watch.state,
            transmit_errors=watch.transmit_errors,
            receive_errors=watch.receive_errors,
            frames=self._frames,
            error_frames=self._error_frames + watch.errors,
            malformed=self._malformed + watch.garbage,
            lost=watch.lost,
            refused=self._refused + watch.refused,
        )

    def close(self) -> None:
        """See CanPort."""
        if self._closed:
            return
        self._closed = True
        try:
            self._bus.shutdown()
        except Exception:  # noqa: BLE001 - an adapter that is gone cannot be told goodbye
            _abandon(self._bus)
        finally:
            if self._lock is not None:
                self._lock.release()

    def _frame(self, message: can.Message) -> PortFrame | None:
        """None for what cannot be, what is not wanted, and counts it."""
        identifier, data, length = message.arbitration_id, bytes(message.data), message.dlc
        now_ns = self._clock.now_ns()
        number = (
            message.is_extended_id
            | message.is_fd << 1
            | message.bitrate_switch << 2
            | message.is_remote_frame << 3
            | message.is_error_frame << 4
        )
        if message.is_error_frame:
            self._error_frames += 1
            self._watch.error_frame(identifier, data)
            return PortFrame(self._time.place(message.timestamp, now_ns), identifier, data, _FLAGS[number])
        if message.is_remote_frame:
            data = bytes(length)
        if len(data) != length or not 0 <= identifier <= (_MAX_EXTENDED_ID if number & 1 else _MAX_ID):
            self._malformed += 1
            return None
        t_ns = self._time.place(message.timestamp, now_ns)
        own = bool(self._echoes) and self._is_echo((identifier, data, number))
        own = own or (self._names_own and not message.is_rx)
        self._frames += not own
        if self._wanted and not any((identifier ^ wanted) & mask == 0 for wanted, mask in self._wanted):
            return None
        return PortFrame(t_ns, identifier, data, _FLAGS[number], 0, own)

    def _is_echo(self, sent: tuple[int, bytes, int]) -> bool:
        """Whether a frame is one of ours; those that were sent before it and did not come back will not."""
        assert self._echoes is not None
        if sent not in self._echoes:
            return False
        while self._echoes.popleft() != sent:
            pass
        return True

    def _check(self) -> None:
        if self._lost_text:
            raise BenchError(self._lost_text)

    def _not_read(self, error: Exception) -> None:
        """A frame that cannot be read is counted; anything else means that the adapter is gone."""
        root = root_cause(error)
        if not isinstance(root, (OSError, self._can_error)) and type(root).__name__ != "WebsocketClosed":
            self._malformed += 1
            return
        self._lose(error)

    def _not_sent(self, error: Exception) -> None:
        text = f"{error} {root_cause(error)}".lower()
        if isinstance(root_cause(error), TimeoutError) or any(word in text for word in _FULL):
            self._refused += 1
            return
        self._lose(error)

    def _lose(self, error: Exception) -> None:
        reason = " ".join(f"{root_cause(error)}".split()) or type(error).__name__
        self._lost_text = (
            f"CAN adapter {self._name} is lost: {reason}. {self._frames} frames had been received. "
            "Check its plug, its power and the other side, then try again"
        )
        raise BenchError(self._lost_text) from error


def _abandon(bus: can.BusABC) -> None:
    """Let go of an adapter that could not be shut down, so that python-can does not try again."""
    import can  # noqa: PLC0415 - see above

    with suppress(Exception):
        can.BusABC.shutdown(bus)
    with suppress(Exception):
        bus.socket.close()  # type: ignore[attr-defined] # interfaces over a network have one


def _descriptor_of(bus: can.BusABC) -> int | None:
    try:
        descriptor: Any = bus.fileno()
    except Exception:  # noqa: BLE001 - each interface says in its own way that it has none
        return None
    return descriptor if isinstance(descriptor, int) and descriptor >= 0 else None


def _readable(descriptor: int | None) -> Callable[[], bool]:
    """Whether there is more to read, asked where an interface gave nothing."""
    if descriptor is None:
        return lambda: False
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return lambda: bool(poll.poll(0))
