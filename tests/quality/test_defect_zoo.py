# SPDX-License-Identifier: Apache-2.0
"""The zoo of the reference firmware: list and sources agree, and a build without it has nothing of it."""

import re
import subprocess
from pathlib import Path

import pytest

from harness.firmware.builder import find_compiler
from harness.rig import find_rig, load_rig
from harness.rig.defectfile import DefectFile, load_defects
from harness.tomlfile import parse_toml, read_text

_ROOT = Path(__file__).parents[2]
_SOURCES = _ROOT / "rigs" / "reference-bms"
_FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-Wconversion")
_INCLUDES = (f"-I{_SOURCES}", f"-I{_ROOT / 'harness' / 'firmware'}")
_LEAST = 45  # defects the zoo promises
_LEAST_SEQUENCES = 12


@pytest.fixture(scope="module")
def zoo() -> DefectFile:
    # load_defects refuses a requirement that the rig does not have
    return load_defects(load_rig(find_rig("ebus-lfp")))


def _seeded() -> set[int]:
    text = "\n".join(path.read_text() for path in sorted(_SOURCES.glob("*.c")))
    return {int(number) for number in re.findall(r"\bDEFECT\((\d+)\)", text)}


def _listed() -> list[int]:
    """All defects of the file, those of functions that no rig but one has among them."""
    path = _SOURCES / "defects.toml"
    return [defect["id"] for defect in parse_toml(read_text(path), path)["defect"]]


def _last() -> int:
    found = re.search(r"#define DEFECT_LAST (\d+)", (_SOURCES / "defect.h").read_text())
    assert found is not None
    return int(found[1])


def test_the_read_me_counts_requirements_and_defects_of_the_bus_pack(zoo: DefectFile) -> None:
    told = f"{len(load_rig(find_rig('ebus-lfp')).requirements)} requirements, {len(zoo.defect)} seeded defects"
    assert told in (_ROOT / "README.md").read_text(encoding="utf-8")


def test_ids_rise_to_defect_last() -> None:
    listed = _listed()
    assert listed == sorted(listed)
    assert _last() == listed[-1]


def test_every_defect_listed_is_in_the_sources_and_the_other_way_round() -> None:
    assert set(_listed()) == _seeded()


def test_the_zoo_is_as_large_as_promised(zoo: DefectFile) -> None:
    assert len(zoo.defect) >= _LEAST
    assert sum(defect.sequence for defect in zoo.defect) >= _LEAST_SEQUENCES


def test_a_defect_marked_as_a_sequence_took_two_actions_in_the_committed_matrix(zoo: DefectFile) -> None:
    page = (_ROOT / "docs" / "kill-matrix.md").read_text()
    rows = [line.split(" | ") for line in page.splitlines() if re.match(r"\| \d+ \| \*\*", line)]
    actions = {int(row[0].strip("| ")): int(row[-2]) for row in rows}
    assert {defect.id for defect in zoo.defect} == set(actions)
    assert [] == [defect.id for defect in zoo.defect if defect.sequence and actions[defect.id] < 2]


def test_every_defect_tells_where_it_comes_from(zoo: DefectFile) -> None:
    assert [] == [defect.id for defect in zoo.defect if defect.origin == "our own"]


def test_no_defect_is_excused(zoo: DefectFile) -> None:
    assert {} == zoo.allowed


@pytest.mark.parametrize("defines", [(), ("-DBMS_DEFECTS",)], ids=["product", "zoo"])
def test_both_builds_compile_without_a_warning(defines: tuple[str, ...], tmp_path: Path) -> None:
    for source in sorted(_SOURCES.glob("*.c")):
        _compile(source, tmp_path / f"{source.stem}.o", *defines)


def test_a_product_has_no_code_of_the_zoo(tmp_path: Path) -> None:
    """The same machine code as from sources in which every DEFECT(id) is written as 0."""
    bare = tmp_path / "bare"
    bare.mkdir()
    for source in sorted(_SOURCES.glob("*.c")):
        without = bare / source.name
        without.write_text(re.sub(r"\bDEFECT\(\d+\)", "0", source.read_text()))
        objects = [tmp_path / name / f"{source.stem}.o" for name in ("with", "without")]
        for origin, target in zip((source, without), objects, strict=True):
            target.parent.mkdir(exist_ok=True)
            _compile(origin, target, f"-ffile-prefix-map={origin.parent}=")
        assert objects[0].read_bytes() == objects[1].read_bytes(), source.name
        assert b"bms_defect" not in objects[0].read_bytes(), source.name


def _compile(source: Path, target: Path, *more: str) -> None:
    command = [*find_compiler().command, *_FLAGS, *more, *_INCLUDES, "-c", str(source), "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
