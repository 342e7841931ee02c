# SPDX-License-Identifier: Apache-2.0
"""Builds are made once per content, found again when nothing changed, and refused with a way out."""

import ctypes
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.errors import FirmwareError, UsageError
from harness.firmware import cache
from harness.firmware.builder import BuildOptions, build_firmware, build_kernel, kernel_folder, port_folder
from harness.firmware.compiler import Compiler, Family, compile_flags, find_compiler, link_flags

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="wraps the compiler in a shell script")

SOURCE = '#include "limits_of_pack.h"\nint limit(void) { return LIMIT; }\n'


class Calls:
    """A compiler on PATH that counts how often it is called."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._log = folder / "calls.txt"
        real = shutil.which("cc") or shutil.which("gcc")
        if real is None:
            pytest.skip("no C compiler on PATH")
        wrapper = folder / "cc"
        wrapper.write_text(f'#!/bin/sh\necho call >> {shlex.quote(str(self._log))}\nexec {real} "$@"\n')
        wrapper.chmod(0o755)

    def count(self) -> int:
        return len(self._log.read_text().splitlines()) if self._log.exists() else 0


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Calls:
    counter = Calls(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return counter


@pytest.fixture
def firmware(tmp_path: Path) -> Path:
    return write_firmware(tmp_path / 'it\'s a "bus" pack')


def write_firmware(folder: Path, limit: int = 3) -> Path:
    folder.mkdir(parents=True)
    (folder / "main.c").write_text(SOURCE)
    (folder / "limits_of_pack.h").write_text(f"#define LIMIT {limit}\n")
    return folder


def build(folder: Path, options: BuildOptions | None = None) -> Path:
    return build_firmware([folder / "main.c"], [folder], options or BuildOptions())


# ---- the cache -------------------------------------------------------------------------------------------------


def test_the_second_build_calls_no_compiler(calls: Calls, firmware: Path) -> None:
    first = build(firmware)
    made = calls.count()
    assert made > 0
    assert build(firmware) == first
    assert calls.count() == made


def test_a_product_is_found_by_content_not_by_time(calls: Calls, firmware: Path) -> None:
    build(firmware)
    made = calls.count()
    (firmware / "main.c").write_text(SOURCE)
    assert build(firmware).is_file()
    assert calls.count() == made


def test_a_changed_source_is_built_again(firmware: Path) -> None:
    first = build(firmware)
    (firmware / "main.c").write_text(SOURCE.replace("LIMIT;", "LIMIT + 1;"))
    assert build(firmware) != first


def test_a_changed_header_is_built_again(firmware: Path) -> None:
    first = build(firmware)
    (firmware / "limits_of_pack.h").write_text("#define LIMIT 4\n")
    assert build(firmware) != first


def test_a_changed_header_outside_of_the_include_folders_is_built_again(firmware: Path) -> None:
    outside = firmware.parent / "outside of all.h"
    (firmware / "limits_of_pack.h").write_text('#include "../outside of all.h"\n')
    outside.write_text("#define LIMIT 5\n")
    first = build(firmware)
    outside.write_text("#define LIMIT 6\n")
    assert build(firmware) != first


def test_a_new_header_that_hides_the_old_one_is_built_again(firmware: Path, tmp_path: Path) -> None:
    near = tmp_path / "near"
    near.mkdir()
    (firmware / "limits_of_pack.h").rename(tmp_path / "bin_limits.h")
    far = tmp_path / "far"
    far.mkdir()
    (tmp_path / "bin_limits.h").rename(far / "limits_of_pack.h")
    first = build_firmware([firmware / "main.c"], [near, far])
    (near / "limits_of_pack.h").write_text("#define LIMIT 7\n")
    assert build_firmware([firmware / "main.c"], [near, far]) != first


def test_options_make_a_build_of_their_own(firmware: Path) -> None:
    plain = build(firmware)
    assert build(firmware, options=BuildOptions(defines=("EXTRA=1",))) != plain
    assert build(firmware) == plain


def test_the_same_firmware_in_another_folder_gives_the_same_bytes(tmp_path: Path) -> None:
    one = build(write_firmware(tmp_path / "one" / "bms"))
    other = build(write_firmware(tmp_path / "other" / "bms"))
    assert one.read_bytes() == other.read_bytes()


def test_two_folders_with_equal_sources_and_different_headers_are_kept_apart(tmp_path: Path) -> None:
    one = build(write_firmware(tmp_path / "one" / "bms", limit=1))
    other = build(write_firmware(tmp_path / "other" / "bms", limit=2))
    assert one.read_bytes() != other.read_bytes()


def test_a_damaged_manifest_is_a_miss(firmware: Path) -> None:
    first = build(firmware)
    for manifest in cache.cache_folder().glob("*.json"):
        manifest.write_text('{"product": 3')
    first.unlink()
    assert build(firmware).is_file()


def test_a_cache_that_cannot_be_written_is_replaced_for_this_process(
    firmware: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    product = build(firmware)
    assert product.is_file()
    assert build(firmware) == product
    assert "cannot be written" in caplog.text


def test_two_processes_may_build_at_once(firmware: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from harness.firmware.builder import build_firmware\n"
        "folder = Path(sys.argv[1]); print(build_firmware([folder / 'main.c'], [folder]))"
    )
    environment = os.environ | {"PYTHONPATH": str(kernel_folder().parents[1])}
    command = [sys.executable, "-c", script, str(firmware)]
    both = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [process.communicate()[0].strip() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert answers[0] == answers[1] == str(build(firmware))
    assert list(cache.cache_folder().glob(".new-*")) == []


# ---- what a build is --------------------------------------------------------------------------------------------


def test_the_kernel_builds() -> None:
    assert build_kernel().is_file()


@pytest.mark.parametrize("family", Family)
@pytest.mark.parametrize("options", [BuildOptions(), BuildOptions(defines=("A=1",))])
def test_flags_give_the_same_numbers_on_every_machine(family: Family, options: BuildOptions) -> None:
    flags = compile_flags(Compiler(("cc",), family, ""), options)
    assert "-ffp-contract=off" in flags
    assert not any("native" in flag or "fast-math" in flag for flag in flags)
    assert (family is Family.ZIG) == ("-mcpu=baseline" in flags)


def test_sanitizer_flags_are_given_to_compiler_and_linker() -> None:
    compiler = Compiler(("cc",), Family.GCC, "")
    for flags in (
        compile_flags(compiler, BuildOptions(sanitize=True)),
        link_flags(compiler, BuildOptions(sanitize=True)),
    ):
        assert {"-fsanitize=address,undefined", "-fno-sanitize-recover=all"} <= set(flags)


def test_a_firmware_calls_its_own_functions_before_those_of_the_process(firmware: Path) -> None:
    (firmware / "main.c").write_text("int atoi(const char *);\nint ask(const char *text) { return atoi(text); }\n")
    (firmware / "own.c").write_text("int atoi(const char *text) { return text[0] + 77; }\n")
    library = ctypes.CDLL(str(build_firmware([firmware / "main.c", firmware / "own.c"], [])))
    assert library.ask(b"\x01") == 78


def test_a_coverage_build_counts_which_lines_ran(firmware: Path) -> None:
    product = build(firmware, options=BuildOptions(coverage=True))
    script = f"import ctypes; ctypes.CDLL({str(product)!r}).limit()"
    subprocess.run([sys.executable, "-c", script], check=True)
    assert len(list(product.parent.glob("*.gcno"))) == 1
    assert len(list(product.parent.glob("*.gcda"))) == 1


# ---- errors -----------------------------------------------------------------------------------------------------


def test_firmware_that_does_not_compile_shows_file_line_and_the_compiler(firmware: Path) -> None:
    (firmware / "main.c").write_text("int limit(void) {\n    return nonsense;\n}\n")
    with pytest.raises(FirmwareError) as caught:
        build(firmware)
    text = str(caught.value)
    assert str(firmware / "main.c") in text
    assert "main.c:2:" in text
    assert "nonsense" in text


def test_all_files_that_do_not_compile_are_named(firmware: Path) -> None:
    for name in ("one.c", "two.c", "three.c"):
        (firmware / name).write_text(f'#error "broken {name}"\n')
    with pytest.raises(FirmwareError) as caught:
        build_firmware([firmware / name for name in ("one.c", "main.c", "two.c", "three.c")], [firmware])
    assert all(f"broken {name}" in str(caught.value) for name in ("one.c", "two.c", "three.c"))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other linkers allow it")
def test_a_function_nobody_defines_is_named(firmware: Path) -> None:
    (firmware / "main.c").write_text("void hal_missing(void);\nint limit(void) { hal_missing(); return 0; }\n")
    with pytest.raises(FirmwareError, match="hal_missing"):
        build(firmware)


def test_a_failed_build_leaves_nothing_in_the_cache(firmware: Path) -> None:
    (firmware / "main.c").write_text("nonsense\n")
    with pytest.raises(FirmwareError):
        build(firmware)
    assert list(cache.cache_folder().glob("*")) == []


@pytest.mark.parametrize(
    ("sources", "folders", "options", "named"),
    [
        ([], [], BuildOptions(), "at least one"),
        (["gone.c"], [], BuildOptions(), "gone.c"),
        (["limits_of_pack.h"], [], BuildOptions(), "limits_of_pack.h"),
        (["main.c"], ["gone"], BuildOptions(), "gone"),
        (["main.c"], [], BuildOptions(defines=("-O0",)), "-O0"),
    ],
)
def test_impossible_inputs_are_refused_by_name(
    firmware: Path, sources: Sequence[str], folders: Sequence[str], options: BuildOptions, named: str
) -> None:
    with pytest.raises(UsageError, match=named):
        build_firmware([firmware / name for name in sources], [firmware / name for name in folders], options)


@pytest.mark.skipif(importlib.util.find_spec("ziglang") is not None, reason="ziglang is a compiler")
def test_without_a_compiler_the_two_ways_out_are_named(
    firmware: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(FirmwareError) as caught:
        build(firmware)
    assert "install a compiler" in str(caught.value)
    assert 'pip install "bms-harness[cc]"' in str(caught.value)


def test_the_variable_cc_is_left_alone(firmware: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "/nonexistent/compiler")
    assert build(firmware).is_file()
    assert find_compiler().command != ("/nonexistent/compiler",)


@pytest.mark.parametrize("options", [BuildOptions(sanitize=True), BuildOptions(coverage=True)])
def test_what_zig_cannot_build_is_refused_with_a_way_out(options: BuildOptions) -> None:
    with pytest.raises(FirmwareError, match="gcc or clang"):
        compile_flags(Compiler(("zig", "cc"), Family.ZIG, ""), options)


def test_the_port_is_always_on_the_include_path(firmware: Path) -> None:
    (firmware / "main.c").write_text('#include "fil.h"\nuint32_t fil_abi_version(void) { return FIL_ABI_VERSION; }\n')
    assert build_firmware([firmware / "main.c"], []).is_file()
    assert (port_folder() / "fil.h").is_file()
