# SPDX-License-Identifier: Apache-2.0
"""What is made from the catalogue: the documentation page, the JSON document, and their agreement with the table."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped, unused-ignore] # has no types of its own
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from harness.cli import cli
from harness.faults.catalogue import CATALOGUE, shapes_of, timing_of
from harness.faults.document import catalogue_document
from harness.faults.model import FaultKind
from harness.faults.page import page
from harness.faults.schema import catalogue_schema

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"

every_kind = pytest.mark.parametrize("kind", CATALOGUE, ids=lambda kind: kind.kind)


def printed(*words: str) -> Any:
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_page_in_the_repository_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "make it anew: python -m harness.faults > docs/faults.md"


def test_the_page_of_the_bench_counts_the_kinds_of_the_catalogue() -> None:
    bench = sum(kind.bench for kind in CATALOGUE)
    assert f"{bench} of the {len(CATALOGUE)} kinds" in (PAGE.parent / "bench.md").read_text(encoding="utf-8")


def test_the_page_is_made_by_a_command() -> None:
    made = subprocess.run([sys.executable, "-m", "harness.faults"], capture_output=True, text=True, check=True)
    assert made.stdout == page()


@every_kind
def test_the_page_has_every_kind_with_its_parameters(kind: FaultKind) -> None:
    (row,) = [line for line in page().splitlines() if line.startswith(f"| `{kind.kind}` |")]
    assert all(f"`{parameter.name}`" in row for parameter in kind.parameters)
    assert row.count(" | ") == 7  # eight cells: no text breaks the table


def test_the_schema_is_one_and_the_document_of_the_command_line_follows_it() -> None:
    schema = printed("schema", "faults")
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema == catalogue_schema()
    document = printed("faults", "--json")
    jsonschema.validate(document, schema, cls=jsonschema.Draft202012Validator)
    assert [entry["kind"] for entry in document["faults"]] == [kind.kind for kind in CATALOGUE]


@pytest.mark.parametrize(
    "damage",
    [
        {"class": "weather"},
        {"shapes": []},
        {"shapes": ["saw-tooth"]},
        {"changes": []},
        {"where": "nowhere"},
        {"bench": "yes"},
        {"colour": "red"},
    ],
)
def test_the_schema_refuses_what_is_none(damage: dict[str, object]) -> None:
    document = catalogue_document(CATALOGUE[:1])
    document["faults"][0] |= damage
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, catalogue_schema(), cls=jsonschema.Draft202012Validator)


@every_kind
def test_the_command_line_explains_every_kind_and_completes_its_parameters(kind: FaultKind) -> None:
    told = CliRunner().invoke(cli, ["faults", kind.kind]).output
    parameters = (*kind.parameters, *timing_of(kind))
    assert all(parameter.name in told for parameter in parameters)
    assert all(shape in told for shape in shapes_of(kind))
    complete = ShellComplete(cli, {}, "bms-harness", "_COMPLETE")
    offered = complete.get_completions(["inject", "ebus-lfp", kind.kind], "")
    assert [item.value for item in offered] == [f"{parameter.name}=" for parameter in parameters]
    assert all(item.help for item in offered)


def test_a_kind_that_not_every_rig_offers_names_those_that_do() -> None:
    told = CliRunner().invoke(cli, ["faults", "pole-drop"]).output
    assert "tram-lto, trolleybus-lto" in told
    assert "bms-harness inject tram-lto pole-drop" in told


def test_what_not_every_rig_offers_says_so_on_the_page_and_in_the_document() -> None:
    rare = [kind for kind in CATALOGUE if kind.needs]
    rows = {line.split("`")[1]: line for line in page().splitlines() if line.startswith("| `")}
    line = {"pole-drop", "line-voltage", "line-gaps", "poles-fed"}
    assert line == {kind.kind for kind in rare if kind.needs == "line"}
    assert {"mains-failure", "mains-dips", "load-inrush"} == {kind.kind for kind in rare if kind.needs == "rectifier"}
    said = {
        "line": "rigs with an overhead line",
        "rectifier": "rigs with a rectifier that floats the pack",
        "gbt": "rigs with a GB/T 27930 charger",
    }
    assert [] == [kind.kind for kind in rare if said[kind.needs] not in rows[kind.kind]]
    needs = {entry["kind"]: entry["needs"] for entry in catalogue_document(CATALOGUE)["faults"]}
    assert {kind.kind: kind.needs for kind in CATALOGUE} == needs
