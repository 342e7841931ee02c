# SPDX-License-Identifier: Apache-2.0
"""Loads the kernel and firmware into this process.

Firmware keeps its state in globals, so every load is a private copy of the file: two sessions never share a byte.
Loading native code is trusting it; only files the builder made, or the user named, come here.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tempfile
import weakref
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.errors import FirmwareError, UsageError
from harness.firmware.cache import cache_folder
from harness.firmware.declarations import load_declarations
from harness.firmware.symbols import LineTable, read_line_table

# fil.h: name of the call, and of its pointer in struct bh_firmware.
_CALLS = {
    "fil_abi_version": "abi_version",
    "fil_init": "init",
    "fil_step": "step",
    "fil_can_rx": "can_rx",
    "fil_can_tx": "can_tx",
    "fil_nvm": "nvm",
    "fil_last_error": "last_error",
}
_LONG_RUN_CALLS = {"fil_idle": "idle", "fil_pass": "pass"}  # optional, both or none


@dataclass(frozen=True, slots=True)
class KernelLibrary:
    """The simulation kernel: `lib` has the functions of kernel.h, `ffi` its types (both untyped by nature of cffi)."""

    path: Path
    ffi: Any
    lib: Any


def load_kernel(path: Path) -> KernelLibrary:
    """Load a kernel made by `build_kernel`. Raises FirmwareError when it does not fit this version of the harness."""
    ffi = load_declarations()
    lib = _open(ffi, str(path), path)
    found = lib.bh_abi_version()
    if found != lib.BH_ABI_VERSION:
        _refuse_version(path, "kernel", found, lib.BH_ABI_VERSION)
    return KernelLibrary(path, ffi, lib)


def load_firmware(kernel: KernelLibrary, path: Path) -> FirmwareLibrary:
    """Load a private copy of a firmware library.

    Raises FirmwareError when it is not a library, misses calls of fil.h (all are named) or speaks another version.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FirmwareError(f"{path}: cannot read the firmware library: {error.strerror}") from error
    lib, copy = _open_private(kernel.ffi, path, content)
    firmware = FirmwareLibrary(kernel, path, content, lib, copy)
    try:
        firmware.check()
    except FirmwareError:
        firmware.close()
        raise
    return firmware


class FirmwareLibrary:
    """One private copy of a firmware. Close the simulations that use it first."""

    def __init__(self, kernel: KernelLibrary, path: Path, content: bytes, lib: Any, copy: Path | None) -> None:
        self.path = path
        self.digest = hashlib.sha256(content).hexdigest()
        self._kernel = kernel
        self._lib = lib
        self._notes: Any = None  # keeps what `probe` was given where it is
        # Counters of a coverage build lie in the memory that a checkpoint puts back.
        self._copyable = b"__gcov_" not in content
        self._pristine = self._save() if self._copyable and self.missing_calls() == () else None
        self._unload = weakref.finalize(self, _unload, kernel.ffi, lib, copy)

    @property
    def functions(self) -> tuple[Any, Any]:
        """Types and functions of the library, for those it has beyond fil.h. Valid until close()."""
        return self._kernel.ffi, self._lib

    @property
    def checkpointable(self) -> bool:
        """Whether its memory can be copied out and back; if not, every scenario boots afresh."""
        return self._pristine is not None

    @property
    def memory_bytes(self) -> int:
        """Size of its writable memory, 0 when it cannot be told."""
        return 0 if self._pristine is None else len(self._pristine)

    def missing_calls(self) -> tuple[str, ...]:
        """The calls of fil.h it does not have."""
        return tuple(name for name in _CALLS if not self._has(name))

    def check(self) -> None:
        """Raise FirmwareError when it cannot be used with this harness."""
        missing = self.missing_calls()
        if missing:
            raise FirmwareError(
                f"{self.path}: the firmware does not implement {', '.join(missing)}; "
                "every call of fil.h that is not optional is needed, see docs/bring-your-own-firmware.md"
            )
        found = self._lib.fil_abi_version()
        if found != self._lib.FIL_ABI_VERSION:
            _refuse_version(self.path, "firmware", found, self._lib.FIL_ABI_VERSION)

    def fill(self, target: Any) -> None:
        """Write its calls into a `struct bh_firmware`. They are valid until close()."""
        ffi = self._kernel.ffi
        for name, field in _CALLS.items():
            setattr(target, field, ffi.addressof(self._lib, name))
        passes = all(self._has(name) for name in _LONG_RUN_CALLS)
        for name, field in _LONG_RUN_CALLS.items():
            setattr(target, field, ffi.addressof(self._lib, name) if passes else ffi.NULL)
        target.address = self._address()
        target.pristine = ffi.NULL if self._pristine is None else self._pristine

    def pointers(self) -> Any:
        """A new `struct bh_firmware *` with its calls."""
        target = self._kernel.ffi.new("bh_firmware *")
        self.fill(target[0])
        return target

    def defect(self, number: int) -> None:
        """Switch a seeded defect on, 0 = none. Its memory starts over, so do it before a simulation uses it.

        Raises UsageError when the firmware has no such defect.
        """
        if not self._has("fil_defect"):
            raise UsageError(f"{self.path}: this firmware has no seeded defects (fil_defect is missing)")
        lib, address, pristine = self._kernel.lib, self._address(), self._pristine
        if pristine is not None:
            lib.bh_firmware_load(address, pristine, len(pristine))
        if self._lib.fil_defect(number) < 0:
            raise UsageError(f"{self.path}: this firmware has no defect {number}")
        if pristine is not None:  # a power cycle does not repair it
            lib.bh_firmware_save(address, pristine, len(pristine))

    def probe(self, seen: bytearray | None = None) -> bytearray | None:
        """Have a probe build note what it executes in `seen`, which an earlier call returned, or in a new one.

        Returns it, None for any other firmware. Its size must stay. The firmware's memory starts over, as with
        `defect`.
        """
        size = self._lib.bh_probe(self._kernel.ffi.NULL) if self._has("bh_probe") else 0
        if not size:
            return None
        lib, address, pristine = self._kernel.lib, self._address(), self._pristine
        notes = bytearray(size) if seen is None else seen
        if pristine is not None:
            lib.bh_firmware_load(address, pristine, len(pristine))
        self._notes = self._kernel.ffi.from_buffer("unsigned char[]", notes)
        self._lib.bh_probe(self._notes)
        if pristine is not None:  # a power cycle does not end it
            lib.bh_firmware_save(address, pristine, len(pristine))
        return notes

    def symbolize(self, address: int) -> str | None:
        """The "file:line" of a program counter relative to the load address; None when it cannot be told."""
        return self._line_table.place(address) if address > 0 else None

    def close(self) -> None:
        """Unload it; further calls do nothing."""
        self._unload()

    @cached_property
    def _line_table(self) -> LineTable:
        return read_line_table(self.path)

    def _has(self, name: str) -> bool:
        ffi = self._kernel.ffi
        try:
            ffi.addressof(self._lib, name)
        except (AttributeError, ffi.error):
            return False
        return True

    def _address(self) -> Any:
        return self._kernel.ffi.cast("void *", self._kernel.ffi.addressof(self._lib, "fil_step"))

    def _save(self) -> Any:
        """Its writable memory as it is now, or None when the kernel cannot tell where that is."""
        lib = self._kernel.lib
        address = self._address()
        size = lib.bh_firmware_size(address)
        buffer = self._kernel.ffi.new("uint8_t[]", size)
        return buffer if size > 0 and lib.bh_firmware_save(address, buffer, size) == 0 else None


def _open(ffi: Any, name: str, shown: Path) -> Any:
    try:
        return ffi.dlopen(name, ffi.RTLD_NOW | ffi.RTLD_LOCAL)
    except OSError as error:
        raise FirmwareError(f"{shown}: cannot be loaded: {error}") from error


def _open_private(ffi: Any, path: Path, content: bytes) -> tuple[Any, Path | None]:
    """The loaded library and the file to remove afterwards, if any."""
    stays = _must_stay_on_disk(content)
    if stays and not _is_loaded(path):
        return _open(ffi, str(path), path), None
    lib, copy = _open_copy(ffi, path, content)
    if stays:
        return lib, copy
    _remove(copy)
    return lib, None


def _open_copy(ffi: Any, path: Path, content: bytes) -> tuple[Any, Path]:
    """A loaded copy and its path. Folders for temporary files may forbid programs; the cache is the second try."""
    first: FirmwareError | None = None
    for folder in (Path(tempfile.gettempdir()), cache_folder()):
        try:
            copy = _copy_into(folder, path, content)
        except OSError as error:
            first = first or FirmwareError(f"no room for a private copy of {path}: {error}; set TMPDIR")
            continue
        try:
            return _open(ffi, str(copy), path), copy
        except FirmwareError as error:
            _remove(copy)
            first = first or error
    assert first is not None
    raise first


def _copy_into(folder: Path, path: Path, content: bytes) -> Path:
    """A copy under a name of its own: the system's loader shares files, and names, that it has seen before."""
    handle, name = tempfile.mkstemp(prefix=f"{path.stem[:16]}-", suffix=path.suffix, dir=folder)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    return Path(name)


def _must_stay_on_disk(content: bytes) -> bool:
    """Windows locks a loaded file, and the sanitizer reads it again for its report."""
    return sys.platform == "win32" or b"__asan_" in content


def _is_loaded(path: Path) -> bool:
    """Whether this very file is loaded already, so that loading it again would share its memory. In doubt, yes."""
    try:
        return str(path.resolve()) in Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return True


def _remove(copy: Path) -> None:
    with contextlib.suppress(OSError):
        copy.unlink(missing_ok=True)


def _unload(ffi: Any, lib: Any, copy: Path | None) -> None:
    ffi.dlclose(lib)
    if copy is not None:
        _remove(copy)


def _refuse_version(path: Path, what: str, found: int, allowed: int) -> None:
    raise FirmwareError(f"{path}: the {what} speaks interface version {found}, this harness {allowed}; build it again")
