# SPDX-License-Identifier: Apache-2.0
"""Which C compiler there is, and which flags it gets.

The variable CC is left alone on purpose: a result must not depend on it. The optimiser flags give the same numbers on
every machine: no fused multiply-add, and never the instruction set of the machine at hand.
"""

from __future__ import annotations

import importlib.util
import platform
import shutil
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from harness.errors import FirmwareError

_NAMES = ("cc", "gcc", "clang")
_WINDOWS_LIBRARIES = ("-lm",)
_UNIX_LIBRARIES = ("-lm", "-pthread")

# What compilers read from the environment. It goes into the key of a build, so that a change is not missed.
AMBIENT_VARIABLES = ("CPATH", "C_INCLUDE_PATH", "LIBRARY_PATH", "COMPILER_PATH", "GCC_EXEC_PREFIX", "SDKROOT")

NO_COMPILER = (
    "no C compiler found (looked for cc, gcc and clang on PATH, and for the ziglang package).\n"
    "Two ways out: install a compiler (Debian/Ubuntu: apt install gcc; Fedora: dnf install gcc; macOS: "
    'xcode-select --install), or: pip install "bms-harness[cc]"'
)


class Family(StrEnum):
    """What differs between compilers: sanitizer runtime, coverage, target selection."""

    GCC = "gcc"
    CLANG = "clang"
    ZIG = "zig"


@dataclass(frozen=True, slots=True)
class Compiler:
    """A C compiler. `identity` changes when another version is installed in its place."""

    command: tuple[str, ...]
    family: Family
    identity: str

    def __str__(self) -> str:
        """The command as a person would type it."""
        return " ".join(self.command)


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How to build. `defines` are NAME or NAME=VALUE."""

    sanitize: bool = False
    coverage: bool = False
    defines: tuple[str, ...] = ()


def find_compiler() -> Compiler:
    """The system's compiler, else zig from the ziglang package, else FirmwareError that names the two ways out."""
    for name in _NAMES:
        found = shutil.which(name)
        if found is not None:
            binary = Path(found).resolve()
            return Compiler((found,), _family(binary), _identity(binary))
    zig = _find_zig()
    if zig is None:
        raise FirmwareError(NO_COMPILER)
    return Compiler((str(zig), "cc"), Family.ZIG, _identity(zig))


def compile_flags(compiler: Compiler, options: BuildOptions) -> tuple[str, ...]:
    """Flags of one translation unit. Raises FirmwareError when this compiler cannot build with the options."""
    _refuse_impossible(compiler, options)
    optimise = "-O1" if options.sanitize or options.coverage else "-O3"  # higher, and reports lose their lines
    flags = ["-std=c11", optimise, "-ffp-contract=off", "-g", "-fPIC", "-fno-semantic-interposition"]
    if compiler.family is Family.ZIG:
        # Left alone, zig builds for the machine at hand, without asserts, with traps on undefined behaviour.
        flags = [flag for flag in flags if flag != "-fno-semantic-interposition"]
        flags += ["-mcpu=baseline", "-fno-sanitize=undefined", "-UNDEBUG"]
    return (*flags, *_instrumentation(compiler, options), *(f"-D{define}" for define in options.defines))


def link_flags(compiler: Compiler, options: BuildOptions) -> tuple[str, ...]:
    """Flags for linking the shared library, libraries not included."""
    flags = ["-shared", *_instrumentation(compiler, options)]
    if sys.platform.startswith("linux"):
        # Its own functions first: a firmware may have an error() or index() of its own.
        flags += ["-Wl,-Bsymbolic", "-Wl,-z,now", "-Wl,-z,relro"]
        if not options.sanitize:
            flags.append("-Wl,-z,defs")
    return tuple(flags)


def libraries() -> tuple[str, ...]:
    """Libraries every build is linked with."""
    return _WINDOWS_LIBRARIES if sys.platform == "win32" else _UNIX_LIBRARIES


def library_suffix() -> str:
    """The suffix of a shared library on this system, with its dot."""
    return {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")


def _instrumentation(compiler: Compiler, options: BuildOptions) -> tuple[str, ...]:
    flags: list[str] = []
    if options.sanitize:
        flags += ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]
        if compiler.family is Family.CLANG:
            flags.append("-shared-libasan")
    if options.coverage:
        flags.append("--coverage")
    return tuple(flags)


def _refuse_impossible(compiler: Compiler, options: BuildOptions) -> None:
    if compiler.family is Family.ZIG and (options.sanitize or options.coverage):
        what = "sanitizer" if options.sanitize else "coverage"
        raise FirmwareError(
            f"a {what} build needs gcc or clang; the ziglang package has no {what} runtime. Install gcc or clang."
        )


def _family(binary: Path) -> Family:
    # On macOS every cc is clang under another name.
    is_clang = "clang" in binary.name or sys.platform == "darwin"
    return Family.CLANG if is_clang else Family.GCC


def _identity(binary: Path) -> str:
    status = binary.stat()
    return f"{binary.name}|{status.st_size}|{status.st_mtime_ns}|{platform.machine()}|{sys.platform}"


def _find_zig() -> Path | None:
    spec = importlib.util.find_spec("ziglang")
    if spec is None or not spec.submodule_search_locations:
        return None
    name = "zig.exe" if sys.platform == "win32" else "zig"
    zig = Path(spec.submodule_search_locations[0]) / name
    return zig if zig.is_file() else None
