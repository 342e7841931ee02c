# SPDX-License-Identifier: Apache-2.0
"""Requirements as data, and one judge per kind of requirement: pure functions of evidence and requirement."""
