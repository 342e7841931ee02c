# SPDX-License-Identifier: Apache-2.0
"""The C declarations of fil.h, probe.h and kernel.h (with the headers it includes) for cffi.

Parsing the headers costs 130 ms a start, so the parsed form (cffi's out-of-line ABI module) is generated once and kept
in the build cache under the hash of the headers; loading it takes a few ms and needs neither cffi nor pycparser.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import _cffi_backend  # type: ignore[import-untyped]  # the part of cffi that is always loaded

from harness.errors import FirmwareError
from harness.firmware import cache
from harness.firmware.builder import kernel_folder, port_folder

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_CPLUSPLUS = re.compile(r"^#ifdef __cplusplus$.*?^#endif$", re.DOTALL | re.MULTILINE)
_DIRECTIVE = re.compile(r"^[ \t]*#.*$", re.MULTILINE)
_INCLUDE = re.compile(r'^#include "(\w+\.h)"$', re.MULTILINE)


def load_declarations() -> Any:
    """The `FFI` object with every type and constant of the headers."""
    source = declaration_source()
    key = f"{source}\n{_cffi_backend.__version__}\n{sys.implementation.cache_tag}"
    name = f"bh_declarations_{hashlib.sha256(key.encode()).hexdigest()[:32]}"
    path = cache.cache_folder() / f"{name}.py"
    if not path.is_file():
        path = cache.keep_text(path.name, _generate(name, source))
    return _import(name, path)


def declaration_source() -> str:
    """The headers and what they include, as cffi reads them: without comments, directives and C++ brackets."""
    text = _with_includes("kernel.h", set()) + _with_includes("probe.h", set())
    text += (port_folder() / "outside" / "outside.h").read_text(encoding="utf-8")
    return _DIRECTIVE.sub("", _CPLUSPLUS.sub("", _COMMENT.sub("", text)))


def _with_includes(name: str, seen: set[str]) -> str:
    """A header of the kernel or the port, each header it includes put in once, in its place."""
    if name in seen:
        return ""
    seen.add(name)
    folder = port_folder() if name in ("fil.h", "probe.h") else kernel_folder()
    text = (folder / name).read_text(encoding="utf-8")
    return _INCLUDE.sub(lambda found: _with_includes(found[1], seen), text)


def _generate(name: str, source: str) -> str:
    import cffi  # noqa: PLC0415 - slow, and needed once per header version

    ffi = cffi.FFI()
    ffi.cdef(source)
    ffi.set_source(name, None)
    with tempfile.TemporaryDirectory(prefix="bms-harness-") as folder:
        target = Path(folder) / f"{name}.py"
        with contextlib.redirect_stdout(io.StringIO()):  # it announces what it does
            ffi.emit_python_code(str(target))
        return target.read_text(encoding="utf-8")


def _import(name: str, path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise FirmwareError(f"{path}: cannot be loaded; delete it and try again")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (SyntaxError, ValueError) as error:
        raise FirmwareError(f"{path}: damaged ({error}); delete it and try again") from error
    return module.ffi
