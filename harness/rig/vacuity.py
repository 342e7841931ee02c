# SPDX-License-Identifier: Apache-2.0
"""What each requirement is worth: how it was exercised, by which faults, and which defects only it kills."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from harness.requirements.model import Requirement
from harness.rig.hunt import Kill
from harness.rig.surveys import Sighting


@dataclass(frozen=True, slots=True)
class Evidence:
    """One requirement. `must` and `must_not` count the scenarios of the defect-free run that exercised that side.

    `fired` counts, by kind of fault, the scenarios that exercised it in which such a fault fired; "" = no fault did.
    `kills` are the ids of all defects it failed on, `only` of those nothing else failed on, `named` of those the list
    names it for.
    """

    requirement: str
    must: int
    must_not: int
    fired: dict[str, int]
    kills: tuple[int, ...]
    only: tuple[int, ...]
    named: tuple[int, ...]

    @property
    def verified(self) -> bool:
        """Whether it has ever told a defect from the defect-free build. If not, it is claimed, not verified."""
        return bool(self.kills)


def vacuity(
    requirements: Sequence[Requirement], sightings: Sequence[Sighting], kills: Sequence[Kill]
) -> tuple[Evidence, ...]:
    """The worth of each requirement, in their order. Complete only as far as each defect was played to the end."""
    must, must_not, fired = _exercised(sightings)
    return tuple(
        Evidence(
            requirement=item.id,
            must=must[item.id],
            must_not=must_not[item.id],
            fired=dict(fired.get(item.id, Counter()).most_common()),
            kills=tuple(kill.defect.id for kill in kills if item.id in kill.killers),
            only=tuple(kill.defect.id for kill in kills if kill.killers == (item.id,)),
            named=tuple(kill.defect.id for kill in kills if kill.defect.requirement == item.id),
        )
        for item in requirements
    )


def _exercised(sightings: Sequence[Sighting]) -> tuple[Counter[str], Counter[str], dict[str, Counter[str]]]:
    must, must_not = Counter[str](), Counter[str]()
    fired: dict[str, Counter[str]] = {}
    for sighting in sightings:
        must.update(sighting.must)
        must_not.update(sighting.must_not)
        for requirement in {*sighting.must, *sighting.must_not}:
            fired.setdefault(requirement, Counter()).update(sighting.kinds or ("",))
    return must, must_not, fired
