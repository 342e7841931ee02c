# SPDX-License-Identifier: Apache-2.0
"""Adding up a campaign: the same as combining every verdict, and the same whichever way it is divided."""

from __future__ import annotations

import json
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from harness.rig.jobs import ScenarioJob, errored, sum_of
from harness.rig.tally import MAX_FAILING, Tally
from harness.rig.wire import case_from_wire, case_to_wire
from harness.scenario import Scenario
from harness.search.runner import Case
from harness.verdict import Exercised, Outcome, Verdict, combine

NAMES = ("PRT-A-1", "PRT-B-1", "PRT-C-1")
MARGINS = st.dictionaries(st.sampled_from(["v", "ms"]), st.sampled_from([-1.0, 0.0, 0.5, 2.0]), max_size=2)
COUNTS = st.integers(0, 3)
PLAIN = st.builds(
    Verdict,
    requirement=st.just(""),
    outcome=st.sampled_from([outcome for outcome in Outcome if outcome is not Outcome.ERROR]),
    exercised=st.builds(Exercised, COUNTS, COUNTS),
    margin=MARGINS,
    reason=st.sampled_from(["", "why"]),
    at_s=st.sampled_from([None, 1.5]),
)


@st.composite
def case_lists(draw: st.DrawFn) -> list[Case]:
    cases = []
    for number in range(draw(st.integers(1, 12))):
        scenario = Scenario(rig="r", title=str(number))
        if draw(st.integers(0, 5)) == 5:
            cases.append(errored(scenario, NAMES, "broke off"))
            continue
        verdicts = []
        for name in NAMES:
            plain = draw(PLAIN)
            exercised = Exercised() if plain.outcome is Outcome.NOT_EXERCISED else plain.exercised
            verdicts.append(Verdict(name, plain.outcome, exercised, plain.margin, plain.reason, plain.at_s))
        cases.append(Case(scenario, tuple(verdicts)))
    return cases


def added(cases: Sequence[Case]) -> Tally:
    total = Tally(NAMES)
    for case in cases:
        total.add(case)
    return total


def joined(parts: Sequence[Sequence[Case]]) -> Tally:
    """As worker processes do it: each part summed up apart, sent as text, joined in order."""
    total = Tally(NAMES)
    for part in parts:
        data = json.loads(json.dumps(sum_of(part, NAMES)))
        total.join(data["tally"], [case.scenario for case in part].__getitem__)
    return total


@given(case_lists())
def test_a_tally_gives_what_combining_the_verdicts_gives(cases: list[Case]) -> None:
    for verdict in added(cases).verdicts():
        expected = combine(
            [item for case in cases for item in case.verdicts if item.requirement == verdict.requirement]
        )
        assert (verdict.outcome, verdict.exercised, verdict.margin) == (
            expected.outcome,
            expected.exercised,
            expected.margin,
        )
        if verdict.outcome is not Outcome.NOT_EXERCISED:
            assert (verdict.reason, verdict.at_s) == (expected.reason, expected.at_s)


@given(case_lists(), st.integers(1, 5))
def test_a_tally_does_not_depend_on_how_the_cases_are_divided(cases: list[Case], size: int) -> None:
    whole, parts = added(cases), joined([cases[at : at + size] for at in range(0, len(cases), size)])
    assert parts.verdicts() == whole.verdicts()
    assert parts.worst() == whole.worst()
    assert [parts.failing(name) for name in NAMES] == [whole.failing(name) for name in NAMES]
    assert (parts.cases, parts.error_count, parts.failed) == (whole.cases, whole.error_count, whole.failed)
    assert [case.error for case in parts.errors] == [case.error for case in whole.errors]


@given(case_lists())
def test_a_case_survives_the_way_between_processes(cases: list[Case]) -> None:
    for case in cases:
        data = json.loads(json.dumps(case_to_wire(case)))
        assert case_from_wire(data, case.scenario, NAMES) == case
        assert ScenarioJob(case.scenario).answer(data, NAMES) == case


def test_a_few_failing_scenarios_are_kept_the_simplest_first() -> None:
    failed = Verdict("PRT-A-1", Outcome.FAIL, margin={"ms": -1.0})
    lengths = [9.0, 3.0, 5.0, 7.0, 4.0, 1.0]
    cases = [Case(Scenario(rig="r", duration_s=length), (failed,)) for length in lengths]
    for total in (added(cases), joined([cases[:2], cases[2:4], cases[4:]])):
        kept = [witness.scenario.duration_s for witness in total.failing("PRT-A-1")]
        assert kept == sorted(lengths[:MAX_FAILING])


def test_the_telling_scenario_is_a_failing_one_before_any_margin() -> None:
    tight = Case(Scenario(rig="r", title="tight"), (Verdict("PRT-A-1", Outcome.PASS, margin={"ms": 0.1}),))
    bad = Case(Scenario(rig="r", title="bad"), (Verdict("PRT-A-1", Outcome.FAIL),))
    assert added([tight]).worst()["PRT-A-1"].scenario.title == "tight"
    assert added([tight, bad]).worst()["PRT-A-1"].scenario.title == "bad"


def test_what_another_tally_failed_is_adopted_and_nothing_else_of_it() -> None:
    def played(title: str, *outcomes: Outcome) -> Case:
        verdicts = tuple(Verdict(name, outcome) for name, outcome in zip(NAMES, outcomes, strict=True))
        return Case(Scenario(rig="r", title=title), verdicts)

    own = added([played("own", Outcome.FAIL, Outcome.PASS, Outcome.NOT_EXERCISED)])
    broken = errored(Scenario(rig="r", title="broken"), NAMES, "broke off")
    own.adopt_failures(added([played("other", Outcome.FAIL, Outcome.FAIL, Outcome.PASS), broken]))
    assert [Outcome.FAIL, Outcome.FAIL, Outcome.NOT_EXERCISED] == [verdict.outcome for verdict in own.verdicts()]
    assert ["own", "other"] == [own.failing(name)[0].scenario.title for name in NAMES[:2]]
    assert [broken] == own.errors
    own.adopt_failures(added([errored(Scenario(rig="r", title="later"), NAMES, "broke off")]))
    assert [broken] == own.errors
