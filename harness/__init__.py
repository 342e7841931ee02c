# SPDX-License-Identifier: Apache-2.0
"""Test harness for battery management systems on a virtual CAN bus and on a bench."""

__version__ = "0.1.0"
