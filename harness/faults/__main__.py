# SPDX-License-Identifier: Apache-2.0
"""Print the documentation page of the catalogue: `python -m harness.faults > docs/faults.md`."""

import sys

from harness.faults.page import page

if __name__ == "__main__":
    sys.stdout.write(page())
