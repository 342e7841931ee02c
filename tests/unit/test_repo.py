# SPDX-License-Identifier: Apache-2.0
"""Habits of this repository that no linter holds: sizes, licence lines, one clock, layers, documents that are true."""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from harness.cli import COMMANDS, cli
from harness.firmware.builder import build_firmware
from harness.requirements import load_requirements

ROOT = Path(__file__).parents[2]
FOLDERS = ("harness", "rigs", "tests", "dbc", "fixtures", ".ci")
MAX_LINES, MAX_FUNCTION_LINES = 400, 50
# Files over the limit, with the length they may not exceed: the list only shrinks.
LONGER_FILES: dict[str, int] = {}
LONGER_FUNCTIONS = {"harness/search/tours.py::_plant": 52, "tests/firmware/echo_bench.py::config": 57}
FOREIGN = ("harness/report/vendor/",)
CODE = {".py", ".c", ".h", ".js", ".css", ".j2", ".toml"}
README = (ROOT / "README.md").read_text(encoding="utf-8")


def sources(*suffixes: str) -> Iterator[Path]:
    """Our own files of these kinds."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            name = path.relative_to(ROOT).as_posix()
            hidden = "__pycache__" in path.parts or name.startswith((*FOREIGN, "harness/_data"))
            if path.is_file() and path.suffix in suffixes and not hidden:
                yield path


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_files_are_short_enough_to_read() -> None:
    lengths = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in sources(".py", ".c", ".h")}
    assert len(lengths) > 100
    assert {} == {name: n for name, n in lengths.items() if n > LONGER_FILES.get(name, MAX_LINES)}
    assert [] == [name for name in LONGER_FILES if lengths.get(name, 0) <= MAX_LINES]  # no longer needed: take it out


def test_functions_are_short_enough_to_read() -> None:
    long = {}
    for path in sources(".py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                name = f"{name_of(path)}::{node.name}"
                if lines > LONGER_FUNCTIONS.get(name, MAX_FUNCTION_LINES):
                    long[name] = lines
    for path in sources(".c"):
        long |= {f"{name_of(path)}::{name}": n for name, n in c_functions(path) if n > MAX_FUNCTION_LINES}
    assert {} == long


def c_functions(path: Path) -> Iterator[tuple[str, int]]:
    """Name and length of each function that begins in column 0 and ends with a brace there."""
    name, begin = "", 0
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        found = re.match(r"[a-zA-Z_][\w \*]*?(\w+)\(", line)
        if found and not line.rstrip().endswith(";"):
            name, begin = found[1], number
        elif line == "}" and name:
            yield name, number - begin + 1
            name = ""


def test_the_measure_of_c_functions_finds_a_long_one(tmp_path: Path) -> None:
    path = tmp_path / "long.c"
    body = "    x++;\n" * 60
    path.write_text(f"static int f(int x)\n{{\n{body}}}\nint g(void);\n", encoding="utf-8")
    assert [("f", 63)] == list(c_functions(path))


def test_every_file_begins_with_its_licence() -> None:
    def licensed(path: Path) -> bool:
        return "SPDX-License-Identifier: Apache-2.0" in "\n".join(path.read_text(encoding="utf-8").splitlines()[:3])

    assert [] == [name_of(path) for path in sources(*CODE) if not licensed(path)]


def test_only_the_clock_reads_the_time() -> None:
    offenders = []
    for path in sources(".py"):
        name = name_of(path)
        if name == "harness/clock.py" or name.startswith("tests/"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            offenders += [f"{name}: {module}" for module in modules if module in {"time", "datetime", "sched"}]
    assert [] == offenders


# ---------------------------------------------------------------------------------------------- the layers are held


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "harness", tmp_path / "harness", ignore=shutil.ignore_patterns("__pycache__", "_data"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_layers_are_kept(checkout: Path) -> None:
    result = lint_imports(checkout)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("module", "target"),
    [
        ("units.py", "harness.scenario"),
        ("kernel/buffers.py", "harness.rig.file"),
        ("requirements/trip.py", "harness.canbus.batch"),
        ("rig/session.py", "cantools"),
        ("cli/run.py", "hypothesis"),
        ("search/moves.py", "cffi"),
    ],
)
def test_an_import_against_the_layers_is_refused(checkout: Path, module: str, target: str) -> None:
    path = checkout / "harness" / module
    path.write_text(f"{path.read_text(encoding='utf-8')}\nimport {target}\n", encoding="utf-8")
    result = lint_imports(checkout)
    assert result.returncode == 1, result.stdout
    importer = f"harness.{module.removesuffix('.py').replace('/', '.')}"
    assert re.search(rf"{importer} -> {target}\b", result.stdout.partition("Broken contracts")[2]), result.stdout


# -------------------------------------------------------------------------------------------- the documents are true


def documents() -> dict[str, str]:
    paths = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return {name_of(path): path.read_text(encoding="utf-8") for path in paths}


def test_every_command_is_in_the_documents() -> None:
    text = "\n".join(documents().values())
    assert [] == [name for name in COMMANDS if f"bms-harness {name}" not in text]


def test_documents_link_to_files_that_are_there() -> None:
    links = [(name, link) for name, text in documents().items() for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text)]
    local = [(name, link) for name, link in links if not link.startswith("http")]
    assert [] == [(name, link) for name, link in local if not ((ROOT / name).parent / link).exists()]


def commands_in(text: str) -> Iterator[list[str]]:
    """The bms-harness commands of a document's shell blocks and inline code, as words."""
    blocks = re.findall(r"```(?:sh|console)\n(.*?)```", text, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    for line in (*lines, *re.findall(r"`(bms-harness [^`]+)`", text)):
        for part in line.removeprefix("$ ").split("&&"):
            words = shlex.split(part, comments=True)
            if words[:1] == ["bms-harness"] and not words[1].startswith("-"):
                yield words[1:]


# design.md is the plan of the whole; its later layers are not built yet.
@pytest.mark.parametrize("name", [name for name in documents() if name != "docs/design.md"])
def test_commands_in_the_documents_exist_with_their_options(name: str) -> None:
    for words in commands_in(documents()[name]):
        assert words[0] in COMMANDS, words
        command = cli.get_command(click.Context(cli), words[0])
        assert command is not None
        known = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
        assert set() == {word for word in words[1:] if word.startswith("--")} - known, words


def test_the_first_fault_of_the_readme_does_what_it_says() -> None:
    words = next(words for words in commands_in(README) if words[0] == "inject")
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 0, result.output
    assert "fault.cell_overvoltage on the bus" in result.stdout


def test_the_pytest_example_of_the_readme_passes(tmp_path: Path) -> None:
    (tmp_path / "test_example.py").write_text(
        re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0], encoding="utf-8"
    )
    line = next(line for line in README.splitlines() if line.startswith("pytest --rig"))
    command = [sys.executable, "-m", *shlex.split(line)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
    assert "PRT-OV-3.outcome" in (tmp_path / "junit.xml").read_text(encoding="utf-8")


def test_the_port_skeleton_of_the_documents_compiles(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "bring-your-own-firmware.md").read_text(encoding="utf-8")
    source = tmp_path / "fil_port.c"
    source.write_text(re.findall(r"```c\n(.*?)```", text, re.DOTALL)[0], encoding="utf-8")
    assert build_firmware([source], []).is_file()


def test_the_requirement_of_the_documents_is_legal(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "bring-your-own-requirement.md").read_text(encoding="utf-8")
    path = tmp_path / "requirements.toml"
    path.write_text(re.findall(r"```toml\n(.*?)```", text, re.DOTALL)[0], encoding="utf-8")
    assert ["PRT-OV-3"] == [requirement.id for requirement in load_requirements(path)]


def test_the_readme_marks_the_two_commands_that_ci_runs() -> None:
    for mark in ("main-command", "test-command"):
        block = re.search(rf"<!-- {mark} -->\n```sh\n(.+)\n```\n<!-- /{mark} -->", README)
        assert block is not None
        assert "\n" not in block[1]
