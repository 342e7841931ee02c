# SPDX-License-Identifier: Apache-2.0
"""What a process of ours asks of the libraries it is about to import; a third of a short command's processor time."""

from __future__ import annotations

import gc
import os
from collections.abc import Mapping

# Nobody here does linear algebra or brings pydantic plugins. What the user has set stays.
LEAN_VARIABLES: Mapping[str, str] = {
    "OPENBLAS_NUM_THREADS": "1",  # its threads spin while they wait for work
    "PYDANTIC_DISABLE_PLUGINS": "__all__",  # looks into every installed distribution
}
_COLLECT_AFTER = (50_000, 20, 100)  # importing makes many objects, nearly all of which stay


def lean() -> None:
    """Before the first import of numpy or pydantic; for entry points only, a library has no business doing this."""
    for name, value in LEAN_VARIABLES.items():
        os.environ.setdefault(name, value)
    gc.set_threshold(*_COLLECT_AFTER)
