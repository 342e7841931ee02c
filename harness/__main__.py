# SPDX-License-Identifier: Apache-2.0
"""`python -m harness` is `bms-harness`."""

from harness.cli import main

main()
