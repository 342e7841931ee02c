# SPDX-License-Identifier: Apache-2.0
"""The fault catalogue: one table that says what can be done to a battery system, where it acts and in which range."""
