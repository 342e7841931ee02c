# SPDX-License-Identifier: Apache-2.0
"""Numbers as a person reads them."""

from __future__ import annotations

from collections.abc import Mapping

from harness.units import MARGIN_UNITS


def margin_text(margin: Mapping[str, float]) -> str:
    """Margins with their units, time last: "0.012 V, 84 ms"; a dash when nothing was measured."""
    ordered = sorted(margin.items(), key=lambda item: (item[0] == "ms", item[0]))
    return ", ".join(f"{value:.3g} {MARGIN_UNITS.get(key, key)}".strip() for key, value in ordered) or "–"
