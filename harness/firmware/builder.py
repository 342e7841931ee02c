# SPDX-License-Identifier: Apache-2.0
"""Builds the simulation kernel and firmware into shared libraries, once per content.

    kernel = build_kernel()
    firmware = build_firmware([Path("bms/main.c")], [Path("bms/include")], BuildOptions(sanitize=True))

The first build takes seconds, a repeated one a few milliseconds.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import FirmwareError, UsageError
from harness.firmware import cache
from harness.firmware.compiler import (
    AMBIENT_VARIABLES,
    BuildOptions,
    Compiler,
    compile_flags,
    find_compiler,
    libraries,
    library_suffix,
    link_flags,
)
from harness.firmware.processes import Command, run_all

__all__ = [
    "BuildOptions",
    "Compiler",
    "build_firmware",
    "build_kernel",
    "find_compiler",
    "kernel_folder",
    "port_folder",
]

_DEFINE = re.compile(r"[A-Za-z_]\w*(=.*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Job:
    """One shared library to build: what, from what, with what.

    File names in debug information and asserts are relative to `root`, so that they hold on any machine.
    """

    name: str
    sources: tuple[Path, ...]
    include_dirs: tuple[Path, ...]
    options: BuildOptions
    compiler: Compiler
    root: Path


def port_folder() -> Path:
    """The folder of fil.h."""
    return Path(__file__).parent


def kernel_folder() -> Path:
    """The folder of kernel.h and the kernel's C sources."""
    return Path(__file__).parents[1] / "kernel"


def build_kernel(options: BuildOptions = BuildOptions()) -> Path:  # noqa: B008 - frozen
    """The simulation kernel as a shared library. Raises FirmwareError without a compiler."""
    sources = sorted(kernel_folder().glob("*.c"))
    return _build("kernel", sources, [kernel_folder(), port_folder()], options)


def build_firmware(
    sources: Sequence[Path],
    include_dirs: Sequence[Path],
    options: BuildOptions = BuildOptions(),  # noqa: B008 - frozen
) -> Path:
    """Firmware as a shared library; the folder of fil.h is always on the include path.

    Raises UsageError for sources that do not exist or are not C, FirmwareError with the compiler's output.
    """
    _check_inputs(sources, include_dirs, options)
    return _build("firmware", sources, [*include_dirs, port_folder()], options)


def _check_inputs(sources: Sequence[Path], include_dirs: Sequence[Path], options: BuildOptions) -> None:
    if not sources:
        raise UsageError("no firmware source given; name at least one .c file")
    for source in sources:
        if source.suffix != ".c":
            raise UsageError(f"{source}: found {source.suffix or 'no suffix'!r}; firmware sources are .c files")
        if not source.is_file():
            raise UsageError(f"{source}: no such file; it is named as a firmware source")
    for folder in include_dirs:
        if not folder.is_dir():
            raise UsageError(f"{folder}: no such folder; it is named as an include folder of the firmware")
    for define in options.defines:
        if _DEFINE.fullmatch(define) is None:
            raise UsageError(f"define {define!r}: write NAME or NAME=VALUE")


def _build(name: str, sources: Iterable[Path], include_dirs: Iterable[Path], options: BuildOptions) -> Path:
    full = tuple(source.resolve() for source in sources)
    folders = tuple(folder.resolve() for folder in include_dirs)
    root = Path(os.path.commonpath([source.parent for source in full])).parent
    job = _Job(name, full, folders, options, find_compiler(), root)
    recipe = _recipe(job)
    return cache.find(recipe) or _compile(job, recipe)


def _recipe(job: _Job) -> str:
    """Hash of everything known before compiling.

    The names in the include folders are part of it: a new header can hide the one that was used before.
    """
    digest = hashlib.sha256()

    def add(*parts: str) -> None:
        digest.update("\0".join(parts).encode() + b"\1")

    add(job.name, job.compiler.identity, *(f"{name}={os.environ.get(name)}" for name in AMBIENT_VARIABLES))
    add(*_unit_arguments(job))
    add(*link_flags(job.compiler, job.options), *libraries())
    for source in job.sources:
        add(str(source), cache.hash_file(source))
    for folder in job.include_dirs:
        add(*sorted(os.listdir(folder)))  # noqa: PTH208 - names only, and fast
    return f"{job.name}-{digest.hexdigest()[:32]}"


def _compile(job: _Job, recipe: str) -> Path:
    """Compile and link in a folder of its own, then hand the product to the cache."""
    if job.options.coverage:  # the notes for the coverage report lie beside the objects and must stay
        return _compile_in(cache.lasting_folder("coverage-"), job, recipe)
    try:
        work = Path(tempfile.mkdtemp(prefix="bms-harness-build-"))
    except OSError as error:
        raise FirmwareError(f"no folder to build in: {error}; set TMPDIR to one with free space") from error
    try:
        return _compile_in(work, job, recipe)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _compile_in(work: Path, job: _Job, recipe: str) -> Path:
    objects = [work / f"{number:03d}-{source.stem}.o" for number, source in enumerate(job.sources)]
    _run_or_raise(job, [_compile_command(job, *pair) for pair in zip(job.sources, objects, strict=True)], work)
    product = work / f"{job.name}{library_suffix()}"
    arguments = [*link_flags(job.compiler, job.options), *map(str, objects), "-o", str(product), *libraries()]
    _run_or_raise(job, [Command((*job.compiler.command, *arguments), "linking")], work)
    dependencies = set[Path]()
    for object_file in objects:
        dependencies |= _read_dependencies(object_file.with_suffix(".d"), job.root)
    return cache.store(recipe, product, {path: cache.hash_file(path) for path in sorted(dependencies)})


def _unit_arguments(job: _Job) -> tuple[str, ...]:
    """What every translation unit is compiled with."""
    includes = (f"-I{folder}" for folder in job.include_dirs)
    return (*job.compiler.command, *compile_flags(job.compiler, job.options), *_name_map(job), *includes)


def _compile_command(job: _Job, source: Path, object_file: Path) -> Command:
    name = str(source.relative_to(job.root))
    outputs = ("-MMD", "-MF", str(object_file.with_suffix(".d")), "-c", name, "-o", str(object_file))
    return Command((*_unit_arguments(job), *outputs), str(source))


def _name_map(job: _Job) -> list[str]:
    """Flags that keep the folders of this machine out of debug information and asserts. The last match counts."""
    foreign = [folder for folder in job.include_dirs if not folder.is_relative_to(job.root)]
    pairs = [(str(folder), folder.name) for folder in foreign]
    pairs += [(str(job.root), "."), (f"{job.root}{os.sep}", "")]
    return [f"-ffile-prefix-map={old}={new}" for old, new in pairs]


def _run_or_raise(job: _Job, commands: Sequence[Command], work: Path) -> None:
    failures = [outcome for outcome in run_all(commands, work, job.root) if outcome.code != 0]
    if failures:
        output = "\n".join(outcome.output.strip() or f"exit code {outcome.code}" for outcome in failures)
        what = ", ".join(outcome.title for outcome in failures)
        raise FirmwareError(f"the {job.name} does not build: {what}\ncompiler: {job.compiler}\n{output}")


def _read_dependencies(path: Path, root: Path) -> set[Path]:
    """The files a make rule names, which escapes blanks with a backslash and doubles dollars."""
    rule = path.read_text(encoding="utf-8", errors="surrogateescape").replace("\\\n", " ")
    _, _, names = rule.partition(": ")
    words = re.findall(r"(?:\\ |\\#|[^\s])+", names)
    plain = (word.replace("\\ ", " ").replace("\\#", "#").replace("$$", "$") for word in words)
    return {root / name for name in plain}
