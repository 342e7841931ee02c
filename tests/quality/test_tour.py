# SPDX-License-Identifier: Apache-2.0
"""The tour for newcomers: its commands, run one after the other, print what it says they print."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import cli

DOCS = Path(__file__).parents[2] / "docs"
TOUR = (DOCS / "tour.md").read_text(encoding="utf-8")
SVG_TEXT = re.compile(r"<text[^>]*>([^<]*)</text>")


def steps() -> Iterator[tuple[str, list[str]]]:
    """Each command with the lines it is said to print."""
    for block in re.findall(r"```console\n(.*?)```", TOUR, re.DOTALL):
        first, *lines = block.splitlines()
        assert first.startswith("$ "), first
        yield first.removeprefix("$ "), lines


def output(command: str) -> str:
    words = shlex.split(command)
    if words[0] == "cat":
        return Path(words[1]).read_text(encoding="utf-8")
    assert words[0] == "bms-harness", command
    result = CliRunner(env={"COLUMNS": "200"}).invoke(cli, words[1:])
    assert result.exit_code in (0, 1), result.output
    return result.output


def squeezed(text: str) -> str:
    return " ".join(text.split())


def unseen(said: list[str], printed: str) -> list[str]:
    """The lines that were not printed in this order; ... stands for anything."""
    lines = iter(squeezed(line) for line in printed.splitlines())
    patterns = {line: re.escape(squeezed(line)).replace(r"\.\.\.", ".*") for line in said}
    return [line for line in said if not any(re.fullmatch(patterns[line], printed_line) for printed_line in lines)]


@pytest.fixture(scope="module")
def toured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("tour"))
        yield {command: output(command) for command, _ in steps()}


def test_every_command_prints_what_the_tour_says(toured: dict[str, str]) -> None:
    assert len(toured) >= 5
    assert {} == {command: lines for command, said in steps() if (lines := unseen(said, toured[command]))}


def test_the_picture_in_the_tour_is_the_one_its_command_draws(toured: dict[str, str]) -> None:
    drawn = SVG_TEXT.findall(Path("tour.svg").read_text(encoding="utf-8"))
    assert SVG_TEXT.findall((DOCS / "tour.svg").read_text(encoding="utf-8")) == drawn
    assert {"cell_voltage_max_v [V]", "time of the scenario [s]", "limit 3.75 V"} <= set(drawn)
    assert ["seen", "flag", "contactors"] == [
        text.split()[0] for text in drawn if re.fullmatch(r"\w+ \d\.\d\d s", text)
    ]
    assert toured


def test_a_picture_that_cannot_be_written_is_said_to_be_so(toured: dict[str, str]) -> None:
    assert toured
    (scenario,) = Path("found").glob("*.toml")
    result = CliRunner().invoke(cli, ["replay", str(scenario), "--figure", "nowhere/tour.svg"])
    assert result.exit_code == 2, result.output
    assert "--figure: cannot write nowhere/tour.svg: No such file or directory" in result.stderr


def test_a_line_that_is_not_printed_is_found() -> None:
    assert ["b"] == unseen(["a ...", "b"], "a  1\nc")
    assert ["a"] == unseen(["b", "a"], "a\nb")


def test_the_code_shown_is_that_of_the_firmware() -> None:
    source = (DOCS.parent / "rigs" / "reference-bms" / "protect.c").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```c\n(.*?)```", TOUR, re.DOTALL)
    assert squeezed(shown) in squeezed(source)
