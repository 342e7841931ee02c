# SPDX-License-Identifier: Apache-2.0
"""The simulation kernel: plant, faults, virtual CAN bus and firmware in lock-step, in C, and its Python face."""
