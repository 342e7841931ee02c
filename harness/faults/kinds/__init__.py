# SPDX-License-Identifier: Apache-2.0
"""The rows of the fault catalogue, one file per few classes. `harness.faults.catalogue` puts them together."""
