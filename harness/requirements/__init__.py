# SPDX-License-Identifier: Apache-2.0
"""Requirements as data, and one judge per kind of requirement: pure functions of evidence and requirement.

What is exported here is loaded when first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.requirements.load import load_requirements as load_requirements
    from harness.requirements.load import requirement_schema as requirement_schema
    from harness.requirements.model import Requirement as Requirement

_HOMES = {"load_requirements": "load", "requirement_schema": "load", "Requirement": "model"}

__all__ = ["Requirement", "load_requirements", "requirement_schema"]


def __getattr__(name: str) -> Any:
    """Load an exported name from its home module."""
    from importlib import import_module  # noqa: PLC0415 - only when a name is used

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
