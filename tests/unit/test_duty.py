# SPDX-License-Identifier: Apache-2.0
"""Duty files: segments become a profile that rises in time, and what cannot be meant is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import RigError
from harness.rig.duty import EDGE_S, Duty, Segment, duty_profile, load_duty


def duty(*segments: Segment) -> Duty:
    return Duty(title="duty", source=("test",), segment=segments)


def test_segments_follow_each_other_with_a_short_edge_between() -> None:
    found = duty_profile(duty(Segment(title="float", duration_s=10.0, power_kw=1.0),
                              Segment(title="ramp", duration_s=5.0, power_kw=(1.0, -20.0))))  # fmt: skip
    assert found.load_s.tolist() == pytest.approx([0.0, 10.0, 10.0 + EDGE_S, 15.0])
    assert found.load_w.tolist() == [1e3, 1e3, 1e3, -20e3]
    assert found.line_v is None


def test_a_line_has_its_voltage_and_power_beside_the_load_and_is_not_scaled() -> None:
    wire = Segment(title="wire", duration_s=10.0, power_kw=30.0, line_v=600.0, line_kw=90.0)
    found = duty_profile(duty(wire, Segment(title="off", duration_s=2.0, power_kw=30.0)), scale=2.0)
    assert found.load_w.tolist() == [60e3] * 4
    assert found.line_v is not None
    assert found.line_w is not None
    assert found.line_v.tolist() == [600.0, 600.0, 0.0, 0.0]
    assert found.line_w.tolist() == [90e3, 90e3, 0.0, 0.0]


@given(st.lists(st.floats(0.05, 1e5), min_size=1, max_size=8))
def test_times_always_rise(durations_s: list[float]) -> None:
    found = duty_profile(duty(*(Segment(title="s", duration_s=t, power_kw=1.0) for t in durations_s)))
    assert np.all(np.diff(found.load_s) > 0.0)


def test_an_impossible_segment_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "duty.toml"
    path.write_text('title = "t"\nsource = ["x"]\n[[segment]]\ntitle = "a"\nduration_s = 0\npower_kw = 1\n')
    with pytest.raises(RigError, match=r"duty\.toml:5: segment\[1\]\.duration_s"):
        load_duty(path)


BLOCKS = """title = "t"
source = ["x"]
[[block]]
title = "stop to stop"
repeat = 3
[[block.segment]]
title = "go"
duration_s = 2.0
power_kw = 5.0
[[block.segment]]
title = "stop"
duration_s = 1.0
power_kw = 0.0
line_v = 600.0
line_kw = 50.0
[[block]]
title = "home"
[[block.segment]]
title = "go"
duration_s = 4.0
power_kw = 7.0
"""


def test_a_block_comes_as_often_as_it_says(tmp_path: Path) -> None:
    path = tmp_path / "duty.toml"
    path.write_text(BLOCKS)
    found = load_duty(path)
    assert found.has_line
    assert [2.0, 1.0] * 3 + [4.0] == [segment.duration_s for segment in found.segments]
    profile = duty_profile(found)
    assert profile.load_s[-1] == pytest.approx(13.0)
    assert profile.load_w[-1] == 7e3


PLAIN = '[[segment]]\ntitle = "a"\nduration_s = 1.0\npower_kw = 1.0\n'


@pytest.mark.parametrize("text", [BLOCKS + PLAIN, 'title = "t"\nsource = ["x"]\n'])
def test_a_duty_has_segments_or_blocks(tmp_path: Path, text: str) -> None:
    path = tmp_path / "duty.toml"
    path.write_text(text)
    with pytest.raises(RigError, match="either"):
        load_duty(path)
