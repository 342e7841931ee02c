# SPDX-License-Identifier: Apache-2.0
"""Firmware that crashes or never returns ends its run with the place, and nothing else."""

import importlib.util
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest

from harness.firmware.builder import BuildOptions, build_firmware, find_compiler, kernel_folder
from harness.firmware.compiler import Family
from harness.firmware.loader import FirmwareLibrary, KernelLibrary, load_firmware, load_kernel
from harness.firmware.sanitizer import EXIT_CODE, child_environment, parse_report

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the guard is for Linux")

HERE = Path(__file__).parent
SOURCE = HERE / "misbehaving.c"
OK, ERROR, HANG, CRASH = 0, -2, -3, -4
Drive = Callable[..., tuple[int, str | None, tuple[int, int], str]]


def variant(name: str) -> int:
    names = re.search(r"enum \{(.*?)\}", SOURCE.read_text(), re.DOTALL)
    assert names is not None
    return [part.strip() for part in names[1].split(",")].index(name)


def place(mark: str) -> str:
    lines = SOURCE.read_text().splitlines()
    [number] = [number for number, line in enumerate(lines, start=1) if f"/* at: {mark} */" in line]
    return f"firmware/misbehaving.c:{number}"


@pytest.fixture(scope="module")
def child() -> ModuleType:
    spec = importlib.util.spec_from_file_location("drive_child", HERE / "drive_child.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def kernel() -> KernelLibrary:
    sources = [HERE / "driver.c", kernel_folder() / "guard.c", kernel_folder() / "state.c"]
    return load_kernel(build_firmware(sources, [kernel_folder()]))


@pytest.fixture
def firmware(kernel: KernelLibrary) -> Iterator[FirmwareLibrary]:
    library = load_firmware(kernel, build_firmware([SOURCE], []))
    yield library
    library.close()


@pytest.fixture
def drive(kernel: KernelLibrary, child: ModuleType) -> Drive:
    def run(library: FirmwareLibrary, name: str, **options: int) -> tuple[int, str | None, tuple[int, int], str]:
        result: tuple[int, str | None, tuple[int, int], str] = child.drive(kernel, library, variant(name), **options)
        return result

    return run


def test_firmware_that_behaves_is_left_alone(drive: Drive, firmware: FirmwareLibrary) -> None:
    assert drive(firmware, "BEHAVES")[:3] == (OK, None, (5, 22))


@pytest.mark.parametrize(
    ("name", "mark"),
    [
        ("ASSERTS", "assert"),
        ("NULL_POINTER", "null pointer"),
        ("NULL_CALL", "null call"),
        ("DIVIDES_BY_ZERO", "division"),
        ("COPIES_TO_NULL", "memset"),
    ],
)
def test_a_crash_is_reported_with_file_and_line(
    drive: Drive, firmware: FirmwareLibrary, name: str, mark: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert (CRASH, place(mark)) == drive(firmware, name)[:2]
    capfd.readouterr()  # what assert() says


def test_a_stack_overflow_is_a_crash_inside_the_recursion(drive: Drive, firmware: FirmwareLibrary) -> None:
    with ThreadPoolExecutor(1) as pool:  # a thread without a stack for signal handlers of its own
        result, where, _, text = pool.submit(drive, firmware, "STACK_OVERFLOW").result()
    assert result == CRASH
    last = int(place("stack overflow").rpartition(":")[2])
    assert where in {f"firmware/misbehaving.c:{line}" for line in range(last - 4, last + 1)}
    assert "stack overflow" in text


@pytest.mark.parametrize("name", ["LOOPS", "LOOPS_IN_INIT"])
def test_an_endless_loop_is_a_hang_with_file_and_line(drive: Drive, firmware: FirmwareLibrary, name: str) -> None:
    result, where, _, text = drive(firmware, name)
    assert result == HANG
    loop = int(place("loop").rpartition(":")[2])
    assert where in {f"firmware/misbehaving.c:{line}" for line in (loop - 1, loop)}
    assert "endless loop" in text


def test_a_long_run_of_many_calls_is_not_a_hang(drive: Drive, firmware: FirmwareLibrary) -> None:
    assert drive(firmware, "IS_SLOW", steps=1800)[0] == OK


def test_after_a_crash_the_next_run_works(
    drive: Drive, firmware: FirmwareLibrary, capfd: pytest.CaptureFixture[str]
) -> None:
    assert drive(firmware, "ASSERTS")[0] == CRASH
    assert drive(firmware, "STACK_OVERFLOW")[0] == CRASH
    assert drive(firmware, "STACK_OVERFLOW")[0] == CRASH
    assert drive(firmware, "BEHAVES")[0] == OK
    capfd.readouterr()


def test_the_signal_handlers_of_the_process_come_back(drive: Drive, firmware: FirmwareLibrary) -> None:
    before = caught_signals()
    drive(firmware, "BEHAVES")
    drive(firmware, "NULL_POINTER")
    assert before == caught_signals()


def test_two_threads_are_guarded_each_on_its_own(
    drive: Drive, kernel: KernelLibrary, firmware: FirmwareLibrary
) -> None:
    other = load_firmware(kernel, firmware.path)
    with ThreadPoolExecutor(2) as pool:
        hanging = pool.submit(drive, firmware, "LOOPS")
        crashing = pool.submit(lambda: [drive(other, "NULL_POINTER")[0] for _ in range(200)])
        assert crashing.result() == [CRASH] * 200
        assert hanging.result()[0] == HANG
    other.close()


def test_a_crash_of_the_harness_itself_is_not_swallowed(kernel: KernelLibrary, firmware: FirmwareLibrary) -> None:
    crash_between_calls = "1"
    ended = run_child(kernel, firmware.path, "BEHAVES", crash_between_calls, environment={})
    assert (ended.returncode, ended.stdout) == (-signal.SIGSEGV, "")


def test_two_copies_of_one_firmware_share_nothing(
    drive: Drive, kernel: KernelLibrary, firmware: FirmwareLibrary
) -> None:
    other = load_firmware(kernel, firmware.path)
    assert drive(firmware, "BEHAVES", steps=7)[2] == (7, 28)
    assert drive(other, "BEHAVES", steps=2)[2] == (2, 13)
    other.close()


# ---- sanitizer -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sanitized() -> Path:
    if find_compiler().family is Family.ZIG:
        pytest.skip("zig has no address sanitizer")
    return build_firmware([SOURCE], [], BuildOptions(sanitize=True))


@pytest.mark.parametrize(
    ("name", "mark", "what"),
    [
        ("BUFFER_OVERFLOW", "buffer overflow", "global-buffer-overflow, WRITE of size 1"),
        ("ARRAY_OVERFLOW", "array overflow", "undefined behaviour: index 9 out of bounds for type 'uint8_t [8]'"),
        ("SHIFTS_TOO_FAR", "shift", "undefined behaviour: shift exponent 32 is too large for 32-bit type"),
        ("NULL_POINTER", "null pointer", "undefined behaviour: store to null pointer of type 'uint8_t'"),
    ],
)
def test_the_sanitizer_build_reports_file_line_and_what(
    kernel: KernelLibrary, sanitized: Path, name: str, mark: str, what: str
) -> None:
    ended = run_child(kernel, sanitized, name, environment=child_environment(find_compiler()))
    assert ended.returncode == EXIT_CODE
    report = parse_report(ended.stderr)
    assert report is not None
    assert report.startswith(f"{place(mark)}: {what}")


@pytest.mark.parametrize(("name", "result"), [("BEHAVES", OK), ("ASSERTS", CRASH), ("LOOPS", HANG)])
def test_in_a_sanitizer_build_asserts_and_loops_are_still_guarded(
    kernel: KernelLibrary, sanitized: Path, name: str, result: int
) -> None:
    ended = run_child(kernel, sanitized, name, environment=child_environment(find_compiler()))
    assert parse_report(ended.stderr) is None
    assert ended.returncode == 0
    assert ended.stdout.startswith(f"{result} ")


# ---- helpers ---------------------------------------------------------------------------------------------------


def run_child(
    kernel: KernelLibrary, library: Path, name: str, *more: str, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(HERE / "drive_child.py"), str(kernel.path), str(library), str(variant(name)), *more]
    paths = {"PYTHONPATH": str(kernel_folder().parents[1])}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | paths | environment)


def caught_signals() -> str:
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("SigCgt")]
    return line
