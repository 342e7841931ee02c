# SPDX-License-Identifier: Apache-2.0
"""Settings of Hypothesis for all tests: a slow machine must not fail a test, and nothing is written beside the code."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "repository",
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("repository")
