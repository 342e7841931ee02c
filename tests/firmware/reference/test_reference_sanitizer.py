# SPDX-License-Identifier: Apache-2.0
"""The reference firmware under the address and undefined-behaviour sanitizers: its tests, in a child process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.firmware.compiler import find_compiler
from harness.firmware.sanitizer import child_environment, parse_report

HERE = Path(__file__).parent
PART = "clamped or decodes or another_kind or boots or precharge or damage or 400 or runaway or full_receive or latched"
PART += " or truncated or absurd or frozen or bus_off or short_command or byte_anywhere"
PART += " or announcements or longest or stages"

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the sanitizer is preloaded on Linux")


def test_no_sanitizer_finding_in_a_cross_section_of_the_tests() -> None:
    command = [sys.executable, "-m", "pytest", str(HERE), "-q", "-x", "-k", f"({PART}) and not sanitizer"]
    environment = os.environ | child_environment(find_compiler()) | {"BMS_TEST_SANITIZE": "1"}
    done = subprocess.run(
        command, cwd=HERE.parents[2], env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert parse_report(done.stderr) is None
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
