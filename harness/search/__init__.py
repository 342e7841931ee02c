# SPDX-License-Identifier: Apache-2.0
"""Looking for the scenario that breaks the protection: grids, sequences, shrinking, and the failures kept."""
