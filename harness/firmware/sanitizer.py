# SPDX-License-Identifier: Apache-2.0
"""Running a sanitizer build: the environment a child process needs, and reading what the sanitizer wrote.

The address sanitizer must be in a process from its first instruction, so such a firmware runs in a child that preloads
it. On a finding the child writes a report to stderr and ends with EXIT_CODE; the parent reads both.
"""

from __future__ import annotations

import platform
import re
import subprocess
from pathlib import Path

from harness.errors import FirmwareError
from harness.firmware.compiler import Compiler, Family

EXIT_CODE = 86  # of the child, not one a test runner or Python uses

# Python keeps its own memory until the end; two private copies of one firmware hold the same globals on purpose; no
# handler of the process (faulthandler) may come before the sanitizer's.
_ADDRESS_OPTIONS = (
    f"detect_leaks=0:detect_odr_violation=0:abort_on_error=0:exitcode={EXIT_CODE}"
    ":handle_segv=2:handle_sigbus=2:handle_sigfpe=2"
)
_UNDEFINED_OPTIONS = f"print_stacktrace=1:halt_on_error=1:exitcode={EXIT_CODE}"

_ADDRESS_ERROR = re.compile(r"ERROR: AddressSanitizer: (?P<what>[^\n]*?)(?: on (?:unknown )?address| \(pc|\n)")
_ACCESS = re.compile(r"^(READ|WRITE) of size \d+", re.MULTILINE)
_FRAME = re.compile(r"^\s*#\d+ 0x[0-9a-f]+ (?:in \S+ )?(?P<place>.+?)\s*$", re.MULTILINE)
_FILE_AND_LINE = re.compile(r"(?P<file>[^\s()].*?\.c):(?P<line>\d+)(?::\d+)?")
_UNDEFINED_ERROR = re.compile(r"^(?P<file>.+?):(?P<line>\d+):\d+: runtime error: (?P<what>.+)$", re.MULTILINE)
_NOT_OURS = ("libsanitizer", "compiler-rt", "asan_", "sanitizer_common")


def child_environment(compiler: Compiler) -> dict[str, str]:
    """Variables to add to the environment of a child process that loads a sanitizer build.

    Raises FirmwareError when the compiler has no runtime of the address sanitizer.
    """
    return {
        "LD_PRELOAD": str(_runtime(compiler)),
        "ASAN_OPTIONS": _ADDRESS_OPTIONS,
        "UBSAN_OPTIONS": _UNDEFINED_OPTIONS,
    }


def parse_report(text: str) -> str | None:
    """The first finding in the stderr of a child as "file:line: what"; None when there is none."""
    undefined = _UNDEFINED_ERROR.search(text)
    address = _ADDRESS_ERROR.search(text)
    if undefined is not None and (address is None or undefined.start() < address.start()):
        return f"{undefined['file']}:{undefined['line']}: undefined behaviour: {undefined['what']}"
    if address is None:
        return None
    rest = text[address.start() :]
    access = _ACCESS.search(rest)
    what = f"{address['what']}, {access[0]}" if access else address["what"]
    return f"{_first_place(rest)}: {what}"


def _first_place(report: str) -> str:
    """The innermost frame with a C file of the firmware, else the innermost one there is."""
    places = [frame["place"] for frame in _FRAME.finditer(report)]
    for place in places:
        known = _FILE_AND_LINE.search(place)
        if known is not None and not any(mark in place for mark in _NOT_OURS):
            return f"{known['file']}:{known['line']}"
    return places[0] if places else "unknown place"


def _runtime(compiler: Compiler) -> Path:
    if compiler.family is Family.ZIG:
        raise FirmwareError("the ziglang package has no address sanitizer; install gcc or clang for sanitizer builds")
    clang_name = f"libclang_rt.asan-{platform.machine()}.so"
    name = clang_name if compiler.family is Family.CLANG else "libasan.so"
    command = [*compiler.command, f"-print-file-name={name}"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - the compiler found
    path = Path(answer.stdout.strip())
    if not path.is_absolute() or not path.exists():  # the bare name comes back when there is none
        raise FirmwareError(
            f"{compiler} has no {name}; install the sanitizer runtime (Debian: libasan, Fedora: libasan)"
        )
    return path.resolve()
