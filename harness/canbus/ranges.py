# SPDX-License-Identifier: Apache-2.0
"""Least and greatest value of everything a product reports, told by the decoder without a look at the series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from harness.canbus.batch import Decoded
from harness.canbus.product import Binding, Profile
from harness.extremes import Range
from harness.kernel.decode import WantedSignals


def reported_ranges(profile: Profile, decoded: Decoded) -> dict[str, Range]:
    """Of what the controller reported: the quantities that are numbers of one signal."""
    bindings, wanted = _plain_bindings(_Same(profile))
    found = dict(zip(bindings, decoded.extremes(wanted), strict=True))
    for binding in bindings.values():
        if binding is not None:
            ends = [value * binding.scale + binding.offset for value in found[binding.quantity]]
            found[binding.quantity] = (ends[0], ends[1]) if binding.scale > 0.0 else (ends[1], ends[0])
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Same:
    """A profile told apart by identity."""

    profile: Profile

    def __hash__(self) -> int:
        return id(self.profile)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.profile is other.profile


@lru_cache(maxsize=16)
def _plain_bindings(same: _Same) -> tuple[Mapping[str, Binding | None], WantedSignals]:
    """The reported quantities that are numbers of one signal, with the binding where it scales, and their signals."""
    layout = same.profile.decoder.layout
    plain = [
        binding
        for quantity, binding in same.profile.bindings.items()
        if binding.states is None
        and "[" not in quantity
        and len(layout.places[binding.path]) == 1
        and not layout.signals[binding.path].is_wide
    ]
    scaled = {b.quantity: None if b.scale == 1.0 and b.offset == 0.0 else b for b in plain}
    return scaled, same.profile.decoder.wanted([binding.path for binding in plain])
