# SPDX-License-Identifier: Apache-2.0
"""What a number of clean sequences says about those that were not played.

Clopper and Pearson (Biometrika 26, 1934): the exact one-sided bound. With no failure among n it is 1 - 0.05^(1/n),
which the "rule of three" rounds to 3/n. It holds for sequences drawn as these were, not for what happens in the field.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

CONFIDENCE = 0.95
_HALVINGS = 100


@dataclass(frozen=True, slots=True)
class FailureRate:
    """`failed` of `sequences` independent random sequences failed; `upper_bound` on the rate at the confidence."""

    sequences: int
    failed: int

    @property
    def upper_bound(self) -> float:
        """The rate that is not exceeded, with the confidence; 1 when nothing was played."""
        return upper_bound(self.sequences, self.failed)

    def sentence(self) -> str:
        """For people."""
        if not self.sequences:
            return "no random sequences were played: nothing can be said of the failure rate"
        bound = f"at most {self.upper_bound:.2g} a sequence at {100 * CONFIDENCE:.0f} % confidence"
        return f"{self.failed} of {self.sequences} random sequences failed: the failure rate is {bound}"

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "sequences": self.sequences,
            "failed": self.failed,
            "confidence": CONFIDENCE,
            "upper_bound": self.upper_bound,
            "sentence": self.sentence(),
        }


def upper_bound(n: int, failed: int = 0, *, confidence: float = CONFIDENCE) -> float:
    """The largest failure rate that `failed` failures among `n` do not rule out. Raises ValueError for failed > n."""
    if not 0 <= failed <= n:
        raise ValueError(f"{failed} failures among {n}")
    if failed == n:
        return 1.0
    if failed == 0:
        return -math.expm1(math.log1p(-confidence) / n)
    low, high = failed / n, 1.0
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if _at_most(failed, n, middle) > 1.0 - confidence else (low, middle)
    return high


def _at_most(failed: int, n: int, rate: float) -> float:
    """The probability of at most so many failures."""
    if rate >= 1.0:
        return 0.0
    log_rate, log_rest = math.log(rate), math.log1p(-rate)
    total = math.lgamma(n + 1)
    logs = (
        total - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * log_rate + (n - k) * log_rest
        for k in range(failed + 1)
    )
    return math.fsum(math.exp(value) for value in logs)
