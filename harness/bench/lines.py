# SPDX-License-Identifier: Apache-2.0
"""Ports of emulated devices: pseudo-terminals with stable links, and TCP servers. Nothing in here waits.

A device keeps what it has to say while nobody reads, up to `BACKLOG` bytes; what does not fit is lost and counted, as
on an adapter whose memory is full.
"""

from __future__ import annotations

import os
import socket
import tty
from pathlib import Path
from typing import Protocol

from harness.errors import BenchError

BACKLOG = 65_536  # bytes a device keeps for a slow reader
_CHUNK = 65_536


class Line(Protocol):
    """One port of a device. `address`: how the other side opens it (a device or a URL of pyserial)."""

    address: str
    lost: int

    def read(self) -> bytes:
        """What has arrived; empty when nothing has."""
        ...

    def write(self, data: bytes) -> None:
        """Hand bytes over; kept while the other side does not take them."""
        ...

    def waiting(self) -> int:
        """Bytes that were not taken yet."""
        ...

    def forget(self) -> None:
        """Drop what was not taken yet."""
        ...

    def fileno(self) -> int:
        """The descriptor that is readable when something has arrived; it may change when a peer comes or goes."""
        ...

    def close(self) -> None:
        """Unplug it: the other side sees a port that is gone."""
        ...


class PtyLine:
    """A pseudo-terminal; the other side opens `link`. Raw, so that no byte is changed or echoed."""

    def __init__(self, link: Path) -> None:
        self.address = str(link)
        self.lost = 0
        self._link = link
        self._waiting = b""
        self._master, self._slave = os.openpty()  # the slave stays open here: without it a read fails between two peers
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        _relink(link, os.ttyname(self._slave))

    def read(self) -> bytes:
        """See Line."""
        self._push()
        try:
            return os.read(self._master, _CHUNK)
        except BlockingIOError:
            return b""

    def write(self, data: bytes) -> None:
        """See Line."""
        self._waiting, lost = _join(self._waiting, data)
        self.lost += lost
        self._push()

    def waiting(self) -> int:
        """See Line."""
        return len(self._waiting)

    def forget(self) -> None:
        """See Line."""
        self._waiting = b""

    def fileno(self) -> int:
        """See Line."""
        return self._master

    def close(self) -> None:
        """See Line."""
        if self._master < 0:
            return
        self._link.unlink(missing_ok=True)
        os.close(self._slave)
        os.close(self._master)
        self._master = self._slave = -1

    def _push(self) -> None:
        while self._waiting:
            try:
                self._waiting = self._waiting[os.write(self._master, self._waiting) :]
            except BlockingIOError:
                return


class TcpLine:
    """A server on this machine for one peer at a time; the next is let in when the last has gone."""

    def __init__(self, port: int) -> None:
        self.address = f"socket://127.0.0.1:{port}"
        self.lost = 0
        self._waiting = b""
        self._peer: socket.socket | None = None
        try:
            self._listener = socket.create_server(("127.0.0.1", port), backlog=1)
        except OSError as error:
            raise BenchError(
                f"TCP port {port} of this machine cannot be had: {error.strerror}; name another"
            ) from error
        self._listener.settimeout(0.0)

    def read(self) -> bytes:
        """See Line."""
        if self._peer is None:
            self._accept()
        self._push()
        if self._peer is None:
            return b""
        try:
            data = self._peer.recv(_CHUNK)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data:
            self._leave()
        return data

    def write(self, data: bytes) -> None:
        """See Line."""
        if self._peer is None:
            return
        self._waiting, lost = _join(self._waiting, data)
        self.lost += lost
        self._push()

    def waiting(self) -> int:
        """See Line."""
        return len(self._waiting)

    def forget(self) -> None:
        """See Line."""
        self._waiting = b""

    def fileno(self) -> int:
        """See Line."""
        return (self._peer or self._listener).fileno()

    def close(self) -> None:
        """See Line."""
        self._leave()
        self._listener.close()

    def _accept(self) -> None:
        try:
            self._peer, _ = self._listener.accept()
        except (BlockingIOError, OSError):
            return
        self._peer.settimeout(0.0)
        self._peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _leave(self) -> None:
        if self._peer is not None:
            self._peer.close()
        self._peer, self._waiting = None, b""

    def _push(self) -> None:
        while self._peer is not None and self._waiting:
            try:
                self._waiting = self._waiting[self._peer.send(self._waiting) :]
            except BlockingIOError:
                return
            except OSError:
                self._leave()


def _join(waiting: bytes, data: bytes) -> tuple[bytes, int]:
    """The backlog with `data` behind it, and how many bytes had no room: all of `data`, never a piece of it."""
    if len(waiting) + len(data) > BACKLOG:
        return waiting, len(data)
    return waiting + data, 0


def _relink(link: Path, target: str) -> None:
    """Point a link at a new target in one step; a link left behind by a killed process is replaced."""
    beside = link.with_name(f".{link.name}.new")
    beside.unlink(missing_ok=True)
    beside.symlink_to(target)
    beside.replace(link)
