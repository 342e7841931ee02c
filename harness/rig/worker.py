# SPDX-License-Identifier: Apache-2.0
"""The worker process: `python -m harness.rig.worker REQUEST`, started by `harness.rig.process` only.

Reads jobs, one a line, from standard input and writes answers to what was standard output; anything firmware
prints goes to standard error. Ends when its input ends, so that no worker outlives its parent; one that is busy when
its parent dies is ended by an alarm, later than any parent waits: firmware may have made it spin for ever.
"""

from __future__ import annotations

import os
import signal
import sys
from functools import cache, partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from harness.errors import HarnessError, RigError
from harness.rig import load_rig
from harness.rig.wire import from_line, to_line

if TYPE_CHECKING:
    from harness.rig.session import Session
    from harness.search.coverage import FaultSpace

START_ALARM_S = 330  # longer than a parent waits for a worker to start
JOB_ALARM_S = 120  # and to answer


def main() -> None:
    """Make the session, say ready, play until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    _alarm(START_ALARM_S)
    with _own_output() as output:
        try:
            _serve(from_line(sys.argv[1].encode()), output)
        except RigError as error:
            problems = [[p.file, p.line, p.key, p.found, p.allowed] for p in error.problems]
            output.write(to_line({"fatal": "RigError", "text": str(error), "problems": problems}))
        except HarnessError as error:
            output.write(to_line({"fatal": type(error).__name__, "text": str(error)}))


def _serve(request: dict[str, object], output: IO[bytes]) -> None:
    from harness.rig.jobs import perform  # noqa: PLC0415 - after the output is safe
    from harness.rig.session import Session  # noqa: PLC0415 - see above
    from harness.rig.workers import LocalRunner  # noqa: PLC0415 - see above

    rig = load_rig(Path(str(request["rig"])))
    defect = request["defect"]
    assert isinstance(defect, int)
    built = Path(str(request["firmware"])) if request["firmware"] else None
    with Session(rig, sanitize=bool(request["sanitize"]), defect=defect, firmware=built) as session:
        requirements = [requirement.id for requirement in session.requirements]
        runner = LocalRunner(session)
        space_of = cache(partial(_fault_space, session))
        _alarm(0)  # a parent that is slow to read is there, and a pipe tells when it is not
        output.write(to_line({"ready": requirements}))
        for line in sys.stdin.buffer:
            _alarm(JOB_ALARM_S)
            answer = to_line({"answer": perform(from_line(line), runner, requirements, space_of)})
            _alarm(0)
            output.write(answer)


def _alarm(seconds: int) -> None:
    """The system ends this process after so long, whatever it does, in C code, too; 0 = no longer."""
    if sys.platform != "win32":
        signal.alarm(seconds)


def _fault_space(session: Session, reference: str) -> FaultSpace:
    """Made when it is first needed: it takes longer than a scenario."""
    from harness.search.coverage import FaultSpace  # noqa: PLC0415 - see above
    from harness.search.moves import space  # noqa: PLC0415 - see above

    searched = space(session.requirements, session.bounds, rig=reference)
    return FaultSpace(session.requirements, session.bounds, searched)


def _own_output() -> IO[bytes]:
    """The pipe to the parent under another number; number 1 becomes standard error."""
    output = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return output


if __name__ == "__main__":
    main()
