# SPDX-License-Identifier: Apache-2.0
"""One harness for each CAN adapter: a lock file in the folder for temporary files, with the process that holds it."""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
from pathlib import Path
from typing import Self

from harness.errors import BenchError

_LONGEST_NAME = 100


class PortLock:
    """The lock of one adapter. The operating system takes it from a process that ends, however it ends; the file of a
    killed process is taken over, so nothing has to be cleaned up by hand.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path, self._descriptor = path, descriptor

    @classmethod
    def take(cls, interface: str, channel: str) -> Self:
        """Raises BenchError when another process, or another port of this one, has the adapter."""
        path = lock_path(interface, channel)
        while True:
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except PermissionError as error:
                raise BenchError(
                    f"CAN adapter {interface} {channel}: its lock file {path} belongs to another user, whose "
                    "harness may be using the adapter; end that harness, or have its user remove the file"
                ) from error
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                holder = _holder(descriptor)
                os.close(descriptor)
                raise BenchError(
                    f"CAN adapter {interface} {channel} is in use by {holder}; end that one first, or name another "
                    "adapter. Two harnesses on one adapter would steal each other's frames"
                ) from error
            if _is_still(path, descriptor):
                break
            os.close(descriptor)  # its holder removed the file between our two calls: take the new one
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        return cls(path, descriptor)

    def release(self) -> None:
        """Let others have the adapter; releasing twice is fine."""
        if self._descriptor >= 0:
            self._path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = -1


def lock_path(interface: str, channel: str) -> Path:
    """Where the lock of an adapter is. A port reached through links has the lock of what the links end at."""
    real = os.path.realpath(channel) if "/" in channel and "://" not in channel else channel
    name = re.sub(r"[^A-Za-z0-9]+", "-", f"{interface}-{real}").strip("-")[-_LONGEST_NAME:]
    return Path(tempfile.gettempdir()) / f"bms-harness-{name}.lock"


def _holder(descriptor: int) -> str:
    text = os.pread(descriptor, 20, 0).decode("ascii", errors="replace").strip()
    if not text.isdigit():
        return "another process"
    return "this process, which opened it before" if int(text) == os.getpid() else f"process {text}"


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
