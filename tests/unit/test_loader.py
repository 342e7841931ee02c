# SPDX-License-Identifier: Apache-2.0
"""A loaded firmware is a private copy that fits the port, and its memory can be put back exactly."""

import ctypes
import hashlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.errors import FirmwareError, UsageError
from harness.firmware.builder import build_firmware, kernel_folder
from harness.firmware.declarations import declaration_source
from harness.firmware.loader import FirmwareLibrary, KernelLibrary, load_firmware, load_kernel
from harness.firmware.symbols import read_line_table

KERNEL = '#include "state.h"\n#include "kernel.h"\nuint32_t bh_abi_version(void) { return VERSION; }\n'
FIRMWARE = """
#include "fil.h"
static uint32_t steps = 40;
static uint8_t memory[5000];
static int defect;
uint32_t fil_abi_version(void) { return VERSION; }
int fil_init(const fil_config *config) { (void)config; return 0; }
int fil_step(const fil_inputs *inputs, fil_outputs *outputs) {
    (void)inputs;
    memory[steps % 5000u] ^= (uint8_t)steps;
    outputs->contactors = ++steps;
    return -defect;
}
int fil_can_rx(const fil_frame *frame) { (void)frame; return 0; }
int fil_can_tx(fil_frame *frames, int max) { (void)frames; return max; }
int fil_nvm(int op, uint8_t *buffer, uint32_t size) { (void)op; (void)buffer; (void)size; return 0; }
const char *fil_last_error(void) { return "none"; }
"""
DEFECT = "int fil_defect(int id) { defect = id; return id > 3 ? -1 : 0; }\n"


@pytest.fixture
def build(tmp_path: Path) -> Callable[[str], Path]:
    def run(text: str, *, version: str = "FIL_ABI_VERSION") -> Path:
        source = tmp_path / "firmware" / "main.c"
        source.parent.mkdir(exist_ok=True)
        source.write_text(text.replace("VERSION;", f"{version};"))
        return build_firmware([source], [])

    return run


def build_kernel_with(tmp_path: Path, version: str) -> Path:
    source = tmp_path / "kernel.c"
    source.write_text(KERNEL.replace("VERSION;", f"{version};"))
    return build_firmware([source, kernel_folder() / "state.c"], [kernel_folder()])


@pytest.fixture
def kernel(tmp_path: Path) -> KernelLibrary:
    return load_kernel(build_kernel_with(tmp_path, "BH_ABI_VERSION"))


@pytest.fixture
def firmware(kernel: KernelLibrary, build: Callable[[str], Path]) -> Iterator[FirmwareLibrary]:
    library = load_firmware(kernel, build(FIRMWARE + DEFECT))
    yield library
    library.close()


def step(kernel: KernelLibrary, firmware: FirmwareLibrary, times: int = 1) -> list[int]:
    calls = firmware.pointers()
    outputs = kernel.ffi.new("fil_outputs *")
    seen = []
    for _ in range(times):
        calls.step(kernel.ffi.new("fil_inputs *"), outputs)
        seen.append(int(outputs.contactors))
    return seen


# ---- memory -----------------------------------------------------------------------------------------------------


def test_two_copies_share_no_memory(kernel: KernelLibrary, firmware: FirmwareLibrary) -> None:
    other = load_firmware(kernel, firmware.path)
    assert step(kernel, firmware, 3) == [41, 42, 43]
    assert step(kernel, other, 2) == [41, 42]
    assert step(kernel, firmware, 1) == [44]
    other.close()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs ELF")
def test_restoring_puts_every_byte_back(kernel: KernelLibrary, firmware: FirmwareLibrary) -> None:
    calls = firmware.pointers()
    size = kernel.lib.bh_firmware_size(calls.address)
    step(kernel, firmware, 7)  # fewer than the 5000 bytes that the steps after it touch
    saved, later, back = (kernel.ffi.new("uint8_t[]", size) for _ in range(3))
    assert kernel.lib.bh_firmware_save(calls.address, saved, size) == 0
    first = step(kernel, firmware, 6000)
    kernel.lib.bh_firmware_save(calls.address, later, size)
    assert kernel.lib.bh_firmware_load(calls.address, saved, size) == 0
    kernel.lib.bh_firmware_save(calls.address, back, size)
    assert bytes(back) == bytes(saved) != bytes(later)
    assert step(kernel, firmware, 6000) == first
    kernel.lib.bh_firmware_save(calls.address, back, size)
    assert bytes(back) == bytes(later)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs ELF")
def test_all_globals_lie_in_the_copied_memory(firmware: FirmwareLibrary) -> None:
    assert firmware.checkpointable
    assert 5000 + 8 <= firmware.memory_bytes < 3 * 5000


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs ELF")
def test_a_buffer_too_small_is_refused(kernel: KernelLibrary, firmware: FirmwareLibrary) -> None:
    address, size = firmware.pointers().address, firmware.memory_bytes
    small = kernel.ffi.new("uint8_t[]", size - 1)
    assert kernel.lib.bh_firmware_save(address, small, size - 1) < 0
    assert kernel.lib.bh_firmware_load(address, small, size - 1) < 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs ELF")
def test_the_pristine_memory_is_that_of_power_on(kernel: KernelLibrary, firmware: FirmwareLibrary) -> None:
    step(kernel, firmware, 9)
    calls = firmware.pointers()
    assert kernel.lib.bh_firmware_load(calls.address, calls.pristine, firmware.memory_bytes) == 0
    assert step(kernel, firmware, 1) == [41]


def test_an_address_outside_of_any_library_has_no_memory(kernel: KernelLibrary) -> None:
    assert kernel.lib.bh_firmware_size(kernel.ffi.cast("void *", 8)) == 0


def test_a_seeded_defect_survives_a_power_cycle(kernel: KernelLibrary, firmware: FirmwareLibrary) -> None:
    firmware.defect(2)
    calls = firmware.pointers()
    kernel.lib.bh_firmware_load(calls.address, calls.pristine, firmware.memory_bytes)
    assert calls.step(kernel.ffi.new("fil_inputs *"), kernel.ffi.new("fil_outputs *")) == -2


def test_a_defect_the_firmware_does_not_have_is_refused(
    kernel: KernelLibrary, firmware: FirmwareLibrary, build: Callable[[str], Path]
) -> None:
    with pytest.raises(UsageError, match="no defect 7"):
        firmware.defect(7)
    without = load_firmware(kernel, build(FIRMWARE))
    with pytest.raises(UsageError, match="no seeded defects"):
        without.defect(1)
    without.close()


# ---- what is loaded ---------------------------------------------------------------------------------------------


def test_missing_calls_are_named_one_by_one(kernel: KernelLibrary, build: Callable[[str], Path]) -> None:
    text = "\n".join(line for line in FIRMWARE.splitlines() if "fil_nvm" not in line and "fil_can_rx" not in line)
    with pytest.raises(FirmwareError) as caught:
        load_firmware(kernel, build(text))
    assert "fil_can_rx, fil_nvm;" in str(caught.value)


def test_another_port_version_is_refused(kernel: KernelLibrary, build: Callable[..., Path]) -> None:
    with pytest.raises(FirmwareError, match="version 9, this harness 1"):
        load_firmware(kernel, build(FIRMWARE, version="9"))


def test_another_kernel_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FirmwareError, match="kernel speaks interface version 9"):
        load_kernel(build_kernel_with(tmp_path, "9"))


@pytest.mark.parametrize("content", [b"", b"not a library", b"\x7fELF broken"])
def test_a_file_that_is_no_library_is_refused_by_name(kernel: KernelLibrary, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "firmware.so"
    path.write_bytes(content)
    with pytest.raises(FirmwareError, match=re.escape(str(path))):
        load_firmware(kernel, path)


def test_a_missing_library_is_refused_by_name(kernel: KernelLibrary, tmp_path: Path) -> None:
    with pytest.raises(FirmwareError, match="gone"):
        load_firmware(kernel, tmp_path / "gone.so")


def test_the_digest_is_that_of_the_file(firmware: FirmwareLibrary) -> None:
    assert firmware.digest == hashlib.sha256(firmware.path.read_bytes()).hexdigest()


def test_closing_twice_is_allowed(firmware: FirmwareLibrary) -> None:
    firmware.close()
    firmware.close()


def test_no_copy_is_left_behind(
    kernel: KernelLibrary, firmware: FirmwareLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "copies"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    load_firmware(kernel, firmware.path).close()
    assert list(folder.iterdir()) == []


def test_a_place_is_given_as_file_and_line(firmware: FirmwareLibrary) -> None:
    symbols = subprocess.run(["nm", firmware.path], capture_output=True, text=True, check=True).stdout
    [address] = re.findall(r"^([0-9a-f]+) T fil_last_error$", symbols, re.MULTILINE)
    [line] = [number for number, text in enumerate(FIRMWARE.splitlines(), 1) if "fil_last_error" in text]
    assert firmware.symbolize(int(address, 16)) == f"firmware/main.c:{line}"


@pytest.mark.parametrize("address", [0, 1, 1 << 40])
def test_a_place_outside_of_the_code_is_not_guessed(firmware: FirmwareLibrary, address: int) -> None:
    assert firmware.symbolize(address) is None


def test_a_file_without_line_numbers_gives_no_place(tmp_path: Path) -> None:
    (tmp_path / "plain.bin").write_bytes(b"nothing")
    assert read_line_table(tmp_path / "plain.bin").place(5) is None


# ---- declarations -----------------------------------------------------------------------------------------------


def test_every_struct_has_the_size_the_compiler_gives_it(kernel: KernelLibrary, tmp_path: Path) -> None:
    names = re.findall(r"^typedef struct (\w+) \{", declaration_source(), re.MULTILINE)
    assert {"fil_inputs", "bh_config", "bh_fault", "bh_trace"} <= set(names)
    source = tmp_path / "sizes.c"
    rows = "\n".join(f"unsigned long size_{name}(void) {{ return sizeof({name}); }}" for name in names)
    source.write_text(f'#include "kernel.h"\n{rows}\n')
    library: Any = ctypes.CDLL(str(build_firmware([source], [kernel_folder()])))
    sizes = {name: library[f"size_{name}"]() for name in names}
    assert {name: kernel.ffi.sizeof(name) for name in names} == sizes


def test_nothing_is_written_to_stdout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    load_kernel(build_kernel_with(tmp_path, "BH_ABI_VERSION"))
    assert capfd.readouterr().out == ""
