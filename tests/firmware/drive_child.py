# SPDX-License-Identifier: Apache-2.0
"""Runs misbehaving.c in a process of its own: `drive_child.py KERNEL FIRMWARE VARIANT [CRASH_BETWEEN]`."""

import ctypes
import sys
from pathlib import Path

from harness.firmware.loader import FirmwareLibrary, KernelLibrary, load_firmware, load_kernel


def drive(
    kernel: KernelLibrary, firmware: FirmwareLibrary, variant: int, *, steps: int = 5, crash_between: int = 0
) -> tuple[int, str | None, tuple[int, int], str]:
    """Result, place in the firmware, its two outputs and the text of the guard."""
    library = ctypes.CDLL(str(kernel.path))
    calls = firmware.pointers()
    place = ctypes.c_uint64()
    outputs = (ctypes.c_uint32 * 2)()
    text = ctypes.create_string_buffer(200)
    result = library.drive(
        ctypes.c_void_p(int(kernel.ffi.cast("uintptr_t", calls))),
        ctypes.c_int32(variant),
        ctypes.c_int64(steps),
        ctypes.c_int32(crash_between),
        ctypes.byref(place),
        outputs,
        text,
        ctypes.c_size_t(len(text)),
    )
    return result, firmware.symbolize(place.value), (outputs[0], outputs[1]), text.value.decode()


def main() -> None:
    kernel = load_kernel(Path(sys.argv[1]))
    firmware = load_firmware(kernel, Path(sys.argv[2]))
    crash_between = int(sys.argv[4]) if len(sys.argv) > 4 else 0
    result, place, outputs, _ = drive(kernel, firmware, int(sys.argv[3]), crash_between=crash_between)
    sys.stdout.write(f"{result} {place} {outputs[0]}\n")


if __name__ == "__main__":
    main()
