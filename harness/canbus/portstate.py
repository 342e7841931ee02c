# SPDX-License-Identifier: Apache-2.0
"""Fault confinement and error counters of an adapter, as far as its interface tells: each does it in its own way."""

from __future__ import annotations

from typing import Any, Protocol

from harness.kernel.bustypes import NodeState

# linux/can/error.h: class of an error frame in its identifier, details in its data
_CONTROLLER, _BUS_OFF, _RESTARTED, _COUNTERS = 0x004, 0x040, 0x100, 0x200
_RX_OVERFLOW, _TX_OVERFLOW, _RX_PASSIVE, _TX_PASSIVE, _ACTIVE = 0x01, 0x02, 0x10, 0x20, 0x40
_ERROR_BYTES = 8
# PCANBasic.h: PCAN_ERROR_BUSPASSIVE, PCAN_ERROR_BUSOFF, PCAN_ERROR_OVERRUN | PCAN_ERROR_QOVERRUN
_PCAN_PASSIVE, _PCAN_BUS_OFF, _PCAN_OVERRUN = 0x40000, 0x00010, 0x00002 | 0x00040


class BusWatch(Protocol):
    """What is known about an adapter beside its frames."""

    state: NodeState
    transmit_errors: int | None
    receive_errors: int | None
    lost: int
    refused: int
    garbage: int
    errors: int  # on the bus, told in another way than by error frames

    def ask(self) -> None:
        """Ask the driver where it can be asked; never waits."""
        ...

    def error_frame(self, identifier: int, data: bytes) -> None:
        """An error frame has come."""
        ...


def watch_for(interface: str, bus: Any) -> BusWatch:
    """The watch of an interface."""
    return {"socketcan": _SocketCan, "slcan": _Slcan, "pcan": _Pcan}.get(interface, _Plain)(bus)


class _Plain:
    """Interfaces of which only python-can's own `state` is known."""

    def __init__(self, bus: Any) -> None:
        self._bus = bus
        self.state = NodeState.ERROR_ACTIVE
        self.transmit_errors: int | None = None
        self.receive_errors: int | None = None
        self.lost = self.refused = self.garbage = self.errors = 0

    def ask(self) -> None:
        """See BusWatch."""
        name = getattr(self._bus.state, "name", "ACTIVE")
        known = {"PASSIVE": NodeState.ERROR_PASSIVE, "ERROR": NodeState.BUS_OFF}
        self.state = known.get(name, NodeState.ERROR_ACTIVE)

    def error_frame(self, identifier: int, data: bytes) -> None:
        """See BusWatch."""


class _SocketCan(_Plain):
    """Linux tells in error frames whatever changes: state, overruns, and the counters where the driver has them."""

    def ask(self) -> None:
        """See BusWatch: nothing to ask."""

    def error_frame(self, identifier: int, data: bytes) -> None:
        """See BusWatch."""
        data = data.ljust(_ERROR_BYTES, b"\0")
        if identifier & _BUS_OFF:
            self.state = NodeState.BUS_OFF
        elif identifier & _RESTARTED:
            self.state = NodeState.ERROR_ACTIVE
        elif identifier & _CONTROLLER:
            if data[1] & (_RX_PASSIVE | _TX_PASSIVE):
                self.state = NodeState.ERROR_PASSIVE
            elif data[1] & ~(_RX_OVERFLOW | _TX_OVERFLOW):  # active again, or a warning, which still is active
                self.state = NodeState.ERROR_ACTIVE
            self.lost += bool(data[1] & _RX_OVERFLOW)
        if identifier & _COUNTERS:
            self.transmit_errors, self.receive_errors = data[6], data[7]


class _Slcan(_Plain):
    """Status flags by the command F; the answer comes with the frames and is known when asked the next time.

    The adapter clears them when it tells them, so each overrun is counted once.
    """

    def ask(self) -> None:
        """See BusWatch."""
        from harness.canbus import slcanbus  # noqa: PLC0415 - loads python-can, which is loaded by now

        bus = self._bus
        if bus.flags is not None:
            self.state = NodeState.ERROR_PASSIVE if bus.flags & slcanbus.PASSIVE else NodeState.ERROR_ACTIVE
            self.lost += bool(bus.flags & (slcanbus.OVERRUN | slcanbus.QUEUE_FULL))
            self.errors += bool(bus.flags & slcanbus.BUS_ERROR)
            bus.flags = None
        self.refused, self.garbage = bus.refused, bus.garbage
        bus.ask_flags()


class _Pcan(_Plain):
    """PCANBasic has a status word."""

    def ask(self) -> None:
        """See BusWatch."""
        status = self._bus.status()
        passive = NodeState.ERROR_PASSIVE if status & _PCAN_PASSIVE else NodeState.ERROR_ACTIVE
        self.state = NodeState.BUS_OFF if status & _PCAN_BUS_OFF else passive
        self.lost += bool(status & _PCAN_OVERRUN)
