# SPDX-License-Identifier: Apache-2.0
"""A CAN bus over TCP on this machine: python-can-remote's server as a process of its own, and our port on it.

The server opens a virtual bus of its own process for every client, all on one channel: a hub.
"""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence

from harness.canbus.portmodel import CanPort, PortFrame, PortSettings, PortStatus
from harness.clock import NS_PER_S, Clock
from harness.errors import BenchError, UsageError
from harness.kernel.bustypes import NodeState

_HOST = "127.0.0.1"
_START_S = 10.0
_PAUSE_NS = NS_PER_S // 50
_END_S = 2.0


class HubPort:
    """The controller's side of a hub, which can be ended and started again. `opener` opens a port of python-can.

    Raises UsageError when python-can-remote is not installed, BenchError when the server does not start.
    """

    def __init__(self, tcp_port: int, bitrate: int, clock: Clock, opener: Callable[[PortSettings], CanPort]) -> None:
        if importlib.util.find_spec("can_remote") is None:
            raise UsageError("CAN over TCP needs python-can-remote: pip install 'bms-harness[remote]'")
        self._tcp_port = tcp_port
        self._bitrate = bitrate
        self._clock = clock
        self._opener = opener
        self._server: subprocess.Popen[bytes] | None = None
        self._port: CanPort | None = None
        self.plug()

    @property
    def address(self) -> str:
        """The channel the other side opens with interface `remote`."""
        return f"ws://{_HOST}:{self._tcp_port}/"

    @property
    def is_plugged(self) -> bool:
        """See PluggedPort."""
        return self._port is not None

    def plug(self) -> None:
        """Start the server and connect to it."""
        if self._port is not None:
            return
        _refuse_taken(self._tcp_port)
        words = ("--interface", "virtual", "--channel", "box", "-H", _HOST, "-p", str(self._tcp_port))
        self._server = subprocess.Popen(  # noqa: S603 - our own interpreter, fixed words
            [sys.executable, "-m", "can_remote", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us: we end it
        )
        try:
            self._await_server(self._server)
            self._port = self._opener(PortSettings("remote", self.address, self._bitrate))
        except BaseException:
            self.unplug()
            raise

    def unplug(self) -> None:
        """End the server: every client loses its bus."""
        port, self._port = self._port, None
        server, self._server = self._server, None
        if port is not None:
            port.close()
        if server is not None:
            server.terminate()
            try:
                server.wait(_END_S)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()

    def send(self, frame: PortFrame) -> None:
        """See CanPort."""
        if self._port is not None:
            self._port.send(frame)

    def receive(self) -> Sequence[PortFrame]:
        """See CanPort."""
        return self._port.receive() if self._port is not None else ()

    def fileno(self) -> int | None:
        """See CanPort."""
        return self._port.fileno() if self._port is not None else None

    def status(self) -> PortStatus:
        """See CanPort."""
        return self._port.status() if self._port is not None else PortStatus(NodeState.ERROR_ACTIVE)

    def close(self) -> None:
        """See CanPort."""
        self.unplug()

    def _await_server(self, server: subprocess.Popen[bytes]) -> None:
        deadline_ns = self._clock.now_ns() + int(_START_S * NS_PER_S)
        while self._clock.now_ns() < deadline_ns:
            if server.poll() is not None:
                raise BenchError(f"python-can-remote ended at once with code {server.returncode}; is the port free?")
            try:
                socket.create_connection((_HOST, self._tcp_port), timeout=1.0).close()
            except OSError:
                self._clock.sleep_until_ns(self._clock.now_ns() + _PAUSE_NS)
            else:
                return
        raise BenchError(f"python-can-remote did not answer on TCP port {self._tcp_port} within {_START_S:g} s")


def _refuse_taken(tcp_port: int) -> None:
    try:
        socket.create_server((_HOST, tcp_port)).close()
    except OSError as error:
        raise BenchError(f"TCP port {tcp_port} cannot be had for CAN: {error.strerror}; name another") from error
