# SPDX-License-Identifier: Apache-2.0
"""Where the shipped data lies: dbc/, fixtures/ and rigs/, always siblings of each other.

In a checkout or an editable install they stand next to the package, in a wheel inside it (harness/_data). Because they
stay siblings, a reference such as "../dbc/x.dbc" inside a shipped rig means the same file in both.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def data_root() -> Path:
    """The folder that holds dbc/, fixtures/ and rigs/."""
    packed = _PACKAGE / "_data"
    return packed if packed.is_dir() else _PACKAGE.parent


def rigs_folder() -> Path:
    """The folder of the shipped rig files."""
    return data_root() / "rigs"


def scenarios_folder() -> Path:
    """The folder of the shipped scenarios, the corpus every run starts with."""
    return data_root() / "fixtures" / "scenarios"
