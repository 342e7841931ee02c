# SPDX-License-Identifier: Apache-2.0
"""`python -m tests.benchmarks [--json] [--quick]`: every bar of the performance budget, measured on this machine.

Exit code 0 when all bars are met, 1 otherwise.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from harness.rig import find_rig, load_rig

from .table import Measurement, all_met, document, failed, table
from .timing import Effort, once

RIG = "ebus-lfp"


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, under 40 s")
    parser.add_argument("--only", metavar="GROUP", choices=GROUPS, help=f"one of {', '.join(GROUPS)}")
    arguments = parser.parse_args()
    found: list[Measurement] = []
    taken = once(lambda: found.extend(measure(Effort(arguments.quick), arguments.only)))
    found.sort(key=lambda measurement: measurement.row)
    about = {**machine(), "took": f"{taken[1]:.0f} s"}
    if arguments.json:
        print(json.dumps(document(found, about), indent=2))
    else:
        print(table(found, about))
    return 0 if all_met(found) else 1


def measure(effort: Effort, only: str | None) -> list[Measurement]:
    """All groups; one that breaks is a row that is not met, and the others go on."""
    found: list[Measurement] = []
    for name, group in GROUPS.items():
        if only not in (None, name):
            continue
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        gc.collect()
        try:
            found += group(effort)
        except Exception as error:  # noqa: BLE001 - any failure is the result
            traceback.print_exc()
            found.append(failed(ROWS[name], f"group {name}", f"{type(error).__name__}: {error}"))
    return found


def machine() -> Mapping[str, Any]:
    """What the absolute numbers depend on."""
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        "load": load,
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123 - a device, not a file
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"


def _loop(effort: Effort) -> list[Measurement]:
    from . import loop  # noqa: PLC0415 - a group that cannot be imported must not stop the others

    return loop.measure(load_rig(find_rig(RIG)), effort)


def _stacks(effort: Effort) -> list[Measurement]:
    from . import stacks  # noqa: PLC0415 - see above

    return stacks.measure(load_rig(find_rig(RIG)), effort)


def _sequences(effort: Effort) -> list[Measurement]:
    from . import sequences  # noqa: PLC0415 - see above

    return sequences.measure(load_rig(find_rig(RIG)), effort)


def _decode(effort: Effort) -> list[Measurement]:
    from . import decode  # noqa: PLC0415 - see above

    return decode.measure(load_rig(find_rig(RIG)), effort)


def _recordings(effort: Effort) -> list[Measurement]:
    from . import recordings  # noqa: PLC0415 - see above

    return recordings.measure(effort)


def _start(effort: Effort) -> list[Measurement]:
    from . import start  # noqa: PLC0415 - see above

    return start.measure(effort)


def _shrinking(effort: Effort) -> list[Measurement]:
    from . import shrinking  # noqa: PLC0415 - see above

    return shrinking.measure(load_rig(find_rig(RIG)), effort)


GROUPS: dict[str, Callable[[Effort], list[Measurement]]] = {
    "loop": _loop,
    "stacks": _stacks,
    "sequences": _sequences,
    "decode": _decode,
    "recordings": _recordings,
    "start": _start,
    "shrinking": _shrinking,
}
ROWS = {"loop": 1, "stacks": 2, "sequences": 4, "decode": 6, "recordings": 6, "start": 9, "shrinking": 13}

if __name__ == "__main__":
    sys.exit(main())
