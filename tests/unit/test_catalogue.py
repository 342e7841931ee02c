# SPDX-License-Identifier: Apache-2.0
"""Every row of the fault catalogue is well-formed and acts at a place the kernel has."""

import re
from pathlib import Path

import pytest

import harness.kernel
from harness.errors import UsageError
from harness.faults.catalogue import CATALOGUE, find_kind, kind_named, shapes_of, timing_of
from harness.faults.model import TIMING, FaultKind, Where

TYPES_H = Path(harness.kernel.__path__[0]) / "fault_types.h"

# The first set of the issue, by the name a person types.
FIRST_SET = {
    "cell-voltage",
    "cell-self-discharge",
    "cell-resistance",
    "cell-capacity",
    "internal-short",
    "cell-heating",
    "sense-wire-open",
    "cell-sensor-offset",
    "cell-sensor-stuck",
    "temp-sensor-open",
    "temp-sensor-short",
    "temp-sensor-offset",
    "current-sensor-offset",
    "current-sensor-stuck",
    "current-sensor-sign",
    "contactor-welded",
    "contactor-stuck-open",
    "contactor-slow",
    "precharge-open",
    "insulation-drop",
    "hvil-open",
    "supply-dip",
    "coolant-loss",
    "charger-ignores-limits",
    "message-lost",
    "message-late",
}

every_kind = pytest.mark.parametrize("kind", CATALOGUE, ids=lambda kind: kind.kind)


def enumerators(prefix: str) -> dict[str, int]:
    """Names and numbers of one C enumeration, counted as a compiler does."""
    found: dict[str, int] = {}
    for body in re.findall(
        r"enum \{(.*?)\}", re.sub(r"/\*.*?\*/", "", TYPES_H.read_text(), flags=re.DOTALL), re.DOTALL
    ):
        value = -1
        for item in (part.strip() for part in body.split(",")):
            name, _, number = (piece.strip() for piece in item.partition("="))
            base, _, shift = number.partition("<<")
            value = int(base) << int(shift or 0) if number else value + 1
            if name.startswith(prefix):
                found[name.removeprefix(prefix)] = value
    return found


def test_first_set_of_the_issue_is_there() -> None:
    assert FIRST_SET - {kind.kind for kind in CATALOGUE} == set()


def test_names_are_unique_and_typed_in_one_style() -> None:
    names = [kind.kind for kind in CATALOGUE]
    assert sorted(set(names)) == sorted(names)
    assert [name for name in names if not re.fullmatch(r"[a-z0-9]+(-[a-z]+)*", name)] == []


def test_every_place_of_the_kernel_is_reached_by_a_fault() -> None:
    played = {effect.point for kind in CATALOGUE for effect in kind.effects}
    assert set(enumerators("BH_AT_")) == played


@every_kind
def test_acts_at_a_place_and_in_a_way_the_kernel_has(kind: FaultKind) -> None:
    points, ops = enumerators("BH_AT_"), enumerators("BH_OP_")
    assert [effect for effect in kind.effects if effect.point not in points or effect.op not in ops] == []
    assert kind.effects


@every_kind
def test_place_agrees_with_where_it_is_said_to_act(kind: FaultKind) -> None:
    points = enumerators("BH_AT_")
    first, last = {Where.TRUTH: (0, 99), Where.GIVEN: (100, 199), Where.BUS: (200, 399)}[kind.where]
    assert all(first <= points[effect.point] <= last for effect in kind.effects)


@every_kind
def test_is_explained_and_says_where_it_comes_from(kind: FaultKind) -> None:
    assert len(kind.title) >= 8
    assert len(kind.source) >= 10
    assert all(parameter.meaning for parameter in kind.parameters)


@every_kind
def test_numbers_have_bounds_and_a_unit_in_their_name(kind: FaultKind) -> None:
    suffixes = {
        "V": "_v",
        "A": "_a",
        "°C": "_degc",
        "K": "_k",
        "ohm": "_ohm",
        "W": "_w",
        "s": "_s",
        "%": "_pct",
        "": "",
    }
    suffixes |= {f"{unit}/s": f"{suffix}_per_s" for unit, suffix in suffixes.items()}
    for parameter in kind.parameters:
        if parameter.role != "value":
            continue
        assert parameter.minimum is not None
        assert parameter.maximum is not None
        assert parameter.minimum < parameter.maximum
        assert parameter.name.endswith(suffixes[parameter.unit] if parameter.unit else "")


@every_kind
def test_defaults_lie_within_the_bounds(kind: FaultKind) -> None:
    for parameter in (*kind.parameters, *TIMING):
        if isinstance(parameter.default, float):
            assert parameter.minimum is not None
            assert parameter.maximum is not None
            assert parameter.minimum <= parameter.default <= parameter.maximum
        if isinstance(parameter.default, str):
            assert parameter.default in parameter.choices


@every_kind
def test_every_name_an_effect_uses_is_a_parameter(kind: FaultKind) -> None:
    names = {parameter.name for parameter in kind.parameters}
    for effect in kind.effects:
        used = {item for item in (effect.value, effect.index, *(effect.when or ())[:1]) if isinstance(item, str)}
        assert used <= names


@every_kind
def test_every_parameter_is_used(kind: FaultKind) -> None:
    used = {kind.noise_from}
    for effect in kind.effects:
        sources = (effect.value, effect.index, *effect.extra.values(), *(effect.when or ())[:1])
        used |= {item for item in sources if isinstance(item, str)}
    assert {parameter.name for parameter in kind.parameters} - used == set()


@every_kind
def test_every_word_an_option_allows_has_a_meaning(kind: FaultKind) -> None:
    for parameter in kind.parameters:
        if parameter.role != "option":
            continue
        numbers = [
            effect for effect in kind.effects if parameter.name in (effect.value, effect.index, *effect.extra.values())
        ]
        rows = {
            word
            for effect in kind.effects
            if effect.when and effect.when[0] == parameter.name
            for word in effect.when[1]
        }
        assert set(parameter.choices) <= (set(kind.options) if numbers else rows)


def test_on_or_off_has_no_ramp_and_no_noise() -> None:
    assert shapes_of(kind_named("hvil-open")) == ("step", "intermittent")
    assert shapes_of(kind_named("temp-sensor-open")) == ("step", "intermittent")


def test_a_number_can_take_any_course() -> None:
    assert shapes_of(kind_named("cell-voltage")) == ("step", "ramp", "intermittent", "noise")


def test_noise_kinds_take_only_a_duration() -> None:
    assert shapes_of(kind_named("cell-sensor-noise")) == ("noise",)
    assert [parameter.name for parameter in timing_of(kind_named("cell-sensor-noise"))] == ["for_s"]


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    assert find_kind("cell-voltge") is None
    with pytest.raises(UsageError, match="cell-voltage"):
        kind_named("cell-voltge")
