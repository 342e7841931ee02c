# SPDX-License-Identifier: Apache-2.0
"""Benchmarks of the performance budget, no tests: `python -m tests.benchmarks [--json] [--quick]`."""
